"""All cases of the truth suite: which session, which truth, and what must be said of it. Pure data."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from tests.truth.model import (
    ABORTED,
    DEGRADED,
    GOOD,
    INCOMPLETE,
    INTERRUPTED,
    NOT_GOOD,
    NOTHING,
    UNVERIFIED,
    Act,
    Cam,
    Case,
    Fault,
    Rig,
    Say,
    Truth,
)

GAP = r"gave nothing for .* after the start: .* missing at"
AGAIN = r"gave nothing for .* and went on in part 2"
EARLY = r"ended .* s before the session did"
RATE = r"gave .* frames a second"
BURST = r"gave .* frames in bursts"
DAMAGED = r"gave .* pictures of .* damaged"
Told: TypeAlias = tuple[str, tuple[str | float, ...]]
"""Words of what is told of a camera, and which figures stand beside them."""
STOPS = ("end", "interrupt", "terminate", "hang up")
LAYOUTS = ("one", "two", "rigs")
"""A rig with one camera, a rig with two of which the right one is at fault, two rigs with one each."""


# -- labs ----------------------------------------------------------------------------------------------------


def lay_out(layout: str, cam: Cam) -> tuple[tuple[Rig, ...], str]:
    """Return the rigs of a layout with that camera in it, and what the judge calls it."""
    well = Cam(label="left", rate=30.0, fps=30.0)
    match layout:
        case "one":
            return (Rig(cams=(cam,)),), f"cams/{cam.label}"
        case "two":
            right = replace(cam, label="right")
            return (Rig(cams=(well, right)),), "cams/right"
        case "rigs":
            right = replace(cam, label="right")
            return (Rig(cams=(well,)), Rig(name="side", cams=(right,))), "side/right"
    raise ValueError(layout)


def tell(camera: str, told: Told, **keys: Any) -> Say:
    """Return what must be said of a camera, as the judge calls it: its rig and its label first."""
    rig, _, label = camera.partition("/")
    words, figures = told
    about = tuple(f"{one}:{camera}" if isinstance(one, str) else one for one in figures)
    return Say(words=rf"^{rig}: (camera )?{label}\b.*({words})", about=about, **keys)


def bad(
    name: str,
    layout: str,
    cam: Cam,
    *,
    words: tuple[str, ...] = NOT_GOOD,
    says: tuple[Told, ...] = (),
    **keys: Any,
) -> Case:
    """Return a case in which one camera is at fault; what is to be said stands in lines of that camera."""
    rigs, camera = lay_out(layout, cam)
    told = tuple(tell(camera, one) for one in says)
    return Case(name=f"{name}/{layout}", rigs=rigs, truth=Truth.BAD, words=words, says=told, **keys)


# -- bad: cameras --------------------------------------------------------------------------------------------


def silent_to_the_end() -> Iterator[Case]:
    for layout in LAYOUTS:
        for length in (2.0, 3.5):
            for stop in STOPS:
                cam = Cam(fps=30.0, faults=(Fault(kind="silent", at=6.0 - length),))
                name = f"silent-to-the-end/{length:g}s/{stop.replace(' ', '-')}"
                yield bad(name, layout, cam, stop=stop, says=((EARLY, ("tail",)),))


def gaps() -> Iterator[Case]:
    for layout in LAYOUTS:
        for place, at in (("first", 0.3), ("middle", 2.0), ("last", 4.0)):
            for length, rate in ((1.0, 30.0), (1.5, 60.0), (2.0, 10.0), (2.0, 30.0), (4.0, 30.0)):
                cam = Cam(fps=rate, rate=rate, faults=(Fault(kind="silent", at=at, seconds=length),))
                yield bad(
                    f"gap/{place}/{length:g}s-at-{rate:g}",
                    layout,
                    cam,
                    seconds=at + length + 2.0,
                    says=((GAP, ("hole", "hole_at")),),
                )


def untold() -> Iterator[Case]:
    """Cameras whose rate nobody has said: they tell it by themselves."""
    kinds: dict[str, tuple[Fault, Told]] = {
        "gap": (Fault(kind="silent", at=2.0, seconds=4.0), (GAP, ("hole", "hole_at"))),
        "silent-to-the-end": (Fault(kind="silent", at=4.5), (EARLY, ("tail",))),
        "closes": (Fault(kind="close", at=3.0, seconds=2.0), (AGAIN, ("hole",))),
        "hiccup": (Fault(kind="hiccup", at=3.0, seconds=2.0), (BURST, (2.0,))),
        "damage": (Fault(kind="cut", every=4), (DAMAGED, ("damaged",))),
    }
    for layout in LAYOUTS:
        for name, (fault, told) in kinds.items():
            cam = Cam(faults=(fault,))
            yield bad(f"untold/{name}", layout, cam, seconds=8.0, says=(told,))


def rates() -> Iterator[Case]:
    pairs = (
        (30, 10),
        (30, 15),
        (30, 20),
        (30, 25),
        (60, 30),
        (60, 50),
        (100, 50),
        (10, 5),
        (25, 20),
        (30, 45),
    )
    for layout in ("one", "two"):
        for asked, given in pairs:
            cam = Cam(fps=float(asked), rate=float(given))
            yield bad(
                f"rate/{given}-of-{asked}",
                layout,
                cam,
                seconds=11.0,
                says=((RATE, ("rate", float(asked))),),
            )
    for layout in LAYOUTS:
        for told, later in ((30.0, 10.0), (60.0, 20.0)):
            cam = Cam(fps=told, rate=told, faults=(Fault(kind="rate", at=4.0, value=later),))
            yield bad(
                f"rate/falls-to-{later:g}-of-{told:g}",
                layout,
                cam,
                seconds=11.0,
                says=((RATE, ("rate", told)),),
            )


def closes() -> Iterator[Case]:
    for layout in LAYOUTS:
        for place, at in (("first", 1.0), ("middle", 3.0)):
            for length in (0.3, 1.0, 2.0, 3.0):
                cam = Cam(fps=30.0, faults=(Fault(kind="close", at=at, seconds=length),))
                yield bad(
                    f"closes/{place}/{length:g}s",
                    layout,
                    cam,
                    seconds=at + length + 4.0,
                    says=((AGAIN, ("hole",)),),
                )
        for at in (2.0, 4.0):
            cam = Cam(fps=30.0, faults=(Fault(kind="close", at=at),))
            yield bad(
                f"closes/for-good/at-{at:g}s",
                layout,
                cam,
                seconds=8.0,
                says=((EARLY, ("tail",)), ("can no longer be read.*did not come back before the stop", ())),
            )


def hiccups() -> Iterator[Case]:
    for layout in LAYOUTS:
        for place, at in (("first", 0.5), ("middle", 2.5)):
            for length in (0.8, 1.5, 2.5):
                cam = Cam(fps=30.0, faults=(Fault(kind="hiccup", at=at, seconds=length),))
                yield bad(
                    f"hiccup/{place}/{length:g}s",
                    layout,
                    cam,
                    seconds=at + length + 2.0,
                    says=((BURST, (length,)),),
                )


def damage() -> Iterator[Case]:
    for layout in ("one", "two"):
        for every in (2, 3, 5, 10):
            cam = Cam(fps=30.0, faults=(Fault(kind="cut", every=every),))
            yield bad(
                f"damage/every-{every}",
                layout,
                cam,
                says=((DAMAGED, ("damaged",)),),
            )
        for every in (1, 2):
            cam = Cam(fps=30.0, faults=(Fault(kind="cut", every=every, at=2.0, seconds=1.5),))
            yield bad(
                f"damage/for-a-while/every-{every}",
                layout,
                cam,
                says=((DAMAGED, ("damaged",)),),
            )


def both_at_fault() -> Iterator[Case]:
    kinds: dict[str, tuple[Fault, Told]] = {
        "gap": (Fault(kind="silent", at=2.0, seconds=2.0), (GAP, ("hole", "hole_at"))),
        "silent-to-the-end": (Fault(kind="silent", at=3.0), (EARLY, ("tail",))),
        "closes": (Fault(kind="close", at=2.0, seconds=1.0), (AGAIN, ("hole",))),
        "hiccup": (Fault(kind="hiccup", at=2.0, seconds=1.5), (BURST, (1.5,))),
        "damage": (Fault(kind="cut", every=4), (DAMAGED, ("damaged",))),
    }
    for name, (fault, told) in kinds.items():
        cams = tuple(Cam(label=label, fps=30.0, faults=(fault,)) for label in ("left", "right"))
        yield Case(
            name=f"both/{name}/two",
            rigs=(Rig(cams=cams),),
            truth=Truth.BAD,
            words=NOT_GOOD,
            says=tuple(tell(f"cams/{cam.label}", told) for cam in cams),
        )
        yield Case(
            name=f"both/{name}/rigs",
            rigs=tuple(Rig(name=f"r{cam.label}", cams=(cam,)) for cam in cams),
            truth=Truth.BAD,
            words=NOT_GOOD,
            says=tuple(tell(f"r{cam.label}/{cam.label}", told) for cam in cams),
        )


def optional_rigs() -> Iterator[Case]:
    """What is wrong with a rig that a session can do without takes nothing from it, and is told."""
    faults: dict[str, tuple[Cam, Told]] = {
        "gap": (Cam(faults=(Fault(kind="silent", at=2.0, seconds=2.0),)), (GAP, ("hole", "hole_at"))),
        "silent-to-the-end": (Cam(faults=(Fault(kind="silent", at=3.0),)), (EARLY, ("tail",))),
        "damage": (Cam(faults=(Fault(kind="cut", every=4),)), (DAMAGED, ("damaged",))),
        "closes": (Cam(faults=(Fault(kind="close", at=2.0, seconds=1.0),)), (AGAIN, ("hole",))),
        "rate": (Cam(rate=10.0), (RATE, ("rate", 30.0))),
    }
    for name, (cam, told) in faults.items():
        rigs, camera = lay_out("rigs", replace(cam, fps=30.0))
        rigs = (rigs[0], replace(rigs[1], role="optional"))
        yield Case(
            name=f"optional/{name}",
            rigs=rigs,
            truth=Truth.BAD,
            seconds=11.0 if name == "rate" else 6.0,
            words=(GOOD, DEGRADED),
            says=(tell(camera, told, where="notes"),),
        )


def streams() -> Iterator[Case]:
    """RTSP and transport streams."""
    for layout in ("one", "two"):
        for length in (2.0, 4.0):
            cam = Cam(over="rtsp", fps=30.0, faults=(Fault(kind="silent", at=2.0, seconds=length),))
            says = ((GAP, ("hole", "hole_at")),)
            yield bad(f"rtsp/gap/{length:g}s", layout, cam, seconds=length + 4.0, says=says)
        for length in (2.0, 3.5):
            cam = Cam(over="rtsp", fps=30.0, faults=(Fault(kind="silent", at=6.0 - length),))
            name = f"rtsp/silent-to-the-end/{length:g}s"
            yield bad(name, layout, cam, says=((EARLY, ("tail",)),))
        cam = Cam(over="rtsp", fps=30.0, rate=15.0)
        yield bad("rtsp/rate/15-of-30", layout, cam, seconds=11.0, says=((RATE, ("rate", 30.0)),))
    for loss in (0.03, 0.1, 0.3):
        for rate in (30.0, 60.0):
            cam = Cam(over="ts", rate=rate, fps=rate, loss=loss)
            name = f"ts/loss-{loss * 100:g}%/at-{rate:g}"
            yield bad(name, "one", cam, seconds=8.0, says=((DAMAGED, ()),))


# -- bad: programs -------------------------------------------------------------------------------------------

NO_PROGRESS: Mapping[str, Any] = {"progress": None}
STILL = (Say(words=r"data\.bin grew steadily, and then no more", about=(4.0,)),)
DIED = Say(words="had ended .* s before the session was stopped", about=(4.0,))
PROGRAMS: Mapping[
    str, tuple[Mapping[str, Any], Mapping[str, Any], tuple[str, ...], tuple[Say, ...], tuple[str, ...]]
] = {
    "empty-file": (
        {"writes": "empty", "says": "chat"},
        NO_PROGRESS,
        (INCOMPLETE,),
        (Say(words=r"data\.bin is empty"),),
        (),
    ),
    "empty-file-that-counts": (
        {"writes": "empty"},
        {},
        (INCOMPLETE,),
        (Say(words=r"data\.bin is empty"),),
        (),
    ),
    "one-of-two-empty": (
        {"names": ["a.bin", "b.bin"], "starved": ["b.bin"], "says": "chat"},
        NO_PROGRESS,
        (INCOMPLETE,),
        (Say(words=r"b\.bin is empty"),),
        ("a.bin",),
    ),
    "saves-elsewhere": (
        {"elsewhere": True},
        {},
        (INCOMPLETE,),
        (Say(words="recorded, and has no file"),),
        (),
    ),
    "saves-elsewhere-and-chats": (
        {"elsewhere": True, "says": "chat"},
        NO_PROGRESS,
        (INCOMPLETE,),
        (Say(words="recorded, and has no file"),),
        (),
    ),
    "no-file": ({"writes": "no file"}, {}, (INCOMPLETE,), (Say(words="recorded, and has no file"),), ()),
    "stops-writing": (
        {"still": 2.0},
        {},
        NOT_GOOD,
        STILL,
        ("data.bin",),
    ),
    "stops-writing-and-counts": (
        {"still": 2.0, "lies": True},
        {},
        NOT_GOOD,
        STILL,
        ("data.bin",),
    ),
    "stops-writing-unheard": (
        {"still": 2.0, "says": "chat"},
        NO_PROGRESS,
        NOT_GOOD,
        STILL,
        ("data.bin",),
    ),
    "dies-with-0": (
        {"dies": 2.0},
        {},
        NOT_GOOD,
        (Say(words=r"ended by itself \(exit code 0\)"), DIED),
        ("data.bin",),
    ),
    "dies-with-1": (
        {"dies": 2.0, "code": 1},
        {},
        NOT_GOOD,
        (Say(words="ended by itself with exit code 1"), DIED),
        ("data.bin",),
    ),
    "dies-by-a-fault": (
        {"dies": 2.0, "by": int(signal.SIGSEGV)},
        {},
        NOT_GOOD,
        (Say(words="ended by itself .*SIGSEGV"), DIED),
        ("data.bin",),
    ),
    "is-killed": (
        {"dies": 2.0, "by": int(signal.SIGKILL)},
        {},
        NOT_GOOD,
        (Say(words="ended by itself .*SIGKILL"), DIED),
        ("data.bin",),
    ),
    "wrong-exit-code": (
        {"code": 3},
        {},
        NOT_GOOD,
        (Say(words="stop: .*ended with exit code 3"),),
        ("data.bin",),
    ),
    "does-not-stop": (
        {"deaf": True},
        {"grace": 1.0},
        NOT_GOOD,
        (Say(words="stop: .*did not stop within 1 s and was killed"),),
        ("data.bin",),
    ),
    "complains-on-stdout": (
        {"complains": "Error: the camera is gone", "on": "stdout"},
        {"failure": "Error"},
        NOT_GOOD,
        (Say(words="Error: the camera is gone"),),
        ("data.bin",),
    ),
    "complains-on-stderr": (
        {"complains": "Error: the camera is gone"},
        {"failure": "Error"},
        NOT_GOOD,
        (Say(words="Error: the camera is gone"),),
        ("data.bin",),
    ),
    "drops-frames": (
        {"drops": 17},
        {"progress": r"samples (?P<frames>\d+)( dropped (?P<dropped>\d+))?"},
        NOT_GOOD,
        (Say(words="dropped 17 frames"),),
        ("data.bin",),
    ),
}
"""What the program does, keys of its rig, the verdict, what must be said, and which files must be listed."""


def programs() -> Iterator[Case]:
    cameras = Rig(cams=(Cam(fps=30.0),))
    for name, (program, adapter, words, says, lists) in PROGRAMS.items():
        rig = Rig(name="prog", program=program, adapter=adapter)
        for company in ("alone", "beside-cameras"):
            for stop in ("end", "interrupt"):
                yield Case(
                    name=f"program/{name}/{company}/{stop}",
                    rigs=(rig,) if company == "alone" else (cameras, rig),
                    truth=Truth.BAD,
                    stop=stop,
                    words=words,
                    says=tuple(replace(one, words=rf"^prog\b.*({one.words})") for one in says),
                    lists=lists,
                )


def disks() -> Iterator[Case]:
    cameras = Rig(cams=(Cam(fps=30.0),))
    for size in (64_000_000, 96_000_000):
        rig = Rig(name="prog", program={"bytes": 1_000_000, "lies": True}, disk=size)
        for company, rigs in (("alone", (rig,)), ("beside-cameras", (cameras, rig))):
            yield Case(
                name=f"disk/full-on-a-rig/{size // 1_000_000}MB/{company}",
                rigs=rigs,
                truth=Truth.BAD,
                seconds=9.0,
                words=NOT_GOOD,
                says=(
                    Say(words=r"^prog: its disk is full"),
                    Say(words=r"prog: its disk is full", where="output"),
                ),
            )
    for size in (12_288, 16_384):
        yield Case(
            name=f"disk/full-on-the-leading-pc/{size // 1024}kB",
            rigs=(cameras,),
            truth=Truth.BAD,
            words=(*NOT_GOOD, INTERRUPTED, ABORTED, NOTHING),
            leader_disk=size,
            options=("--no-check",),
            says=(Say(words=r"this PC: .*(nearly full|disk is full|no space)", where="output"),),
        )


# -- bad: rigs and those who lead ----------------------------------------------------------------------------


def _say_jump(by: float) -> str:
    """Return a jump of a clock as a pattern of how it is said."""
    return rf"{abs(by):.1f} s" if abs(by) >= 1 else rf"{abs(by) * 1000:.0f}\.\d ms"


def rigs_at_fault() -> Iterator[Case]:
    cam, program = Rig(cams=(Cam(fps=30.0),)), Rig(name="prog", program={})
    well = Rig(name="well", cams=(Cam(label="body", fps=30.0),))
    not_keyboard = ("at its own keyboard",)
    for name, rig in (("cameras", cam), ("program", program)):
        for company, rigs in (("alone", (rig,)), ("beside", (well, rig))):
            yield Case(
                name=f"rig/killed-and-restarted/{name}/{company}",
                rigs=rigs,
                truth=Truth.BAD,
                seconds=18.0,
                acts=(Act(at=2.0, what="kill", rig=rig.name), Act(at=2.5, what="restart", rig=rig.name)),
                words=NOT_GOOD,
                says=(
                    Say(words=f"^{rig.name}: .*its program (had )?died"),
                    Say(words=f"^{rig.name}: .*(recorded nothing|nothing was recorded) from"),
                ),
                never=not_keyboard,
                limit=120.0,
            )
            for what in ("terminate", "hang up", "interrupt"):
                yield Case(
                    name=f"rig/{what.replace(' ', '-')}/{name}/{company}",
                    rigs=rigs,
                    truth=Truth.BAD,
                    seconds=6.0,
                    acts=(Act(at=3.0, what=what, rig=rig.name),),
                    words=(*NOT_GOOD, INTERRUPTED),
                    says=(
                        Say(words=f"^{rig.name}: it was stopped: its program was ended on that PC"),
                        Say(words=f"^{rig.name}: .*ended .* s before the session did", about=(3.0,)),
                    ),
                    lists=("_iblrig_leftCamera.raw.mp4",) if name == "cameras" else ("data.bin",),
                    limit=120.0,
                )
    yield Case(
        name="rig/killed/cameras/beside",
        rigs=(well, cam),
        truth=Truth.BAD,
        seconds=6.0,
        acts=(Act(at=2.0, what="kill", rig="cams"),),
        words=NOT_GOOD,
        says=(
            Say(words="^cams recorded, and did not say what"),
            Say(words="^cams: .*(nothing listens there|was not heard)"),
        ),
        limit=160.0,
    )
    for by in (0.1, -0.1, 2.0):
        for layout in ("one", "two"):
            chosen, _ = lay_out(layout, Cam(fps=30.0))
            yield Case(
                name=f"clock/jumps-by-{by:g}s/{layout}",
                rigs=(replace(chosen[0], clock=(3.0, by)),),
                truth=Truth.BAD,
                seconds=9.0,
                words=NOT_GOOD,
                says=(Say(words=rf"^cams: .*clock jumped by -?{_say_jump(by)}"),),
            )


def leaders_at_fault() -> Iterator[Case]:
    for layout in ("one", "rigs"):
        rigs, _ = lay_out(layout, Cam(fps=30.0))
        for end in ("exit", "crash"):
            yield Case(
                name=f"task/{end}/{layout}",
                rigs=rigs,
                truth=Truth.BAD,
                seconds=2.0,
                task=end,
                then=("recover", "--stop"),
                words=(INTERRUPTED,),
                says=(Say(words="^the task that led it died while the rigs recorded"),),
                limit=120.0,
            )
        yield Case(
            name=f"task/raise/{layout}",
            rigs=rigs,
            truth=Truth.BAD,
            seconds=2.0,
            task="raise",
            words=(INTERRUPTED,),
            says=(Say(words="^it was interrupted .*one trial too many", about=(2.0,)),),
        )
    records_on = {"end_status": 20}
    says = (Say(words="^ibl says that it still records: stop it there"),)
    yield Case(
        name="ibl/records-on/beside-cameras",
        rigs=(Rig(cams=(Cam(fps=30.0),)), Rig(name="ibl", ibl=records_on)),
        truth=Truth.BAD,
        words=NOT_GOOD,
        says=says,
    )
    yield Case(
        name="ibl/records-on/one-of-two",
        rigs=(Rig(name="first", ibl={"main_sync": True}), Rig(name="ibl", ibl=records_on)),
        truth=Truth.BAD,
        words=NOT_GOOD,
        says=says,
    )
    yield Case(
        name="ibl/records-on/alone",
        rigs=(Rig(name="ibl", ibl={"main_sync": True, **records_on}),),
        truth=Truth.BAD,
        words=NOT_GOOD,
        says=says,
    )


def refused() -> Iterator[Case]:
    """Sessions whose data would be mixed up."""
    left = Rig(name="one", cams=(Cam(label="left", fps=30.0),))
    again = Rig(name="other", cams=(Cam(label="left", fps=30.0),))
    both = (Say(words="one.*other|other.*one", where="output"),)
    words = (NOTHING, ABORTED)
    for name, rigs in (
        ("same-label/two-pcs", (left, again)),
        ("same-label/one-pc", (left, replace(again, shares="one"))),
        (
            "same-place/programs",
            (
                Rig(name="one", program={}),
                Rig(name="other", program={"writes": "no file", "ready": False}, shares="one"),
            ),
        ),
        (
            "same-place/two-writers",
            (Rig(name="one", program={}), Rig(name="other", program={}, shares="one")),
        ),
    ):
        yield Case(
            name=f"refused/{name}",
            rigs=rigs,
            truth=Truth.REFUSED,
            seconds=3.0,
            words=words,
            says=both,
        )
    named = Rig(
        name="other", cams=(Cam(label="right", fps=30.0),), keys={"name": "one", "log_folder": "other-logs"}
    )
    yield Case(
        name="refused/same-name",
        rigs=(left, named),
        truth=Truth.REFUSED,
        seconds=3.0,
        words=words,
        says=(Say(words="name", where="output"),),
    )


# -- honest --------------------------------------------------------------------------------------------------


def honest(name: str, rigs: tuple[Rig, ...], **keys: Any) -> Case:
    """Return a case in which nothing is wrong."""
    return Case(name=f"honest/{name}", rigs=rigs, truth=Truth.HONEST, **keys)


def honest_rates() -> Iterator[Case]:
    for rate, seconds in ((1, 8), (5, 6), (10, 6), (25, 5), (30, 5), (60, 5), (100, 4), (200, 4)):
        for told in (float(rate), None):
            for layout in ("one", "two"):
                for jitter in (0.05, 0.3):
                    rigs, _ = lay_out(layout, Cam(rate=float(rate), fps=told, jitter=jitter))
                    yield honest(
                        f"rate/{rate}/{'told' if told else 'untold'}/jitter-{jitter:g}/{layout}",
                        rigs,
                        seconds=float(seconds),
                    )
    for rate in (500, 1000):
        for told in (float(rate), None):
            rigs, _ = lay_out("one", Cam(rate=float(rate), fps=told, keys={"queue": 600}))
            yield honest(f"rate/{rate}/{'told' if told else 'untold'}", rigs, seconds=4.0)
    for slow, lasts in ((0.5, 16.0), (0.15, 40.0)):
        for layout in ("one", "two"):
            rigs, _ = lay_out(layout, Cam(rate=slow, fps=slow, keys={"open_limit": 40}))
            yield honest(f"rate/{slow:g}/told/{layout}", rigs, seconds=lasts, limit=160.0)


def honest_ends() -> Iterator[Case]:
    for layout in LAYOUTS:
        for stop in STOPS:
            for seconds in (1.0, 3.0, 8.0):
                rigs, _ = lay_out(layout, Cam(fps=30.0))
                yield honest(
                    f"stop/{stop.replace(' ', '-')}/{seconds:g}s/{layout}",
                    rigs,
                    stop=stop,
                    seconds=seconds,
                )
        rigs, _ = lay_out(layout, Cam(fps=30.0))
        yield honest(f"long/40s/{layout}", rigs, seconds=40.0, limit=160.0)


def honest_loads() -> Iterator[Case]:
    for layout in LAYOUTS:
        for rate in (30.0, 60.0):
            for load in (1, 2):
                rigs, _ = lay_out(layout, Cam(fps=rate, rate=rate))
                yield honest(f"load/{load}/at-{rate:g}/{layout}", rigs, load=load)


def honest_wires() -> Iterator[Case]:
    for layout in LAYOUTS:
        for stop in ("end", "interrupt"):
            rigs, _ = lay_out(layout, Cam(fps=30.0))
            rigs = tuple(replace(one, scheme="tcp") for one in rigs)
            yield honest(f"tcp/{stop}/{layout}", rigs, stop=stop, seconds=4.0)


def honest_labs() -> Iterator[Case]:
    four = tuple(Cam(label=label, fps=30.0) for label in ("left", "right", "body", "top"))
    yield honest("lab/four-cameras", (Rig(cams=four),))
    yield honest("lab/four-rigs", tuple(Rig(name=f"r{one.label}", cams=(one,)) for one in four))
    mixed = tuple(
        replace(cam, rate=rate, fps=rate) for cam, rate in zip(four, (10.0, 30.0, 60.0, 100.0), strict=True)
    )
    yield honest("lab/four-rates", (Rig(cams=mixed),))
    yield honest("lab/cameras-and-program", (Rig(cams=four[:2]), Rig(name="prog", program={})))
    yield honest("lab/cameras-and-fake", (Rig(cams=four[:2]), Rig(name="fake")))
    for crf in (0, 18):
        cam = Cam(fps=30.0, keys={"crf": crf})
        yield honest(f"codec/crf-{crf}", (Rig(cams=(cam,)),))
    for preset in ("veryfast", "medium"):
        cam = Cam(fps=30.0, keys={"preset": preset})
        yield honest(f"codec/{preset}", (Rig(cams=(cam,)),))
    for rate in (10.0, 30.0, 60.0):
        for layout in ("one", "two"):
            rigs, _ = lay_out(layout, Cam(over="test", rate=rate, fps=rate, keys={"size": [128, 112]}))
            yield honest(f"pattern/{rate:g}/{layout}", rigs, seconds=4.0)
    for seconds in (0.5, 2.0, 5.0):
        yield honest(f"fake/{seconds:g}s", (Rig(name="fake"),), seconds=seconds)
        yield honest(f"fake/two/{seconds:g}s", (Rig(name="fake"), Rig(name="other")), seconds=seconds)


def honest_programs() -> Iterator[Case]:
    cameras = Rig(cams=(Cam(fps=30.0),))
    kinds: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], tuple[str, ...]]] = {
        "well": ({}, {}, (GOOD,)),
        "unheard": ({"says": "chat"}, NO_PROGRESS, (GOOD, UNVERIFIED)),
        "slow-to-start": ({"slow_to_start": 2.0}, {}, (GOOD,)),
        "slow-to-stop": ({"slow_to_stop": 2.0}, {}, (GOOD,)),
        "two-files": ({"names": ["a.bin", "b.bin"]}, {}, (GOOD,)),
        "many-files": ({"names": [f"{n:02}.bin" for n in range(60)]}, {}, (GOOD,)),
        "drops-nothing": (
            {"drops": 0},
            {"progress": r"samples (?P<frames>\d+)( dropped (?P<dropped>\d+))?"},
            (GOOD,),
        ),
        "says-no-error": ({"complains": "no Error of ours"}, {}, (GOOD,)),
    }
    for name, (program, adapter, words) in kinds.items():
        rig = Rig(name="prog", program=program, adapter=adapter)
        for company, rigs in (("alone", (rig,)), ("beside-cameras", (cameras, rig))):
            for stop in ("end", "interrupt"):
                yield honest(
                    f"program/{name}/{company}/{stop}",
                    rigs,
                    stop=stop,
                    seconds=4.0,
                    words=words,
                )


def honest_streams() -> Iterator[Case]:
    for layout in ("one", "two"):
        for rate in (10.0, 30.0):
            for told in (rate, None):
                rigs, _ = lay_out(layout, Cam(over="rtsp", rate=rate, fps=told))
                yield honest(f"rtsp/{rate:g}/{'told' if told else 'untold'}/{layout}", rigs)
        for length in (0.5, 1.5, 2.5):
            cam = Cam(over="rtsp", fps=30.0, faults=(Fault(kind="hiccup", at=2.0, seconds=length),))
            rigs, _ = lay_out(layout, cam)
            yield honest(
                f"rtsp/hiccup/{length:g}s/{layout}",
                rigs,
                seconds=4.0 + length,
            )
    for rate in (10.0, 30.0, 60.0):
        yield honest(f"ts/{rate:g}", (Rig(cams=(Cam(over="ts", rate=rate, fps=rate),)),))


def honest_leaders() -> Iterator[Case]:
    """What happens to those who lead, and takes nothing from the recording."""
    for layout in ("one", "rigs"):
        rigs, _ = lay_out(layout, Cam(fps=30.0))
        # nobody has said for how long it was to record: it is whole from the start to the stop
        yield honest(
            f"leader-is-killed/{layout}",
            rigs,
            seconds=3.0,
            stop="kill",
            then=("recover", "--stop"),
            words=(GOOD, INTERRUPTED),
            says=(Say(words="died", where="notes"),),
            limit=120.0,
        )
        yield honest(f"task/well/{layout}", rigs, task="well", seconds=3.0)
        yield honest(f"task/mark/{layout}", rigs, task="mark", seconds=2.0)
        off = Rig(name="off", role="optional", is_off=True)
        nowhere = replace(off, keys={"uri": "udp://no-such-pc.invalid:11001"})
        for name, rig in (("silent", off), ("unknown", nowhere)):
            yield honest(
                f"optional-rig-is-off/{name}/{layout}",
                (*rigs, rig),
                seconds=3.0,
                says=(Say(words="off", where="notes"),),
            )
        away = (Act(at=3.8, what="cut"), Act(at=7.8, what="mend"))
        yield honest(
            f"network/away-at-the-stop/{layout}",
            rigs,
            seconds=4.0,
            acts=away,
            network=True,
        )
        yield honest(
            f"network/away-in-the-middle/{layout}",
            rigs,
            seconds=8.0,
            acts=(Act(at=2.0, what="cut"), Act(at=5.0, what="mend")),
            network=True,
        )
        yield honest(
            f"state-folder-not-writable/{layout}",
            rigs,
            seconds=3.0,
            environment={"XDG_STATE_HOME": "/proc/no-such-folder"},
        )
    many = Rig(name="prog", program={"names": [f"a_file_with_a_long_name_{n:02}.bin" for n in range(60)]})
    yield honest("path-drops-fragments/many-files", (replace(many, longest=1200),), limit=160.0)
    four = tuple(Cam(label=label, fps=30.0) for label in ("left", "right", "body", "top"))
    yield honest("path-drops-fragments/four-cameras", (Rig(cams=four, longest=1200),), limit=160.0)
    slow = {"slow_to_start": 40.0}
    limits = {"limits": {"initialise": 120, "start": 120}}
    yield honest(
        "slow-to-initialise",
        (Rig(name="prog", program=slow, adapter={"start_on": "init", "ready_limit": 100}, keys=limits),),
        seconds=3.0,
        limit=160.0,
    )
    yield honest("ibl/alone", (Rig(name="ibl", ibl={"main_sync": True}),), words=(UNVERIFIED,))
    yield honest(
        "ibl/beside-cameras",
        (Rig(cams=(Cam(fps=30.0),)), Rig(name="ibl", ibl={})),
        words=(UNVERIFIED,),
    )
    yield honest(
        "time-zone-of-its-own",
        (Rig(cams=(Cam(fps=30.0),), environment={"TZ": "America/New_York"}),),
        seconds=3.0,
        words=(GOOD, NOTHING, ABORTED),
        says=(Say(words="GOOD|time zone", where="output"),),
        environment={"TZ": "UTC"},
    )


SHORT = (
    "silent-to-the-end/3.5s/hang-up/one",
    "gap/middle/4s-at-30/one",
    "untold/hiccup/one",
    "rate/10-of-30/one",
    "closes/middle/0.3s/two",
    "hiccup/middle/1.5s/one",
    "damage/every-5/one",
    "both/silent-to-the-end/two",
    "optional/gap",
    "rtsp/silent-to-the-end/3.5s/one",
    "ts/loss-10%/at-30/one",
    "program/stops-writing/alone/end",
    "disk/full-on-a-rig/64MB/alone",
    "rig/killed-and-restarted/cameras/alone",
    "clock/jumps-by-0.1s/one",
    "task/exit/one",
    "ibl/records-on/beside-cameras",
    "refused/same-label/two-pcs",
    "honest/rate/200/told/jitter-0.3/one",
    "honest/stop/hang-up/3s/one",
    "honest/long/40s/one",
    "honest/load/1/at-30/one",
    "honest/tcp/end/one",
    "honest/lab/four-cameras",
    "honest/codec/crf-0",
    "honest/pattern/30/one",
    "honest/fake/2s",
    "honest/program/well/alone/end",
    "honest/rtsp/hiccup/1.5s/one",
    "honest/ts/30",
    "honest/leader-is-killed/one",
    "honest/task/mark/one",
    "honest/optional-rig-is-off/unknown/one",
    "honest/network/away-at-the-stop/one",
    "honest/state-folder-not-writable/one",
    "honest/path-drops-fragments/many-files",
    "honest/slow-to-initialise",
    "honest/ibl/beside-cameras",
    "honest/time-zone-of-its-own",
)
"""What is played for each change: one of each kind."""

CASES: tuple[Case, ...] = tuple(
    case
    for family in (
        silent_to_the_end,
        gaps,
        untold,
        rates,
        closes,
        hiccups,
        damage,
        both_at_fault,
        optional_rigs,
        streams,
        programs,
        disks,
        rigs_at_fault,
        leaders_at_fault,
        refused,
        honest_rates,
        honest_ends,
        honest_loads,
        honest_wires,
        honest_labs,
        honest_programs,
        honest_streams,
        honest_leaders,
    )
    for case in family()
)
