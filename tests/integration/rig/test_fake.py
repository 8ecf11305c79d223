from __future__ import annotations

import asyncio
import datetime
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from multirig.errors import AdapterError, ConfigError
from multirig.protocol.exp_ref import ExpRef
from multirig.rig.adapter import Session
from multirig.rig.adapters.fake import Fake

HOOKS = ("initialise", "start", "stop", "cleanup")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    folder = tmp_path / "raw_data"
    folder.mkdir()
    return Session(
        exp_ref=ExpRef(datetime.date(2024, 5, 6), 1, "mouse"),
        session_folder=tmp_path,
        folder=folder,
        to_session_time=lambda nanoseconds: nanoseconds + 10**9,
    )


def build(session: Session, **keys: Any) -> Fake:
    adapter = TypeAdapter(Fake).validate_python(keys)
    adapter.session = session
    return adapter


async def record(adapter: Fake, seconds: float = 0.1) -> None:
    for hook in ("initialise", "start"):
        await getattr(adapter, hook)()
    await asyncio.sleep(seconds)
    for hook in ("stop", "cleanup"):
        await getattr(adapter, hook)()


def test_without_a_script_it_records_one_session_after_another(session: Session) -> None:
    adapter = build(session)
    asyncio.run(record(adapter))
    asyncio.run(record(adapter))
    assert adapter.calls == [*HOOKS, *HOOKS]


def test_its_frames_are_those_of_the_time_that_passed(session: Session) -> None:
    adapter = build(session, rate=1000)

    async def body() -> None:
        assert adapter.health().frames == 0
        before = time.perf_counter()
        await adapter.start()
        await asyncio.sleep(0.2)
        health = adapter.health()
        elapsed = time.perf_counter() - before
        assert health.frames is not None
        assert 200 <= health.frames <= elapsed * 1000
        assert health.rate == 1000
        await adapter.stop()
        stopped = adapter.health()
        await asyncio.sleep(0.02)
        assert adapter.health() == stopped
        assert stopped.rate == 0
        assert stopped.bytes == (session.folder / "fake.csv").stat().st_size

    asyncio.run(body())


def test_its_file_holds_a_row_for_each_frame_with_its_time(session: Session) -> None:
    adapter = build(session, rate=200)

    async def body() -> tuple[int, int, int | None]:
        await adapter.start()
        began = time.perf_counter_ns()
        await asyncio.sleep(0.1)
        await adapter.stop()
        return began, time.perf_counter_ns(), adapter.health().frames

    began, ended, frames = asyncio.run(body())
    (entry,) = adapter.files()
    assert entry.path == "raw_data/fake.csv"
    assert entry.frames == frames
    assert frames is not None
    assert frames >= 20
    assert entry.first is not None
    assert entry.last is not None
    assert entry.first == pytest.approx(began / 1e9 + 1 + 1 / 200, abs=0.004)
    assert entry.last <= ended / 1e9 + 1
    assert entry.last - entry.first == pytest.approx((frames - 1) / 200, abs=1e-6)


def test_without_its_file_it_writes_nothing(session: Session) -> None:
    adapter = build(session, write_file=False)
    asyncio.run(record(adapter))
    assert adapter.files() == []


def test_with_a_rate_of_zero_it_records_nothing_and_does_not_complain(session: Session) -> None:
    adapter = build(session, rate=0)
    asyncio.run(record(adapter))
    (entry,) = adapter.files()
    assert (entry.frames, entry.first, entry.last) == (0, None, None)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_takes_its_delay(session: Session, hook: str) -> None:
    adapter = build(session, delay={hook: 0.05})

    async def body() -> None:
        before = time.monotonic()
        await getattr(adapter, hook)()
        assert time.monotonic() - before >= 0.049

    asyncio.run(body())


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_fails_with_its_message_each_time(session: Session, hook: str) -> None:
    adapter = build(session, fail={hook: "no light"})
    for _ in range(2):
        with pytest.raises(AdapterError, match=r"^no light$"):
            asyncio.run(getattr(adapter, hook)())
    assert adapter.calls == [hook, hook]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_fails_only_so_many_times(session: Session, hook: str) -> None:
    adapter = build(session, fail={hook: "no light"}, fail_times={hook: 2})
    for _ in range(2):
        with pytest.raises(AdapterError):
            asyncio.run(getattr(adapter, hook)())
    asyncio.run(getattr(adapter, hook)())


