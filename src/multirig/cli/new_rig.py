"""What is asked for a new rig, and what is found for the answers."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from multirig.cli import render
from multirig.cli.interview import Interview
from multirig.config import DEFAULT_PORT, check_name
from multirig.errors import AdapterError, ConfigError, why_not
from multirig.pc.disk import check_folder, check_space
from multirig.pc.disturbers import check_folder_place
from multirig.pc.finding import Level
from multirig.pc.reader import this_pc
from multirig.rig.adapters.process.program import find_program
from multirig.rig.setup import programs, proposals
from multirig.rig.setup.cameras import TEST, FoundCamera, check_installed, find_cameras, try_camera
from multirig.rig.setup.plan import CameraPlan, NothingPlan, Plan, ProgramPlan

WELCOME = "Enter takes the answer in [brackets]; Ctrl-C leaves everything as it is."
ANOTHER = "and run 'multirig new rig' again for the other"
TEST_PATTERN = FoundCamera(source=TEST, name="the test pattern")
"""Stands among the cameras that are found."""
USUAL_FOLDERS = ("Documents", "Desktop", "Bonsai")
"""Of a user, where workflows may lie."""
AGAIN = "choose again"
"""Default of a question that has no usual answer."""

_Records = Sequence[CameraPlan] | ProgramPlan | NothingPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the command line says."""

    file: Path | None
    name: str | None
    data: str | None
    cameras: Sequence[str] | None
    program: str | None
    workflow: Path | None
    nothing: bool
    only_here: bool
    port: int | None
    replace: bool
    asks: bool
    """Whether a person answers what it does not say."""

    def check(self) -> None:
        """Raise ConfigError where options contradict one another, or a file would be written over."""
        named = {"--camera": self.cameras, "--program": self.program, "--nothing": self.nothing}
        if len(chosen := [name for name, one in named.items() if one]) > 1:
            raise ConfigError(f"{' and '.join(chosen)} are a rig each: choose one, {ANOTHER}")
        if self.workflow is not None and not self.program:
            raise ConfigError("--workflow is what Bonsai runs: give --program, with Bonsai's path, too")
        if self.file is not None and self.file.is_dir():
            raise ConfigError(f"{self.file} is a folder: give the file in it that is to be written")
        if self.file is not None and self.file.exists() and not self.replace and not self.asks:
            raise ConfigError(f"{self.file} is there already: give --replace, or another file")


def ask_plan(given: Given) -> Plan:
    """Return what the rig shall be; the person is asked for what the command line does not say."""
    given.check()
    interview = Interview(asks=given.asks)
    if given.asks:
        render.say(WELCOME)
    folder = given.file.absolute().parent if given.file else proposals.propose_folder(Path.cwd())
    neighbours = proposals.find_neighbours(folder, besides=given.file)
    records = _ask_records(interview, given)
    name = interview.ask(
        "What shall this rig be called",
        proposals.propose_name(platform.node(), neighbours.names),
        check_name,
        given.name,
    )
    if name in neighbours.names:
        render.warn(f"{neighbours.names[name]} has a rig of this name too: one of them can run at a time")
    data = _ask_data(interview, given)
    choices = ("this PC or others in the network", "only this PC")
    chosen = 1 if given.only_here else None
    led = interview.choose("Who may lead its sessions", choices, 0, chosen)
    port = given.port or proposals.propose_port(neighbours.ports)
    if given.port is None and port != DEFAULT_PORT:
        whose = neighbours.ports.get(DEFAULT_PORT, "another program")
        render.say(f"  it listens at port {port}, since {whose} has {DEFAULT_PORT}")
    return Plan(name=name, data_folder=str(data), records=records, port=port, is_led_from_network=led == 0)


# -- where its recordings go -------------------------------------------------------------------------------


def _ask_data(interview: Interview, given: Given) -> Path:
    proposed = str(proposals.propose_data_folder())
    data = interview.ask("Where shall its recordings go", proposed, check_data, given.data)
    render.say(f"  {data}: {check_space(data)[0].text}")
    for one in check_folder_place(this_pc(), data):
        if one.level is Level.WARNING:
            render.warn(one.text)
    return data


def check_data(text: str) -> Path:
    """Return the folder for the recordings, or raise ConfigError where it cannot be written."""
    text = text.strip().strip('"')
    if not text or not text.isprintable():
        raise ConfigError(f"{text!r} is no folder: type its path")
    try:
        folder = Path(text).expanduser().absolute()
    except RuntimeError:
        raise ConfigError(f"{text!r} names a home folder that is not known: write the whole path") from None
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file: give a folder")
    for one in [*check_space(folder), *check_folder(folder, None)]:
        if one.level is Level.FAILURE:
            raise ConfigError(one.text)
    return folder


# -- what it drives ----------------------------------------------------------------------------------------


