"""The conversations of the corpus, as they were played when it was recorded. Only `record.py` needs it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.unit.corpus.driver import Line, expand, to_bytes
from tests.unit.corpus.stage import (
    DATE,
    DELAY,
    MS,
    SECOND,
    Carry,
    EchoPeer,
    RigHands,
    Stage,
    carry_all,
    ibl_rig,
    scan_image,
)

PLAYS: dict[str, Callable[[], Stage]] = {}
"""Every conversation by its name, which is that of its file."""
PC, PC2, SCREEN = "udp://10.0.0.1:50000", "udp://10.0.0.2:50000", "udp://10.0.2.1:50000"
MAIN, CAM, LEFT = "udp://10.0.1.1:11001", "udp://10.0.1.2:11001", "udp://10.0.1.3:11001"
REF = f"{DATE}_1_SP_01"
CLOCKS = {
    "pc": 40 * SECOND,
    "pc2": 45 * SECOND,
    "main": 100 * SECOND,
    "cam": 7 * SECOND,
    "left": 9000 * SECOND,
}
CLOCKS["screen"] = SECOND
ADDRESSES = {"pc": PC, "pc2": PC2, "main": MAIN, "cam": CAM, "left": LEFT, "screen": SCREEN}
ABOUT = {"adapter": "fake", "version": "0.1.0"}
OPENING = '{"at":0,"wall":"2024-05-06T12:00:00.000000+00:00","kind":"Opened","data":{"version":"0.1.0"}}\n'
IBL_INFO = {
    "exp_ref": None,
    "main_sync": False,
    "experiment_description": {},
    "master": False,
    "rig_version": "8.24.7",
    "spec_version": "1.0.0",
    "subject": "SP_01",
}
CRASH: list[dict[str, Any]] = [
    {"error": "ValueError", "message": "the valve", "traceback": "…", "file": "task.py", "line_no": 12}
]


def play(function: Callable[[], Stage]) -> Callable[[], Stage]:
    """Keep a conversation under its name."""
    PLAYS[function.__name__.replace("_", "-")] = function
    return function


# -- who takes part ---------------------------------------------------------------------------------------


class Lab:
    """A conductor and rigs of multirig on a stage."""

    def __init__(
        self, *rigs: str, carry: Carry = carry_all, hands: Mapping[str, Any] | None = None, **each: Any
    ) -> None:
        self.stage = Stage(carry)
        self.hands: dict[str, RigHands] = {}
        for name in rigs:
            self.rig(name, hands=(hands or {}).get(name, {}), **each.get(name, {}))

    def rig(self, name: str, *, hands: Mapping[str, Any] | None = None, **settings: Any) -> None:
        """Start a rig."""
        more = {"session_clock": CLOCKS["pc"], **(hands or {})}
        self.hands[name] = RigHands(self.stage, name, **more)
        self.boot_rig(name, **settings)

    def boot_rig(self, name: str, **settings: Any) -> None:
        """Start a rig's program, the first or another one."""
        about: dict[str, Any] = {"main_sync": name == "main", "about": ABOUT, "clock": CLOCKS[name]}
        self.stage.boot(name, "rig", ADDRESSES[name], **{**about, "clock_port": 11002, **settings})

    def pc(
        self, rigs: Mapping[str, str] | None = None, who: str = "pc", *, policies: Any = None, **settings: Any
    ) -> None:
        """Start a conductor."""
        self.stage.boot(who, "conductor", ADDRESSES[who], clock=CLOCKS[who], name="behaviour", **settings)
        rigs = {name: ADDRESSES[name] for name in self.hands} if rigs is None else rigs
        self.stage.do(who, "rigs", rigs=dict(rigs), policies=policies or {})

    def agree(self, who: str = "pc", subject: str = "SP_01", **more: Any) -> None:
        """Ask who is recorded and under which number."""
        info = {
            "exp_ref": more.get("here"),
            "main_sync": "here" in more,
            "experiment_description": {},
            "master": "here" in more,
            "spec_version": "1.0.0",
            "subject": subject,
            **more.pop("info", {}),
        }
        number = self.stage.number(who)
        self.stage.do(who, "agree", number=number, subject=subject, date=DATE, info=info, **more)
        self.stage.run(0.1)

    def step(self, step: str, seconds: float = 0.0, who: str = "pc", **data: Any) -> None:
        """Take a step."""
        self.stage.do(who, "step", number=self.stage.number(who), step=step, data=data)
        self.stage.run(seconds or (0.4 if step == "start" else 0.15))

    def ask(
        self,
        *message: Any,
        rigs: list[str] | None = None,
        seconds: float = 0.12,
        who: str = "pc",
        **more: Any,
    ) -> None:
        """Ask something beside the steps."""
        self.stage.do(who, "ask", number=self.stage.number(who), message=list(message), rigs=rigs, **more)
        self.stage.run(seconds)

    def begin(self, **agree: Any) -> None:
        """Let a session run."""
        self.agree(**agree)
        self.step("initialise")
        self.step("start")

    def finish(self) -> Stage:
        """End a session in good order."""
        self.step("stop")
        self.step("clean up")
        return self.stage

    def die(self, who: str) -> None:
        """Let a program die."""
        self.stage.do(who, "die")

    def journal(self, who: str = "pc") -> list[str]:
        """Return what a conductor's program has put into its journal."""
        from multirig.record.entries import input_line

        lines = [OPENING]
        for event, at in self.stage.computers[who].records:
            line = json.loads(input_line(event, at))
            lines.append(json.dumps({**line, "wall": "2024-05-06T12:00:00.000000+00:00"}) + "\n")
        return lines


def running(*rigs: str, **each: Any) -> Lab:
    """Return a lab in which a session runs."""
    lab = Lab(*rigs, **each)
    lab.pc()
    lab.begin()
    return lab


class Foreign:
    """A conductor on wire 1.0 that leads one rig of multirig."""

    def __init__(
        self, *, compact: bool = False, carry: Carry = carry_all, hands: Any = None, **settings: Any
    ) -> None:
        self.lab = Lab("main", carry=carry, main=settings, hands={"main": hands or {}})
        self.stage = self.lab.stage
        self.peer = EchoPeer(self.stage, PC, compact=compact)

    def say(self, *arrays: Any, seconds: float = 0.2) -> Foreign:
        """Say one after the other."""
        for array in arrays:
            self.peer.say(MAIN, array)
            self.stage.run(seconds)
        return self

    def until_running(self) -> Foreign:
        """Say what begins a session."""
        return self.say([64, 0, IBL_INFO], [1, {"exp_ref": REF}], [2, REF, None])


# -- wire 2: whole sessions ---------------------------------------------------------------------------------


@play
def wire2_session_of_one_main_sync() -> Stage:
    return running("main").finish()


@play
def wire2_session_of_three_rigs() -> Stage:
    return running("main", "cam", "left").finish()