def test_a_stop_that_failed_can_be_called_again_and_then_stops(session: Session) -> None:
    adapter = build(session, fail={"stop": "stuck"}, fail_times={"stop": 1})

    async def body() -> None:
        await adapter.start()
        await asyncio.sleep(0.05)
        with pytest.raises(AdapterError):
            await adapter.stop()
        assert adapter.health().rate == 100
        await adapter.stop()
        assert adapter.health().rate == 0

    asyncio.run(body())
    assert len(adapter.files()) == 1


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_hangs_until_it_is_cancelled(session: Session, hook: str) -> None:
    adapter = build(session, hang=[hook])

    async def body() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(getattr(adapter, hook)(), 0.05)

    asyncio.run(body())
    assert adapter.calls == [hook]


def test_a_start_cancelled_in_its_middle_records_nothing(session: Session) -> None:
    adapter = build(session, delay={"start": 5})

    async def body() -> None:
        starting = asyncio.create_task(adapter.start())
        await asyncio.sleep(0.02)
        starting.cancel()
        await adapter.stop()
        await asyncio.wait({starting})
        assert adapter.health().frames == 0
        assert adapter.files() == []

    asyncio.run(body())


def test_every_hook_may_be_called_twice_and_before_its_turn(session: Session) -> None:
    adapter = build(session, rate=1000)

    async def body() -> None:
        for hook in ("stop", "cleanup", "initialise", "initialise", "start"):
            await getattr(adapter, hook)()
        await asyncio.sleep(0.05)
        await adapter.start()
        await adapter.initialise()
        frames = adapter.health().frames
        assert frames is not None
        assert frames >= 50
        await adapter.stop()
        written = adapter.files()
        await asyncio.sleep(0.02)
        await adapter.stop()
        assert adapter.files() == written
        await adapter.cleanup()
        await adapter.cleanup()

    asyncio.run(body())


def test_what_is_recorded_after_a_restart_is_a_file_of_its_own_each_time(session: Session) -> None:
    async def run(hook: str) -> bytes:
        adapter = build(session, resumes=True, rate=1000)
        await adapter.initialise()
        await getattr(adapter, hook)()
        await asyncio.sleep(0.02)
        await adapter.stop()
        await adapter.stop()
        await adapter.cleanup()
        return (session.folder / "fake.csv").read_bytes()

    first = asyncio.run(run("start"))
    assert asyncio.run(run("resume")) == first
    assert asyncio.run(run("resume")) == first
    assert sorted(path.name for path in session.folder.iterdir()) == [
        "fake.csv",
        "fake.part2.csv",
        "fake.part3.csv",
    ]
    assert all(one.frames for one in build(session).files())


def test_a_part_is_the_second_one_also_where_nothing_is_left_of_the_first(session: Session) -> None:
    adapter = build(session, resumes=True)

    async def body() -> None:
        await adapter.resume()
        await adapter.stop()

    asyncio.run(body())
    assert [path.name for path in session.folder.iterdir()] == ["fake.part2.csv"]


def test_it_resumes_only_where_it_is_told_to(session: Session) -> None:
    with pytest.raises(AdapterError, match="cannot go on after a restart"):
        asyncio.run(build(session).resume())
    with pytest.raises(AdapterError, match="no power"):
        asyncio.run(build(session, resumes=True, fail={"resume": "no power"}).resume())


def test_it_fails_by_itself_after_its_time_and_gives_no_more_frames(session: Session) -> None:
    adapter = build(session, fail_after=0.1, rate=1000)

    async def body() -> None:
        await adapter.start()
        before = time.monotonic()
        with pytest.raises(AdapterError, match=r"scripted failure after 0\.1 s"):
            await adapter.watch()
        assert time.monotonic() - before >= 0.09
        await asyncio.sleep(0.05)
        assert (adapter.health().frames, adapter.health().rate) == (100, 0)
        await adapter.stop()

    asyncio.run(body())
    assert adapter.files()[0].frames == 100


def test_without_a_scripted_failure_it_is_watched_for_ever(session: Session) -> None:
    adapter = build(session)

    async def body() -> None:
        await adapter.start()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(adapter.watch(), 0.05)

    asyncio.run(body())


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"delay": {"begin": 1}}, "begin"),
        ({"delay": {"start": -1}}, "delay: start"),
        ({"delay": {"start": float("nan")}}, "delay: start"),
        ({"fail_times": {"start": 1}}, "start has no message"),
        ({"hang": ["everything"]}, "hang"),
        ({"rate": -1}, "rate"),
        ({"fail_after": -0.5}, "fail_after"),
        ({"delays": {}}, "delays"),
    ],
)
def test_a_wrong_key_or_value_is_named(session: Session, keys: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        build(session, **keys)


def test_in_python_a_wrong_value_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="rate: -1"):
        Fake(rate=-1)
