"""Frame times from the source's own clock: what is late moves nothing, and the bound holds."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from itertools import pairwise

import av.format
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.rig.adapters.camera.frame_clock import (
    MAX_BINS,
    Epoch,
    FrameClock,
    Quality,
    count_missing,
    is_clock,
    split,
)
from multirig.rig.adapters.camera.stamps import STAMPED, Stamper

SECOND = 1_000_000_000
MS = 1_000_000
BEGIN = 7_000 * SECOND
"""This PC's clock when the source's shows 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A source whose truth is known."""

    fps: float = 30
    seconds: float = 20
    drift: float = 0.0
    """How much faster this PC's clock runs."""
    jitter: float = 1e-3
    """Seconds of delay, in the mean, of the frames that are delayed."""
    prompt: float = 0.3
    """Share of the frames that are not delayed."""
    hiccups: tuple[tuple[float, float], ...] = ()
    """From when on, and for how long, nothing arrives."""
    loss: float = 0.0
    jumps: tuple[tuple[float, float], ...] = ()
    """When, and by how many seconds, the source's clock is put forward."""
    seed: int = 0


@dataclass(slots=True)
class Played:
    """What a clock has made of a scene."""

    truths: list[int] = field(default_factory=list)
    arrivals: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    at_once: list[int] = field(default_factory=list)
    """As known when each frame came."""
    qualities: list[Quality] = field(default_factory=list)

    @property
    def errors(self) -> list[int]:
        return [time - truth for time, truth in zip(self.times, self.truths, strict=True)]

    @property
    def bound(self) -> int:
        return max(one.bound for one in self.qualities)

    @property
    def is_clock(self) -> bool:
        return is_clock(self.qualities, self.arrivals[-1] - self.arrivals[0])


def play(scene: Scene) -> Played:
    chance, clock, played = random.Random(scene.seed), FrameClock(), Played()
    taken: list[tuple[Epoch, list[int]]] = []
    last = 0
    for number in range(int(scene.seconds * scene.fps)):
        at = number / scene.fps
        delay = 0.0 if chance.random() < scene.prompt else chance.expovariate(1 / scene.jitter)
        ready = max(
            [at + delay, *(start + length for start, length in scene.hiccups if start <= at < start + length)]
        )
        if chance.random() < scene.loss:
            continue
        stamp = round((at + sum(size for when, size in scene.jumps if when <= at)) * SECOND)
        last = max(BEGIN + round(ready * (1 + scene.drift) * SECOND), last + 20_000)
        epoch, now = clock.add(stamp, last)
        if not taken or taken[-1][0] is not epoch:
            taken.append((epoch, []))
        taken[-1][1].append(stamp)
        played.truths.append(BEGIN + round(at * (1 + scene.drift) * SECOND))
        played.arrivals.append(last)
        played.at_once.append(now)
    clock.settle()
    for epoch, stamps in taken:
        for here, some in split(epoch, stamps):
            fit = here.fit(some[0], some[-1])
            played.qualities.append(fit.quality)
            played.times += [fit.place(stamp) for stamp in some]
    return played


scenes = st.builds(
    Scene,
    fps=st.sampled_from([5.0, 25.0, 30.0, 120.0]),
    seconds=st.floats(5, 40),
    drift=st.floats(-150e-6, 150e-6),
    jitter=st.floats(1e-5, 10e-3),
    prompt=st.floats(0.2, 1),
    hiccups=st.lists(st.tuples(st.floats(0.5, 30), st.floats(0.05, 1.5)), max_size=2).map(tuple),
    loss=st.floats(0, 0.2),
    seed=st.integers(0, 2**32),
)


@given(scene=scenes)
def test_no_frame_is_placed_after_it_came(scene: Scene) -> None:
    played = play(scene)
    assert len(played.times) == len(played.arrivals)
    for time, arrival in zip(played.times, played.arrivals, strict=True):
        assert time <= arrival + MS // 10  # between two points of the envelope a line is drawn
    for time, arrival in zip(played.at_once, played.arrivals, strict=True):
        assert time <= arrival


@given(scene=scenes)
def test_times_rise_as_the_stamps_do(scene: Scene) -> None:
    played = play(scene)
    if len(played.qualities) == 1:
        assert all(b > a for a, b in pairwise(played.times))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "scene",
    [
        Scene(seconds=6, hiccups=((3, 1.5),)),
        Scene(seconds=6, hiccups=((4.4, 1.5),)),
        Scene(seconds=3, hiccups=((0.2, 1.5),)),
        Scene(seconds=60, hiccups=((10, 1.5), (30, 3.0)), drift=150e-6),
        Scene(seconds=60, hiccups=((10, 8.0),), drift=-150e-6, jitter=5e-3),
        Scene(seconds=20, fps=120, jitter=10e-3, loss=0.1, hiccups=((5, 1.5),)),
        Scene(seconds=300, fps=5, drift=-190e-6, hiccups=((100, 1.5),)),
        Scene(seconds=40, fps=30, prompt=0.0, jitter=5e-3, hiccups=((11, 1.5),)),
    ],
)
def test_a_hiccup_moves_no_frame_and_the_bound_holds(scene: Scene, seed: int) -> None:
    played = play(replace(scene, seed=seed))
    assert played.is_clock
    assert len(played.qualities) == 1
    assert max(map(abs, played.errors)) < 2 * MS
    assert max(map(abs, played.errors)) <= played.bound < 5 * MS


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("size", [5.0, 0.2, -0.7, -10.0, 2**33 / 90_000, -(2**32) / 90_000])
def test_a_jump_of_the_sources_clock_moves_no_frame(size: float, seed: int) -> None:
    played = play(Scene(seconds=40, jumps=((15, size),), hiccups=((5, 1.0),), drift=50e-6, seed=seed))
    assert played.is_clock
    assert len(played.qualities) == 2
    assert max(map(abs, played.errors)) <= played.bound < 5 * MS