def _ask_records(interview: Interview, given: Given) -> _Records:
    if given.cameras:
        check_installed()
        return _tried(read_cameras(given.cameras))
    if given.program:
        return _plan_program(given.program, given.workflow)
    if given.nothing:
        return NothingPlan()
    render.say("looking for cameras and programs …")
    cameras: list[FoundCamera] = []
    try:
        cameras = [*find_cameras(), TEST_PATTERN]
    except ConfigError as error:
        render.warn(f"no camera can be recorded yet: {error}")
    environment = {name.upper(): value for name, value in os.environ.items()}
    found = programs.find_programs(sys.platform, environment)
    while True:
        if (records := _choose_records(interview, cameras, found)) is not None:
            return records


def _choose_records(
    interview: Interview, cameras: Sequence[FoundCamera], found: Sequence[programs.FoundProgram]
) -> _Records | None:
    """Return what is chosen of what was found; None: the choice is to be made anew."""
    texts = [f"the camera {one.name}" for one in cameras]
    if cameras:
        texts[-1] = f"{TEST_PATTERN.name}, a moving picture that needs no camera"
    texts += [f"{one.known.name} ({one.known.way.value}): {one.path}" for one in found]
    texts += ["another program, which is started with each session", "nothing yet"]

    def check(numbers: Sequence[int]) -> None:
        if len(numbers) > 1 and max(numbers) >= len(cameras):
            raise ConfigError(f"only cameras go together in one rig: choose one now, {ANOTHER}")

    default = 0 if cameras else len(texts) - 1
    chosen, *more = interview.choose_some("What shall this PC record", texts, default, check=check)
    if chosen < len(cameras):
        return _ask_labels(interview, [cameras[number] for number in (chosen, *more)])
    if chosen < len(cameras) + len(found):
        return _ask_program(interview, found[chosen - len(cameras)])
    if chosen == len(texts) - 1:
        return NothingPlan()
    question = "Its path, and its arguments behind it; {folder} stands for where this session's files go"
    return interview.ask(question, AGAIN, lambda text: None if text == AGAIN else _plan_program(text, None))


def _ask_labels(interview: Interview, cameras: Sequence[FoundCamera]) -> Sequence[CameraPlan]:
    planned: list[CameraPlan] = []
    for one in cameras:
        labels = [each.label for each in planned]
        proposed = proposals.propose_label(TEST if one is TEST_PATTERN else one.name, labels)
        question = f"A short name for {one.name}, such as left; its files are called by it"
        label = interview.ask(question, proposed, _label_check(labels))
        planned.append(CameraPlan(label=label, source=one.source, what=one.name))
    return _tried(planned)


def _label_check(taken: Sequence[str]) -> Callable[[str], str]:
    """Return what takes a label that no other camera has."""

    def check(text: str) -> str:
        if not (text.isascii() and text.isalnum()) or len(text) > 64:
            raise ConfigError(f"{text!r} cannot name a camera's files: use letters and digits only")
        if text.lower() in {one.lower() for one in taken}:
            raise ConfigError(f"{text} is another camera of this rig: give each a name of its own")
        return text

    return check


def read_cameras(texts: Sequence[str]) -> Sequence[CameraPlan]:
    """Return the cameras that options name: LABEL=SOURCE, or a source alone."""
    planned: list[CameraPlan] = []
    for text in texts:
        label, has_label, source = text.partition("=")
        labels = [one.label for one in planned]
        if not has_label or not label.isalnum() or label.lower() == "video":
            source, label = text, proposals.propose_label(text.removeprefix("video="), labels)
        if not source:
            raise ConfigError(f"--camera {text} names no source: write it as left=test, or left=/dev/video0")
        planned.append(CameraPlan(label=_label_check(labels)(label), source=source))
    return planned


def _tried(cameras: Sequence[CameraPlan]) -> Sequence[CameraPlan]:
    """Take one picture of each camera, and say what came of it; the rig is written all the same."""
    for one in cameras:
        if one.source != TEST:
            try:
                render.done(f"{one.label} gives pictures of {try_camera(one.label, one.source)}")
            except AdapterError as error:
                render.warn(f"no picture from it now: {error}")
    return cameras


def _ask_program(interview: Interview, found: programs.FoundProgram) -> _Records | None:
    if found.known.way is not programs.Way.WORKFLOW:
        plan = programs.plan_later(found)
        for line in plan.hints[:2]:
            render.say(f"  {line}")
        return plan
    places = [Path.cwd(), *(Path.home() / one for one in USUAL_FOLDERS)]
    newest = next(iter(programs.find_workflows(places)), None)
    return interview.ask(
        "Which workflow, its file",
        AGAIN if newest is None else str(newest),
        lambda text: None if text == AGAIN else _read_workflow(found.path, Path(text.strip('"'))),
    )


def _plan_program(line: str, workflow: Path | None) -> ProgramPlan:
    if workflow is not None:
        return _read_workflow(Path(_find(line.strip('"'))), workflow)
    return programs.plan_command(line, system=sys.platform, find=_find)


def _find(name: str) -> str:
    try:
        return find_program(name)
    except AdapterError as error:
        raise ConfigError(f"program {name!r} was not found: install it, or give its full path") from error


def _read_workflow(bonsai: Path, workflow: Path) -> ProgramPlan:
    path = workflow.expanduser().absolute()
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({why_not(error)}): give a workflow's file") from None
    return programs.plan_bonsai(bonsai, path, text)
