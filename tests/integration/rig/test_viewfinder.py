"""Live pictures from a rig's adapter to whoever asks, over the wire."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

import multirig.rig.gauges
import multirig.rig.viewfinder
from multirig.protocol.messages import Event
from multirig.protocol.words import Picture, Report, RigState
from multirig.rig.adapter import MAX_PICTURE
from multirig.rig.adapter import Picture as Taken
from multirig.rig.adapters.fake import PICTURE, Fake


@dataclass(kw_only=True)
class Filmed(Fake):
    """Counts how often it is asked, and takes as long as a test wants."""

    seconds: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked = 0
        self.at_once = 0
        self.most_at_once = 0
        self.threads: set[str] = set()

    def pictures(self) -> list[Taken]:
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.threads.add(threading.current_thread().name)
        time.sleep(self.seconds)
        self.at_once -= 1
        return super().pictures()


async def ask(conductor: Any) -> Report:
    [answer] = (await conductor.request(Event.EXPSTATUS, 0, {"pictures": True})).values()
    assert isinstance(answer, Report), answer
    return answer


async def watch(lab: Any, over: str = "memory") -> Any:
    """Return a conductor that speaks wire 2 with the only rig."""
    conductor = await lab.conductor(over=over)
    await conductor.request(Event.EXPINFO, 0, {})
    return conductor


async def test_pictures_come_with_the_report_before_a_session_and_in_it(lab: Any, until: Any) -> None:
    rig = await lab.rig(over="udp", fake={"cameras": ["left", "right"]})
    conductor = await watch(lab, "udp")
    await until(lambda: rig.machine.cameras == ("left", "right"))
    for step in (None, Event.EXPINIT, Event.EXPSTART):
        if step is not None:
            await conductor.request(step, {"exp_ref": "2024-05-06_1_SP_01"})
        answer = await ask(conductor)
        assert answer.state is rig.machine.state
        shown = answer.pictures
        assert [(one.label, one.jpeg) for one in shown] == [("left", PICTURE), ("right", PICTURE)]
        assert all(one.age is not None and 0 <= one.age < 5 for one in shown)


async def test_a_rig_without_cameras_says_so_and_names_none(lab: Any) -> None:
    await lab.rig()
    answer = await ask(await watch(lab))
    assert answer.pictures == ()


async def test_ten_who_watch_cost_no_more_than_one(lab: Any) -> None:
    adapter = Filmed(cameras=["left"], seconds=0.1)
    await lab.rig(adapter=adapter)
    watchers = [await watch(lab) for _ in range(10)]
    began = time.perf_counter()
    for _ in range(3):
        answers = await asyncio.gather(*(ask(one) for one in watchers))
        assert all(len(answer.pictures or ()) == 1 for answer in answers)
        await asyncio.sleep(0.2)
    spent = time.perf_counter() - began
    assert 1 <= adapter.asked <= 1 + spent / 0.5
    assert adapter.most_at_once == 1
    assert adapter.threads == {"pictures"}


async def test_nobody_who_watches_costs_nothing(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multirig.rig.gauges, "HEALTH_EVERY", 0.01)
    adapter = Filmed(cameras=["left"])
    await lab.rig(adapter=adapter)
    await (await watch(lab)).request(Event.EXPSTART, "2024-05-06_1_SP_01", None)
    await asyncio.sleep(0.1)
    assert adapter.asked == 0


async def test_a_start_is_not_disturbed_by_pictures(lab: Any) -> None:
    adapter = Filmed(cameras=["left"], delay={"start": 0.3})
    rig = await lab.rig(adapter=adapter)
    conductor = await watch(lab)
    starting = asyncio.create_task(conductor.request(Event.EXPSTART, "2024-05-06_1_SP_01", None))
    while rig.machine.state.value != "starting":
        await asyncio.sleep(0.005)
    assert (await ask(conductor)).pictures == ()
    assert adapter.asked == 0
    await starting
    assert len((await ask(conductor)).pictures or ()) == 1


async def test_an_adapter_that_hangs_keeps_whoever_asks_waiting_for_a_while_only(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multirig.rig.viewfinder, "TAKE_LIMIT", 0.05)
    monkeypatch.setattr(multirig.rig.viewfinder, "TAKE_EVERY", 0)
    go_on = threading.Event()

    class Hanging(Filmed):
        def pictures(self) -> list[Taken]:
            self.asked += 1
            if self.asked > 1:
                go_on.wait(10)
            return Fake.pictures(self)

    adapter = Hanging(cameras=["left"])
    await lab.rig(adapter=adapter)
    conductor = await watch(lab)
    for _ in range(4):
        assert ((await ask(conductor)).pictures or ())[0].jpeg == PICTURE  # the last one
    assert adapter.asked == 2
    go_on.set()


class Broken(Fake):
    """Whatever is made of pictures here, the recording goes on."""

    wrong: Any = ValueError("no light")

    def pictures(self) -> list[Taken]:
        if isinstance(self.wrong, Exception):
            raise self.wrong
        return self.wrong


@pytest.mark.parametrize(
    "wrong",
    [
        ValueError("no light"),
        None,
        ["left"],
        [Taken(label="left", jpeg=b"x" * (MAX_PICTURE + 1))],
        [Taken(label="x" * 65, jpeg=PICTURE)],
        [Taken(label="left", jpeg=None)],  # type: ignore[arg-type]
    ],
)
async def test_pictures_that_fail_harm_nothing_and_are_logged_once(
    lab: Any, wrong: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multirig.rig.viewfinder, "TAKE_EVERY", 0)
    adapter = Broken(cameras=["left"])
    adapter.wrong = wrong
    rig = await lab.rig(adapter=adapter)
    conductor = await watch(lab)
    await conductor.request(Event.EXPSTART, "2024-05-06_1_SP_01", None)
    for _ in range(3):
        answer = await ask(conductor)
        assert (answer.state, answer.pictures) == (RigState.RUNNING, ())
    assert rig.machine.failure is None
    complaint = "the adapter could not take its pictures; the recording goes on"
    assert [one.message for one in caplog.records].count(complaint) == 1


@pytest.mark.parametrize("labels", [ValueError("what?"), None])
async def test_labels_that_fail_harm_nothing_and_are_logged_once(
    lab: Any, labels: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multirig.rig.gauges, "HEALTH_EVERY", 0.01)

    class Nameless(Fake):
        def picture_labels(self) -> Sequence[str]:
            if isinstance(labels, Exception):
                raise labels
            return labels

    rig = await lab.rig(adapter=Nameless())
    conductor = await watch(lab)
    await conductor.request(Event.EXPSTART, "2024-05-06_1_SP_01", None)
    await asyncio.sleep(0.1)
    assert rig.machine.failure is None
    complaint = "the adapter could not name its cameras; it shows no pictures"
    assert [one.message for one in caplog.records].count(complaint) == 1


async def test_many_large_pictures_come_in_turn(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multirig.rig.viewfinder, "TAKE_EVERY", 0)

    class Large(Fake):
        def pictures(self) -> list[Taken]:
            jpeg = PICTURE.ljust(MAX_PICTURE, b"\0")
            return [Taken(label=label, jpeg=jpeg) for label in self.cameras]

    await lab.rig(over="udp", adapter=Large(cameras=list("abcdef")))
    conductor = await watch(lab, "udp")
    shown: list[Picture] = []
    for _ in range(2):
        shown += (await ask(conductor)).pictures or ()
    assert {one.label for one in shown} == set("abcdef")
    assert len(shown) == 8
    assert {len(one.jpeg) for one in shown} == {MAX_PICTURE}
    assert {one.age for one in shown} == {None}