@pytest.mark.parametrize("seed", range(10))
def test_a_clock_that_had_stood_still_just_before_the_end_moves_no_frame(seed: int) -> None:
    # stamps go on, but the source has paused: all later frames seem late, and are not
    played = play(Scene(seconds=20, jumps=((16, -0.03),), seed=seed))
    assert len(played.qualities) <= 2
    stood = play(Scene(seconds=20, fps=2, jumps=((16, -0.4),), seed=seed))
    assert len(stood.qualities) == 2
    assert max(map(abs, stood.errors)) <= stood.bound < 5 * MS


@pytest.mark.parametrize("drift", [0.01, -0.01, 0.003])
def test_stamps_that_are_counted_at_a_rate_that_is_not_the_sources_are_no_clock(drift: float) -> None:
    assert not play(Scene(seconds=60, drift=drift)).is_clock


def test_a_source_that_begins_anew_all_the_time_has_no_clock() -> None:
    jumps = tuple((float(second), -0.5) for second in range(2, 30, 2))
    assert not play(Scene(seconds=30, jumps=jumps)).is_clock


def test_memory_is_bounded_over_days_and_the_fit_stays_as_it_is() -> None:
    epoch, seconds = Epoch(0, 0), 3 * 86_400
    for at in range(seconds):
        epoch.add(at * SECOND, (at * 7919) % 1000 * 1000 if at % 10 else 0)
    fit = epoch.fit(0, seconds * SECOND)
    assert len(fit.stamps) <= MAX_BINS
    assert all(0 <= offset < MS for offset in fit.offsets)


@pytest.mark.parametrize(
    ("periods", "missing"),
    [
        ([1] * 50, 0),
        ([1] * 20 + [2] + [1] * 20 + [4] + [1] * 20, 4),
        ([1] * 40 + [2] * 30, 0),  # a dark room: half the rate
        ([1] * 5, None),
    ],
)
def test_frames_that_are_missing_are_counted_by_the_stamps(periods: list[int], missing: int | None) -> None:
    stamps = [0]
    for number, count in enumerate(periods):
        stamps.append(stamps[-1] + count * 33 * MS + number % 3 * MS)
    assert count_missing(stamps) == missing


@pytest.mark.parametrize(
    "late",
    [
        {},
        {50: 20},
        {50: 33},
        {50: 37, 51: 5},
        {50: 57, 51: 25},
        {50: 80, 51: 48, 52: 16},
        {20: 37, 21: 5, 50: 30, 80: 36, 81: 4},
    ],
)
def test_a_frame_that_was_taken_late_is_not_missing(late: dict[int, int]) -> None:
    stamps = [number * 33 * MS + number % 3 * MS + late.get(number, 0) * MS for number in range(150)]
    assert count_missing(stamps) == 0
    without = [stamp for number, stamp in enumerate(stamps) if number not in (100, 120, 121)]
    assert count_missing(without) == 3, "those are"


def test_of_frames_that_follow_no_rate_none_is_missing() -> None:
    chance = random.Random(1)
    stamps = [0]
    for _ in range(100):
        stamps.append(stamps[-1] + round(chance.uniform(0.01, 1) * SECOND))
    assert count_missing(stamps) is None


@pytest.mark.parametrize(
    ("form", "asked", "by_source"),
    [
        ("rtsp", {}, True),
        ("mpegts", {}, True),
        ("flv", {}, True),
        ("mpjpeg", {}, False),
        ("mjpeg", {}, False),
        ("h264", {}, False),
        ("x11grab", {}, False),
        ("mpegts", {"use_wallclock_as_timestamps": "1"}, False),
    ],
)
def test_only_what_a_source_has_stamped_itself_is_its_clock(
    form: str, asked: dict[str, str], by_source: bool
) -> None:
    moment = Stamper(form, asked).place(BEGIN, 5 * SECOND)
    assert moment.by_source is by_source
    assert moment.at == BEGIN


def test_the_kernels_stamp_of_this_pcs_clock_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    moment = Stamper("video4linux2,v4l2", {}).place(BEGIN, BEGIN - 12 * MS)
    assert (moment.at, moment.epoch, moment.by_source) == (BEGIN - 12 * MS, None, True)
    of_another_clock = Stamper("video4linux2,v4l2", {}).place(BEGIN, 1_700_000_000 * SECOND)
    assert of_another_clock.epoch is not None
    assert of_another_clock.at == BEGIN


def test_the_names_of_inputs_are_those_of_ffmpeg() -> None:
    known = {name for name in STAMPED if name.split(",")[0] in av.format.formats_available}
    assert STAMPED - known <= {"avfoundation", "dshow", "video4linux2,v4l2"}