@play
def wire2_session_with_this_pc_as_main_sync() -> Stage:
    lab = Lab("main", "left")
    lab.pc()
    lab.begin(here=f"{DATE}_3_SP_01")
    return lab.finish()


@play
def wire2_two_sessions_count_up() -> Stage:
    lab = running("main")
    lab.finish()
    lab.begin()
    return lab.finish()


@play
def wire2_min_sequence() -> Stage:
    lab = Lab("main")
    lab.pc()
    lab.begin(info={"min_sequence": 12})
    return lab.finish()


@play
def wire2_number_used_here_already() -> Stage:
    lab = running("main")
    lab.finish()
    lab.hands["main"].sequence = 1
    lab.begin()
    return lab.stage


@play
def wire2_preflight_check() -> Stage:
    lab = Lab("main", "cam")
    lab.pc()
    lab.ask(64, 0, {"subject": None, "check": {"seconds": 3600.0}})
    lab.ask(64, 0, {"subject": None, "check": {"seconds": None}})
    return lab.stage


@play
def wire2_start_at_with_known_clocks() -> Stage:
    lab = Lab("main", "cam")
    lab.pc(limits={"lead": SECOND // 10})
    lab.agree()
    for name in ("main", "cam"):
        offset = CLOCKS[name] - CLOCKS["pc"]
        reading = {"rig": name, "at": lab.stage.time + CLOCKS["pc"], "offset": offset, "bound": 500_000}
        lab.stage.do("pc", "clock", reading={**reading, "drift": 1.5, "round_trip": 2_000_000})
    lab.step("initialise")
    lab.step("start")
    return lab.finish()


@play
def wire2_rehearsal() -> Stage:
    lab = Lab("main")
    lab.pc()
    lab.ask(64, 0, {"subject": None, "check": {"seconds": None}})
    ref = f"{DATE}_1_rehearsal"
    lab.ask(1, {"exp_ref": ref, "rehearsal": True})
    lab.ask(2, ref, {"rehearsal": True, "start_at": lab.stage.time + CLOCKS["pc"] + SECOND // 10})
    lab.ask(4, {"exp_ref": ref})
    lab.ask(8, {"exp_ref": ref})
    return lab.stage


@play
def wire2_waves_after() -> Stage:
    lab = Lab("main", "cam", "left")
    lab.pc(policies={"cam": {"after": ["main"]}, "left": {"after": ["cam"]}})
    lab.begin()
    return lab.finish()


@play
def wire2_over_tcp() -> Stage:
    lab = Lab()
    stage = lab.stage
    lab.hands["main"] = RigHands(stage, "main", session_clock=CLOCKS["pc"])
    stage.boot("main", "rig", "tcp://10.0.1.1:11001", main_sync=True, about=ABOUT, clock=CLOCKS["main"])
    stage.boot("pc", "conductor", "tcp://10.0.0.1:50000", clock=CLOCKS["pc"], name="behaviour")
    stage.do("pc", "rigs", rigs={"main": "tcp://10.0.1.1:11001"}, policies={})
    lab.begin()
    return lab.finish()


@play
def wire2_joins_a_main_sync_that_records() -> Stage:
    lab = Lab("main", "cam")
    lab.pc()
    lab.stage.do("main", "commanded", event="EXPSTART", exp_ref=REF)
    lab.stage.run(0.2)
    lab.begin()
    return lab.finish()


@play
def wire2_joined_and_rolled_back() -> Stage:
    lab = Lab("main", "cam", hands={"cam": {"fails": {"initialise": "the lens cap is on"}}})
    lab.pc()
    lab.stage.do("main", "commanded", event="EXPSTART", exp_ref=REF)
    lab.stage.run(0.2)
    lab.agree()
    lab.step("initialise", 1.0)
    return lab.stage


# -- wire 2: interrupts and failures ------------------------------------------------------------------------


def _interrupt_in(state: str) -> Stage:
    lab = Lab("main", "cam", hands={"cam": {"times": {"initialise": 1.0, "start": 1.0, "stop": 1.0}}})
    lab.pc()
    lab.agree()
    steps = {"initialise": 0.5, "initialised": 1.5, "start": 0.8, "running": 2.0, "stop": 0.5, "stopped": 1.5}
    for step, seconds in steps.items():
        if step in ("initialise", "start", "stop"):
            lab.step(step, seconds if state == step else 1.6)
        if state == step:
            break
    lab.step("interrupt", 1.6, error="interrupted", message="the operator has pressed Ctrl-C")
    lab.step("clean up")
    return lab.stage


for _state in ("agreed", "initialise", "initialised", "start", "running", "stop", "stopped"):

    def _interrupt(state: str = _state) -> Stage:
        if state == "agreed":
            lab = Lab("main")
            lab.pc()
            lab.agree()
            lab.step("interrupt", error="interrupted", message="given up")
            lab.step("clean up")
            return lab.stage
        return _interrupt_in(state)

    PLAYS[f"wire2-interrupt-in-{_state}"] = _interrupt


@play
def wire2_interrupt_with_an_error_of_the_task() -> Stage:
    lab = running("main")
    lab.step("interrupt", **{**CRASH[0]})
    lab.step("clean up")
    return lab.stage


for _hook in ("initialise", "start", "stop", "cleanup"):

    def _failure(hook: str = _hook) -> Stage:
        lab = Lab("main", "cam", hands={"cam": {"fails": {hook: "the lens cap is on"}}})
        lab.pc()
        lab.agree()
        lab.step("initialise", 1.0)
        if hook != "initialise":
            lab.step("start", 1.0)
        if hook in ("stop", "cleanup"):
            lab.step("stop")
            lab.step("clean up")
        lab.ask(32, 0)
        lab.hands["cam"].fails.clear()
        lab.ask(8, None)
        return lab.stage

    PLAYS[f"wire2-failure-of-{_hook}"] = _failure


@play
def wire2_optional_rig_fails_to_start() -> Stage:
    lab = Lab("main", "cam", hands={"cam": {"fails": {"start": "no trigger"}}})
    lab.pc(policies={"cam": {"role": "optional"}})
    lab.begin()
    return lab.finish()


@play
def wire2_optional_rig_is_absent() -> Stage:
    lab = Lab("main")
    lab.pc({"main": MAIN, "cam": CAM}, policies={"cam": {"role": "optional"}}, limits={"agree": SECOND})
    lab.agree()
    lab.stage.run(1.5)
    lab.step("initialise")
    lab.step("start")
    return lab.finish()


@play
def wire2_recording_breaks_by_itself() -> Stage:
    lab = running("main")
    lab.stage.do("main", "broke", reason="recording: the camera was unplugged")
    lab.stage.run(0.5)
    return lab.finish()


@play
def wire2_essential_recording_breaks() -> Stage:
    lab = Lab("main", "cam")
    lab.pc(policies={"cam": {"role": "essential"}})
    lab.begin()
    lab.stage.do("cam", "broke", reason="recording: the camera was unplugged")
    lab.stage.run(1.0)
    lab.step("clean up")
    return lab.stage


@play
def wire2_health_stall_and_growth() -> Stage:
    lab = running("main", main={"stall_after": SECOND})
    for frames in (100, 100, 100, 200):
        lab.stage.do(
            "main", "measured", health={"frames": frames, "bytes": 1000 * frames, "dropped": 0, "rate": 99.5}
        )
        lab.stage.do("main", "space", free=9_000_000_000, hours_left=1.25)
        lab.stage.run(0.7)
    return lab.finish()


@play
def wire2_hook_hangs_and_the_answer_times_out() -> Stage:
    lab = Lab("main", "cam", hands={"cam": {"hangs": {"initialise"}}})
    lab.pc(limits={"initialise": SECOND})
    lab.agree()
    lab.step("initialise", 3.0)
    return lab.stage


@play
def wire2_stop_that_takes_long_is_confirmed_and_not_waited_for() -> Stage:
    lab = Lab("main", hands={"main": {"times": {"stop": 3.0}}})
    lab.pc(limits={"stop": SECOND})
    lab.begin()
    lab.step("stop", 4.0)
    lab.step("clean up")
    return lab.stage


# -- wire 2: who leads --------------------------------------------------------------------------------------


@play
def wire2_refused_since_led_by_another() -> Stage:
    lab = running("main", "cam")
    lab.pc(who="pc2")
    lab.agree(who="pc2")
    lab.ask(1, {"exp_ref": REF}, who="pc2")
    lab.ask(4, {"exp_ref": REF}, who="pc2")
    lab.ask(8, {"exp_ref": REF}, who="pc2")
    return lab.finish()


@play
def wire2_taken_over() -> Stage:
    lab = running("main", "cam")
    lab.pc(who="pc2")
    lab.agree(who="pc2", takes_over=True)
    lab.step("initialise", who="pc2")
    lab.step("start", who="pc2")
    lab.step("stop", who="pc2")
    lab.step("clean up", who="pc2")
    return lab.stage


@play
def wire2_taken_over_by_expinfo() -> Stage:
    lab = running("main")
    lab.pc(who="pc2")
    lab.agree(who="pc2", takes_over=True, info={"take_over": True})
    lab.ask(32, 0, who="pc2")
    lab.step("stop")
    return lab.stage


@play
def wire2_refused_since_set_up_for_another_subject() -> Stage:
    lab = Lab("main", "cam", cam={"subject": "SP_02"})
    lab.pc()
    lab.agree()
    lab.ask(1, {"exp_ref": REF}, rigs=["cam"])
    lab.stage.do("cam", "subject chosen", subject="SP_01")
    lab.agree()
    lab.step("initialise")
    lab.step("clean up")
    return lab.stage


@play
def wire2_main_sync_is_set_up_for_another_subject() -> Stage:
    lab = Lab("main", main={"subject": "SP_02"})
    lab.pc()
    lab.agree()
    lab.agree(subject="SP_02")
    return lab.stage


@play
def wire2_no_main_sync_and_two_of_them() -> Stage:
    lab = Lab("cam", "left")
    lab.pc()
    lab.agree()
    lab.boot_rig("cam", main_sync=True)
    lab.boot_rig("left", main_sync=True)
    lab.agree()
    return lab.stage


@play
def wire2_refused_for_another_session() -> Stage:
    lab = Lab("main")
    lab.pc()
    lab.agree()
    lab.step("initialise")
    other = f"{DATE}_9_SP_01"
    for message in (
        [2, other, None],
        [4, {"exp_ref": other}],
        [8, {"exp_ref": other}],
        [1, {"exp_ref": other}],
    ):
        lab.ask(*message, rigs=["main"])
    lab.ask(1, {"exp_ref": REF}, rigs=["main"])
    lab.step("start")
    for message in (
        [2, other, None],
        [4, {"exp_ref": other}],
        [16, {"exp_ref": other}],
        [1, {"exp_ref": other}],
    ):
        lab.ask(*message, rigs=["main"])
    return lab.finish()


@play
def wire2_commands_are_answered_when_they_are_done_already() -> Stage:
    lab = running("main")
    lab.ask(1, {"exp_ref": REF})
    lab.ask(2, REF, None)
    lab.step("stop")
    lab.ask(4, {"exp_ref": REF})
    lab.ask(16, {"exp_ref": REF, "error": "again"})
    lab.ask(2, REF, None)
    lab.step("clean up")
    lab.ask(8, {"exp_ref": REF})
    lab.ask(4, {"exp_ref": REF})
    return lab.stage


@play
def wire2_references_in_every_form() -> Stage:
    lab = Lab("main")
    lab.pc()
    lab.agree()
    lab.ask(1, {"date": DATE, "sequence": "001", "subject": "SP_01"})
    lab.ask(2, "2024-05-06_001_SP_01", None)
    lab.ask(4, None)
    lab.ask(8, None)
    lab.ask(1, "not a reference")
    lab.ask(2, None, None)
    lab.ask(1, None)
    return lab.stage


@play
def wire2_refused_for_another_day() -> Stage:
    lab = Lab("main", "cam", hands={"cam": {"info": {"date": "2024-05-07"}}})
    lab.pc()
    lab.agree()
    return lab.stage


@play
def wire2_rig_stops_since_its_conductor_is_silent() -> Stage:
    lab = running("main", main={"stop_after": 2 * SECOND})
    lab.die("pc")
    lab.stage.run(4.0)
    return lab.stage


@play
def wire2_conductor_dies_and_another_program_goes_on() -> Stage:
    lab = running("main", "cam")
    lab.die("pc")
    lab.stage.run(0.5)
    lab.pc(journal=lab.journal())
    lab.step("recover")
    lab.step("go on")
    return lab.finish()


@play
def wire2_conductor_dies_and_another_program_stops_it() -> Stage:
    lab = running("main")
    lab.die("pc")
    lab.stage.run(5.0)
    lab.pc(journal=lab.journal())
    lab.step("recover")
    lab.step("stop")
    lab.step("clean up")
    return lab.stage


@play
def wire2_recovered_session_is_led_by_another_meanwhile() -> Stage:
    lab = running("main")
    lab.die("pc")
    lab.stage.run(3.0)
    lab.pc(who="pc2")
    lab.agree(who="pc2", takes_over=True)
    lab.step("initialise", who="pc2")
    lab.pc(journal=lab.journal())
    lab.step("recover")
    lab.step("go on")
    lab.step("recover", take_over=True)
    lab.step("go on")
    return lab.finish()


@play
def wire2_conductor_closes_between_sessions_and_is_back() -> Stage:
    lab = running("main")
    lab.finish()
    lab.die("pc")
    lab.stage.run(1.0)
    lab.pc()
    lab.begin()
    return lab.finish()


# -- wire 2: rigs that die ----------------------------------------------------------------------------------

GAP = {"from": "2024-05-06T12:00:01.000+00:00", "to": "2024-05-06T12:00:02.000+00:00", "seconds": 1.0}
LEFT_FILES = [{"path": "raw_video_data/fake.csv", "bytes": 2048, "frames": 50, "first": 41.0, "last": 41.5}]


def _restore(lab: Lab, who: str, state: str = "running", **more: Any) -> None:
    restored = {
        "state": state,
        "exp_ref": REF,
        "started": [REF],
        "stopped": [],
        "report": {"files": LEFT_FILES},
    }
    lab.stage.do(who, "restored", **{**restored, "gap": GAP if state == "running" else None, **more})


@play
def wire2_rig_dies_and_resumes() -> Stage:
    lab = running("main", main={"resumes": True})
    lab.die("main")
    lab.stage.run(1.0)
    lab.boot_rig("main", resumes=True)
    _restore(lab, "main")
    lab.stage.run(1.5)
    return lab.finish()


@play
def wire2_rig_dies_and_does_not_resume() -> Stage:
    lab = running("main")
    lab.die("main")
    lab.stage.run(1.0)
    lab.boot_rig("main")
    _restore(lab, "main")
    lab.stage.run(1.5)
    return lab.finish()


@play
def wire2_rig_dies_and_its_resume_fails() -> Stage:
    lab = running("main", main={"resumes": True})
    lab.die("main")
    lab.hands["main"].fails["resume"] = "the camera is gone"
    lab.stage.run(1.0)
    lab.boot_rig("main", resumes=True)
    _restore(lab, "main")
    lab.stage.run(1.5)
    return lab.finish()


@play
def wire2_rig_dies_before_the_start() -> Stage:
    lab = Lab("main", "cam")
    lab.pc()
    lab.agree()
    lab.step("initialise")
    lab.die("cam")
    lab.stage.run(0.3)
    lab.boot_rig("cam")
    lab.step("start", 1.5)
    return lab.stage


@play
def wire2_rig_dies_while_it_is_asked() -> Stage:
    lab = Lab("main", hands={"main": {"times": {"initialise": 0.8}}})
    lab.pc()
    lab.agree()
    lab.step("initialise", 0.3)
    lab.die("main")
    lab.hands["main"]._call = None
    lab.stage.run(0.3)
    lab.boot_rig("main")
    lab.stage.run(2.0)
    lab.step("start")
    return lab.finish()


@play
def wire2_rig_dies_between_sessions() -> Stage:
    lab = running("main")
    lab.finish()
    lab.die("main")
    lab.boot_rig("main")
    _restore(lab, "main", "connected", exp_ref=None, stopped=[REF])
    lab.begin()
    return lab.finish()


@play
def wire2_rig_is_silent_and_back() -> Stage:
    lab = Lab("main", carry=lambda a, b, data, n: [DELAY])
    lab.pc()
    lab.begin()
    lab.stage.carry = lambda a, b, data, n: [] if MAIN in (a, b) else [DELAY]
    lab.stage.run(4.0)
    lab.stage.carry = carry_all
    lab.stage.run(1.0)
    return lab.finish()


@play
def wire2_rig_is_lost_and_stopped_when_it_is_back() -> Stage:
    lab = Lab("main")
    lab.pc(limits={"stop": 2 * SECOND, "cleanup": SECOND})
    lab.begin()
    lab.stage.carry = lambda a, b, data, n: [] if MAIN in (a, b) else [DELAY]
    lab.stage.run(15.5)
    lab.step("stop", 3.0)
    lab.stage.carry = carry_all
    lab.stage.run(4.0)
    lab.step("clean up", 2.0)
    return lab.stage


@play
def wire2_essential_rig_is_lost() -> Stage:
    lab = Lab("main")
    lab.pc(policies={"main": {"role": "essential"}}, limits={"stop": 2 * SECOND, "cleanup": SECOND})
    lab.begin()
    lab.stage.carry = lambda a, b, data, n: [] if MAIN in (a, b) else [DELAY]
    lab.stage.run(18.5)
    lab.step("clean up", 2.0)
    return lab.stage


@play
def wire2_nothing_listens_there() -> Stage:
    lab = Lab("main")
    lab.stage.closed.add(CAM)
    lab.pc({"main": MAIN, "cam": CAM})
    lab.agree()
    return lab.stage


@play
def wire2_program_ends_and_its_system_says_so() -> Stage:
    lab = running("main")
    lab.die("main")
    lab.stage.closed.add(MAIN)
    lab.stage.run(3.0)
    lab.stage.closed.clear()
    lab.boot_rig("main")
    _restore(lab, "main")
    lab.stage.run(1.0)
    return lab.finish()


# -- wire 2: bad networks -----------------------------------------------------------------------------------


@play
def wire2_every_third_datagram_is_lost() -> Stage:
    lab = Lab("main", carry=lambda a, b, data, n: [] if n % 3 == 2 else [DELAY])
    lab.pc()
    lab.agree()
    lab.stage.run(2.0)
    lab.step("initialise", 2.0)
    lab.step("start", 2.0)
    lab.step("stop", 2.0)
    lab.step("clean up", 2.0)
    return lab.stage


@play
def wire2_every_datagram_comes_twice() -> Stage:
    lab = running("main", carry=lambda a, b, data, n: [DELAY, 40 * MS])
    return lab.finish()


@play
def wire2_datagrams_overtake_each_other() -> Stage:
    lab = running("main", carry=lambda a, b, data, n: [(1 + 60 * (n % 2)) * MS])
    return lab.finish()


@play
def wire2_answers_are_lost_for_a_while() -> Stage:
    lab = Lab("main")
    lab.pc()
    lab.agree()
    lab.stage.carry = lambda a, b, data, n: [] if a == MAIN else [DELAY]
    lab.step("initialise", 1.0)
    lab.stage.carry = carry_all
    lab.stage.run(1.0)
    return lab.stage


@play
def wire2_who_is_there_at_a_known_address() -> Stage:
    lab = running("main")
    stranger = {"multirig": 2, "boot": "feedfacefeedface", "to": "", "n": 1, "low": 1, "m": [32, 0], "t": [5]}
    boot = next(one["boot"] for one in lab.stage.lines if one["who"] == "main")
    for _ in range(2):
        lab.stage.send(PC, MAIN, json.dumps({**stranger, "to": boot}, separators=(",", ":")).encode())
        lab.stage.run(0.2)
    answer = {"multirig": 2, "boot": "feedfacefeedface", "to": boot, "here": 1}
    lab.stage.send(PC, MAIN, json.dumps(answer, separators=(",", ":")).encode())
    lab.stage.run(0.3)
    lab.stage.send(PC, MAIN, json.dumps({**stranger, "to": boot}, separators=(",", ":")).encode())
    lab.stage.run(0.5)
    return lab.finish()


@play
def wire2_junk() -> Stage:
    lab = running("main")
    boot = next(one["boot"] for one in lab.stage.lines if one["who"] == "main")
    frame = {"multirig": 2, "boot": "aaaa", "to": boot}
    junk: list[Any] = [
        b"",
        b"{",
        b"{}",
        b"[",
        b"\xff\xfe",
        b"x",
        b"[]",
        b"null",
        b'"text"',
        b"[true, 1]",
        b"[3]",
    ]
    junk += [b"[-1]", b"[1.5]", b"[[]]", b'["EXPWHAT"]', b'[0, "e"]', b"[null, 1]", b"[32]", b"[32, 99]"]
    junk += [
        {"multirig": 3, "boot": "aaaa", "to": boot, "n": 1},
        {"multirig": 2},
        {**frame, "n": 0, "m": [32]},
    ]
    junk += [{**frame, "n": "1"}, {**frame, "ack": "no"}, {**frame, "n": 1, "low": 1, "m": 5, "t": [1]}]
    junk += [{**frame, "beat": 1, "m": [3]}, {**frame, "t": ["x"]}, {**frame, "to": "nobody", "n": 1}]
    for one in junk:
        data = one if isinstance(one, bytes) else json.dumps(one).encode()
        lab.stage.send("udp://10.0.9.9:4000", MAIN, data)
        lab.stage.run(0.05)
    lab.stage.run(1.0)
    return lab.finish()


@play
def wire2_frames_are_echoed_by_a_peer() -> Stage:
    lab = Lab("main")
    lab.pc()
    lab.agree()
    lab.stage.carry = lambda a, b, data, n: [DELAY]
    for line in [one for one in lab.stage.lines if one.get("to") == MAIN]:
        lab.stage.send(MAIN, PC, to_bytes(line))
    lab.stage.run(0.5)
    lab.step("initialise")
    return lab.stage


@play
def wire2_strangers_are_turned_away() -> Stage:
    lab = Lab("main", main={"allow": ["10.0.0.1"]})
    lab.pc()
    EchoPeer(lab.stage, "udp://10.0.9.9:4000").say(MAIN, [64, 0, IBL_INFO])
    lab.begin()
    return lab.finish()


# -- wire 2: statuses, markers, pictures, pulses, tokens ----------------------------------------------------


@play
def wire2_status_asked_in_every_state() -> Stage:
    lab = Lab("main")
    lab.pc()
    lab.agree()
    lab.ask(32, 0)
    for step in ("initialise", "start", "stop", "clean up"):
        lab.step(step)
        lab.ask(32, 0)
    return lab.stage


@play
def wire2_markers() -> Stage:
    lab = Lab("main", "cam")
    lab.pc()
    lab.agree()
    lab.step("initialise")
    for text, data in (("light on", {}), ("trial", {"number": 7, "side": "left", "µ": 0.25})):
        lab.stage.do("pc", "mark", text=text, moment=lab.stage.time + CLOCKS["pc"], data=data)
    lab.step("start")
    for text, data in (("light on", {}), ("trial", {"number": 7, "side": "left", "µ": 0.25})):
        lab.stage.do("pc", "mark", text=text, moment=lab.stage.time + CLOCKS["pc"], data=data)
        lab.stage.run(0.2)
    return lab.finish()


@play
def wire2_pulses() -> Stage:
    lab = running("main")
    for _ in range(3):
        lab.stage.do("main", "pulsed", seconds=(lab.stage.time + CLOCKS["pc"]) / SECOND)
        lab.stage.run(0.3)
    return lab.finish()


def _observed(lab: Lab) -> None:
    lab.stage.boot("screen", "observer", SCREEN, clock=CLOCKS["screen"], name="console")
    lab.stage.do("screen", "follow", rigs=[ADDRESSES[name] for name in lab.hands])
    lab.stage.run(0.5)


@play
def wire2_observer_looks_on() -> Stage:
    lab = Lab("main")
    _observed(lab)
    lab.pc()
    lab.begin()
    lab.stage.run(2.0)
    lab.stage.do("screen", "ask", where=MAIN, number=1, limit=2 * SECOND)
    lab.stage.run(0.3)
    lab.finish()
    lab.stage.do("screen", "follow", rigs=[])
    lab.stage.run(2.0)
    return lab.stage


@play
def wire2_observer_renews_its_lease() -> Stage:
    lab = Lab("main")
    _observed(lab)
    lab.stage.run(15.0)
    return lab.stage


@play
def wire2_observer_wants_pictures() -> Stage:
    lab = Lab("main")
    _observed(lab)
    lab.stage.do("main", "pictures offered", labels=["left", "right"])
    lab.stage.run(1.5)
    for number in (1, 2):
        lab.stage.do("screen", "ask pictures", where=MAIN, number=number, limit=2 * SECOND)
        lab.stage.run(0.3)
    lab.stage.do("screen", "ask pictures", where=LEFT, number=3, limit=2 * SECOND)
    lab.stage.run(0.3)
    return lab.stage


@play
def wire2_observer_sees_a_rig_die_and_come_back() -> Stage:
    lab = Lab("main")
    _observed(lab)
    lab.stage.do("main", "commanded", event="EXPSTART", exp_ref=REF)
    lab.stage.run(1.0)
    lab.die("main")
    lab.stage.run(6.0)
    lab.boot_rig("main")
    _restore(lab, "main")
    lab.stage.run(6.0)
    return lab.stage


@play
def observer_of_foreign_rigs() -> Stage:
    stage = Stage()
    EchoPeer(stage, CAM, ibl_rig())
    EchoPeer(stage, LEFT, scan_image(REF), compact=True)
    stage.boot("screen", "observer", SCREEN, clock=CLOCKS["screen"], name="console")
    stage.do("screen", "follow", rigs=[CAM, LEFT, MAIN])
    stage.run(12.0)
    stage.do("screen", "suspend", rigs=[CAM])
    stage.run(12.0)
    stage.do("screen", "suspend", rigs=[])
    stage.do("screen", "ask", where=CAM, number=1, limit=2 * SECOND)
    stage.run(2.0)
    return stage


@play
def wire2_alyx_token_given_wanted_and_refused() -> Stage:
    lab = Lab("main", "cam", cam={"token_to": ["10.0.0.1"]})
    lab.pc()
    lab.agree()
    lab.ask(128, "https://alyx.example.org", {"user": {"token": "abc"}}, needs_reply=False)
    lab.ask(128, None, {})
    return lab.stage


@play
def wire2_complaint_of_the_conductor() -> Stage:
    lab = running("main")
    lab.stage.do(
        "pc", "complain", rig="main", event="EXPSTATUS", reason="ValueError: the task could not handle it"
    )
    lab.stage.run(0.3)
    return lab.finish()


@play
def wire2_keyboard_of_a_rig() -> Stage:
    lab = Lab("cam", "main")
    _observed(lab)
    stage = lab.stage
    stage.do("cam", "commanded", event="EXPSTART", exp_ref=f"{DATE}_5_SP_01")
    stage.run(0.5)
    lab.pc()
    lab.agree()
    for event in ("EXPEND", "EXPCLEANUP"):
        stage.do("cam", "commanded", event=event)
        stage.run(0.5)
    lab.begin()
    stage.do("cam", "commanded", event="EXPSTART", exp_ref=f"{DATE}_6_SP_01")
    stage.do("cam", "commanded", event="EXPEND")
    stage.run(1.0)
    stage.do("cam", "subject chosen", subject="SP_02")
    return lab.finish()


# -- wire 1.0: a foreign conductor leads rigs of multirig ----------------------------------------------------


@play
def wire1_conductor_as_iblrig() -> Stage:
    return Foreign().until_running().say([32, 20], [4, []], [8, None]).stage


@play
def wire1_conductor_ends_with_null() -> Stage:
    return Foreign().until_running().say([4, None], [8, None]).stage


@play
def wire1_conductor_interrupts_with_a_list_of_errors() -> Stage:
    return Foreign().until_running().say([16, CRASH], [8, None]).stage


@play
def wire1_conductor_interrupts_with_null_and_with_a_map() -> Stage:
    one = Foreign().until_running().say([16, None], [8, None])
    one.lab.hands["main"].sequence = 2
    second = f"{DATE}_2_SP_01"
    return one.say([64, 0, IBL_INFO], [2, second, None], [16, {"error": "X"}], [8, None]).stage


@play
def wire1_conductor_is_compact_as_matlab() -> Stage:
    info = {"subject": "SP_01", "expRef": None}
    one = Foreign(compact=True)
    return one.say([64, 0, info], [1, {"exp_ref": REF}], [2, REF, {}], [32, 20], [4, 20], [8, 0]).stage


@play
def wire1_conductor_names_events_and_leaves_things_out() -> Stage:
    one = Foreign()
    one.say(["expinfo"], ["EXPINFO", "CONNECTED", {"subject": "SP_01"}], [64], [64, None, None])
    return one.say([1, None], ["expstart", None, None], [32], [4], [8]).stage


@play
def wire1_conductor_writes_references_as_maps() -> Stage:
    said = {"date": DATE, "sequence": "001", "subject": "SP_01"}
    one = Foreign().say([64, 0, IBL_INFO], [1, said], [2, {**said, "sequence": 1}, {"k": 1}])
    return one.say([4, {"exp_ref": said}], [8, {"exp_ref": REF}]).stage


@play
def wire1_conductor_wants_statuses() -> Stage:
    one = Foreign(hands={"times": {"start": 0.5}}).say([32, 0], [32], ["EXPSTATUS", "RUNNING"])
    one.say([64, 0, IBL_INFO], [1, {"exp_ref": REF}], [32, 0], [2, REF, None], [32, 0], seconds=0.3)
    return one.say([32, 0], [4, None], [32, 0], [8, None], [32, 0], seconds=0.6).stage


@play
def wire1_conductor_gives_and_wants_a_token() -> Stage:
    one = Foreign().say([128, "https://alyx.example.org", {"user": {"token": "abc"}}], [128, None, {}])
    one.say([128, "https://alyx.example.org", {}])
    other = EchoPeer(one.stage, PC2)
    other.say(MAIN, [128, None, {}])
    one.stage.run(0.2)
    return one.stage


@play
def wire1_conductor_is_given_the_token() -> Stage:
    one = Foreign(token_to=["10.0.0.1"]).say([128, None, {}])
    return one.say(
        [128, "https://alyx.example.org", {"user": {"token": "abc"}}], [128, None, {}], [128]
    ).stage


for _hook in ("initialise", "start", "stop", "cleanup"):

    def _foreign_failure(hook: str = _hook) -> Stage:
        one = Foreign(hands={"fails": {hook: "the lens cap is on"}}).until_running()
        one.say([4, []], [8, None], [32, 0])
        one.lab.hands["main"].fails.clear()
        return one.say([8, None], [32, 0]).stage

    PLAYS[f"wire1-conductor-and-a-failure-of-{_hook}"] = _foreign_failure


@play
def wire1_conductor_sees_a_recording_break() -> Stage:
    one = Foreign().until_running()
    one.stage.do("main", "broke", reason="recording: the camera was unplugged")
    one.stage.run(0.3)
    return one.say([32, 0], [64, 0, IBL_INFO], [4, []], [8, None]).stage


@play
def wire1_conductor_is_refused() -> Stage:
    one = Foreign(subject="SP_02").say([64, 0, IBL_INFO], [1, {"exp_ref": REF}], [2, REF, None])
    one.stage.do("main", "subject chosen", subject=None)
    one.until_running().say([1, {"exp_ref": f"{DATE}_9_SP_01"}], [2, f"{DATE}_9_SP_01", None])
    one.say([1, {"exp_ref": "nonsense"}], [4, []], [2, REF, None], [8, None], [2, REF, None])
    other = EchoPeer(one.stage, PC2)
    one.lab.hands["main"].sequence = 2
    one.say([64, 0, IBL_INFO], [1, {"exp_ref": f"{DATE}_2_SP_01"}])
    for array in ([1, {"exp_ref": f"{DATE}_2_SP_01"}], [8, None], [64, 0, IBL_INFO]):
        other.say(MAIN, array)
        one.stage.run(0.2)
    return one.stage


@play
def wire1_conductor_leads_what_a_multirig_leads() -> Stage:
    lab = running("main")
    other = EchoPeer(lab.stage, PC2)
    for array in ([64, 0, IBL_INFO], [1, {"exp_ref": REF}], [4, []], [32, 0]):
        other.say(MAIN, array)
        lab.stage.run(0.2)
    return lab.finish()


@play
def wire1_commands_come_twice() -> Stage:
    one = Foreign()
    for array in ([64, 0, IBL_INFO], [1, {"exp_ref": REF}], [2, REF, None], [4, None], [8, None]):
        one.peer.say(MAIN, array)
        one.stage.run(0.003)
        one.stage.send(PC, MAIN, one.peer.encode(array))
        one.stage.run(0.3)
    return one.stage


@play
def wire1_echoes_of_the_rig_are_lost() -> Stage:
    def carry(source: str, target: str, data: bytes, count: int) -> list[int]:
        return [] if source == MAIN and count % 2 else [DELAY]

    one = Foreign(carry=carry)
    for array in ([64, 0, IBL_INFO], [1, {"exp_ref": REF}], [2, REF, None], [4, None]):
        one.say(array, seconds=1.0)
        if one.peer._mine:  # whoever hears no echo says it again
            one.stage.send(PC, MAIN, one.peer.encode(array))
            one.stage.run(1.0)
    return one.stage


@play
def wire1_answers_are_not_echoed() -> Stage:
    one = Foreign()
    one.peer.echoes = False
    return one.say([64, 0, IBL_INFO], [32, 0], [1, {"exp_ref": REF}], seconds=3.0).stage


@play
def wire1_echoes_come_twice_and_late() -> Stage:
    def carry(source: str, target: str, data: bytes, count: int) -> list[int]:
        return [DELAY, 100 * MS, 900 * MS] if source == PC and count <= 12 else [DELAY]

    return Foreign(carry=carry).until_running().say([4, None], [8, None], seconds=1.5).stage


@play
def wire1_interrupt_overtakes_a_start() -> Stage:
    one = Foreign(hands={"times": {"start": 2.0}}).say(
        [64, 0, IBL_INFO], [1, {"exp_ref": REF}], [2, REF, None]
    )
    return one.say([16, CRASH], [8, None]).stage


@play
def wire1_description_is_shortened_for_a_small_reader() -> Stage:
    long = {
        "devices": {"cameras": {f"camera{number}": {"collection": "raw_video_data"} for number in range(20)}}
    }
    one = Foreign(hands={"info": {"experiment_description": long, "device": {"serial": "x" * 300}}})
    return one.say([64, 0, IBL_INFO], [64, 0, {**IBL_INFO, "check": {"seconds": 60}}]).stage


@play
def wire1_errors_of_peers_that_answer_nothing() -> Stage:
    one = Foreign().say([64, 0, IBL_INFO])
    for text in (b'[0, "ValueError: boom", 2]', b'[0, "Parse error", "[64,0"]', b'[0, "e"]', b"[0]"):
        one.stage.send(PC, MAIN, text)
        one.stage.run(0.1)
    return one.stage


@play
def wire1_only_between_multirigs_that_do_not_greet() -> Stage:
    lab = Lab("main", "cam", main={"greets": False}, cam={"greets": False})
    lab.pc()
    lab.begin()
    return lab.finish()


@play
def wire1_greeting_and_nothing_more() -> Stage:
    greeting = {**IBL_INFO, "multirig": {"wire": 2, "boot": "0123456789abcdef", "name": "behaviour"}}
    return Foreign().say([64, 0, greeting], seconds=1.0).stage


# -- wire 1.0: a conductor of multirig leads foreign rigs ----------------------------------------------------


def _leading(rigs: Mapping[str, str], **pc: Any) -> Lab:
    lab = Lab()
    lab.pc(rigs, **pc)
    return lab


@play
def wire1_rigs_of_iblrig() -> Stage:
    lab = _leading({"main": MAIN, "cam": CAM})
    EchoPeer(lab.stage, MAIN, ibl_rig(f"{DATE}_7_SP_01"))
    EchoPeer(lab.stage, CAM, ibl_rig())
    lab.begin()
    lab.step("stop")
    lab.step("clean up")
    lab.ask(128, "https://alyx.example.org", {"user": {"token": "abc"}}, needs_reply=False)
    return lab.stage


@play
def wire1_rigs_answer_with_the_same_bytes() -> Stage:
    lab = _leading({"cam": CAM})
    answers = ibl_rig()
    EchoPeer(lab.stage, CAM, lambda event, args: answers(event, args) if event == 64 else [event, *args])
    lab.begin(here=REF)
    return lab.finish()


@play
def wire1_scan_image_is_the_main_sync() -> Stage:
    lab = _leading({"main": MAIN})
    EchoPeer(lab.stage, MAIN, scan_image(f"{DATE}_7_SP_01"), compact=True)
    lab.begin()
    return lab.finish()


@play
def wire1_scan_image_cannot_start() -> Stage:
    lab = _leading({"main": MAIN}, limits={"start": 3 * SECOND, "stop": 2 * SECOND, "cleanup": 2 * SECOND})
    EchoPeer(lab.stage, MAIN, scan_image(f"{DATE}_7_SP_01", fails_start=True), compact=True)
    lab.begin()
    lab.stage.run(8.0)
    return lab.stage


@play
def wire1_rigs_are_polled() -> Stage:
    lab = _leading({"main": MAIN}, policies={"main": {"poll_every": 2 * SECOND}})
    peer = EchoPeer(lab.stage, MAIN, ibl_rig(f"{DATE}_7_SP_01"))
    lab.begin()
    lab.stage.run(5.0)
    peer.answer = None
    lab.stage.run(20.0)
    return lab.finish()


for _event, _name in ((64, "EXPINFO"), (1, "EXPINIT"), (2, "EXPSTART"), (4, "EXPEND"), (8, "EXPCLEANUP")):

    def _rig_fails(event: int = _event) -> Stage:
        lab = _leading({"main": MAIN, "cam": CAM}, limits={"stop": 2 * SECOND, "cleanup": 2 * SECOND})
        EchoPeer(lab.stage, MAIN, ibl_rig(f"{DATE}_7_SP_01"))
        EchoPeer(lab.stage, CAM, ibl_rig(fails={event: "ValueError: boom"}))
        lab.begin()
        lab.step("stop", 1.0)
        lab.step("clean up", 1.0)
        return lab.stage

    PLAYS[f"wire1-rig-fails-{_name}"] = _rig_fails

    def _rig_is_silent(event: int = _event) -> Stage:
        limits = {"agree": SECOND, "initialise": SECOND, "start": SECOND, "stop": SECOND, "cleanup": SECOND}
        lab = _leading({"main": MAIN, "cam": CAM}, limits=limits)
        EchoPeer(lab.stage, MAIN, ibl_rig(f"{DATE}_7_SP_01"))
        answers = ibl_rig()
        EchoPeer(lab.stage, CAM, lambda asked, args: None if asked == event else answers(asked, args))
        lab.agree()
        lab.stage.run(1.5)
        for step in ("initialise", "start", "stop", "clean up"):
            lab.step(step, 3.0)
        return lab.stage

    PLAYS[f"wire1-rig-never-answers-{_name}"] = _rig_is_silent


@play
def wire1_rig_loses_every_third_datagram() -> Stage:
    lab = Lab(carry=lambda a, b, data, n: [] if n % 3 == 1 else [DELAY])
    lab.pc({"main": MAIN})
    EchoPeer(lab.stage, MAIN, ibl_rig(f"{DATE}_7_SP_01"))
    lab.agree()
    lab.stage.run(3.0)
    for step in ("initialise", "start", "stop", "clean up"):
        lab.step(step, 3.0)
    return lab.stage


@play
def wire1_rig_says_everything_twice() -> Stage:
    lab = Lab(carry=lambda a, b, data, n: [DELAY, 30 * MS])
    lab.pc({"main": MAIN})
    EchoPeer(lab.stage, MAIN, ibl_rig(f"{DATE}_7_SP_01"))
    lab.begin()
    return lab.finish()


@play
def wire1_reply_overtakes_its_echo() -> Stage:
    def carry(source: str, target: str, data: bytes, count: int) -> list[int]:
        return [50 * MS if count % 2 else DELAY] if source == MAIN else [DELAY]

    lab = Lab(carry=carry)
    lab.pc({"main": MAIN})
    EchoPeer(lab.stage, MAIN, ibl_rig(f"{DATE}_7_SP_01"))
    lab.begin()
    return lab.finish()


@play
def wire1_rig_is_interrupted() -> Stage:
    lab = _leading({"main": MAIN, "cam": CAM})
    EchoPeer(lab.stage, MAIN, ibl_rig(f"{DATE}_7_SP_01"))
    EchoPeer(lab.stage, CAM, ibl_rig(), delay=0.5)
    lab.agree()
    lab.stage.run(1.0)
    lab.step("initialise", 0.2)
    lab.step("interrupt", 2.0, **CRASH[0])
    lab.step("clean up", 2.0)
    return lab.stage


@play
def wire1_rig_speaks_by_itself() -> Stage:
    lab = _leading(
        {"main": MAIN, "cam": CAM},
        token_to=["main"],
        alyx=["https://alyx.example.org", {"user": {"token": "abc"}}],
    )
    main = EchoPeer(lab.stage, MAIN, ibl_rig(f"{DATE}_7_SP_01"))
    cam = EchoPeer(lab.stage, CAM, ibl_rig())
    lab.begin()
    main.answer = cam.answer = None
    for peer in (main, cam):
        for array in (
            [64, 20, {"subject": "SP_01"}],
            [128, None, {}],
            [32, 20],
            [16, CRASH],
            [4, None],
            [0, "boom", 2],
        ):
            peer.say(PC, array)
            lab.stage.run(0.3)
    return lab.stage


@play
def wire1_rig_gives_a_token() -> Stage:
    lab = _leading({"cam": CAM})
    cam = EchoPeer(lab.stage, CAM, ibl_rig())
    lab.agree(here=REF)
    cam.say(PC, [128, "https://alyx.example.org", {"user": {"token": "abc"}}])
    lab.stage.run(0.5)
    return lab.stage


@play
def wire1_rig_in_a_session_of_multirigs() -> Stage:
    lab = Lab("main", "cam")
    lab.pc({"main": MAIN, "cam": CAM, "left": LEFT}, policies={"left": {"poll_every": SECOND}})
    EchoPeer(lab.stage, LEFT, scan_image(REF), compact=True)
    EchoPeer(lab.stage, LEFT, ibl_rig())
    lab.begin()
    lab.stage.do("pc", "mark", text="light on", moment=lab.stage.time + CLOCKS["pc"], data={})
    lab.stage.run(1.5)
    return lab.finish()


@play
def wire1_rig_answers_for_another_session() -> Stage:
    lab = _leading({"cam": CAM})
    answers = ibl_rig()

    def answer(event: int, args: list[Any]) -> Any:
        return [2, f"{DATE}_99_SP_01", {"status": 20}] if event == 2 else answers(event, args)

    EchoPeer(lab.stage, CAM, answer)
    lab.begin(here=REF)
    lab.stage.run(2.0)
    return lab.stage


@play
def wire1_nothing_listens_there() -> Stage:
    lab = _leading({"cam": CAM})
    lab.stage.closed.add(CAM)
    lab.begin(here=REF)
    return lab.stage


# -- every command in every state ----------------------------------------------------------------------------


def rig_lines(lines: list[Line]) -> list[Line]:
    """Return the lines of the rigs alone: what they heard stands in them."""
    return [expand(line, lines) for line in lines if line["who"].startswith("rig")]


COMMANDS: Mapping[str, list[Any]] = {
    "EXPINIT": [1, {"exp_ref": REF}],
    "EXPSTART": [2, REF, None],
    "EXPEND": [4, None],
    "EXPINTERRUPT": [16, {"error": "X", "message": "now"}],
    "EXPCLEANUP": [8, None],
}


def _bring_into(state: str, stage: Stage, say: Callable[..., None], hands: RigHands) -> None:
    """Bring a rig of multirig into a state with commands."""
    slow = {"initialising": "initialise", "starting": "start", "stopping": "stop", "cleaning up": "cleanup"}
    if state in slow:
        hands.times[slow[state]] = 0.8
    if state in ("failing", "broken"):
        hands.fails["start"] = "no trigger"
        hands.times["stop"] = 0.8 if state == "failing" else 0.03
    path = {
        "connected": [],
        "initialising": [1],
        "initialised": [1],
        "starting": [1, 2],
        "running": [1, 2],
        "stopping": [1, 2, 4],
        "stopped": [1, 2, 4],
        "cleaning up": [1, 2, 4, 8],
        "failing": [1, 2],
        "broken": [1, 2],
    }[state]
    say([64, 0, IBL_INFO])
    for event in path:
        say(next(one for one in COMMANDS.values() if one[0] == event))


STATES = (
    "connected",
    "initialising",
    "initialised",
    "starting",
    "running",
    "stopping",
    "stopped",
    "cleaning up",
    "failing",
    "broken",
)

SLOW = frozenset({"initialising", "starting", "stopping", "cleaning up", "failing"})

for _state in STATES:

    def _matrix_1(state: str = _state) -> Stage:
        lab = Lab()
        for index, command in enumerate(COMMANDS.values()):
            name, address = f"rig{index}", f"udp://10.0.1.{index + 1}:11001"
            hands = RigHands(lab.stage, name)
            lab.stage.boot(name, "rig", address, main_sync=True, about=ABOUT, clock=SECOND)
            peer = EchoPeer(lab.stage, f"udp://10.0.0.{index + 1}:50000")

            def say(array: Any, peer: EchoPeer = peer, address: str = address) -> None:
                peer.say(address, array)
                lab.stage.run(0.1)

            _bring_into(state, lab.stage, say, hands)
            say(command)
            say([32, 0])
            lab.stage.run(0.8 if state in SLOW else 0.0)
            lab.die(name)
        return lab.stage

    PLAYS[f"wire1-commands-while-{_state.replace(' ', '-')}"] = _matrix_1

    def _matrix_2(state: str = _state) -> Stage:
        lab = Lab()
        for index, command in enumerate(COMMANDS.values()):
            name, address = f"rig{index}", f"udp://10.0.1.{index + 1}:11001"
            hands = RigHands(lab.stage, name, session_clock=CLOCKS["pc"])
            lab.stage.boot(name, "rig", address, main_sync=True, about=ABOUT, clock=SECOND)
            pc, where = f"pc{index}", f"udp://10.0.0.{index + 1}:50000"
            lab.stage.boot(pc, "conductor", where, clock=CLOCKS["pc"], name="behaviour")
            lab.stage.do(pc, "rigs", rigs={name: address}, policies={})

            def say(array: Any, pc: str = pc) -> None:
                lab.ask(*array, who=pc, seconds=0.1)

            _bring_into(state, lab.stage, say, hands)
            say(command)
            say([32, 0])
            lab.stage.run(0.8 if state in SLOW else 0.0)
            lab.die(name)
        return lab.stage

    if _state in ("running", "stopping", "broken"):
        PLAYS[f"wire2-commands-while-{_state.replace(' ', '-')}"] = _matrix_2
