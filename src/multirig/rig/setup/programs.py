"""Which recording programs this PC has, and how each becomes what a rig drives."""

from __future__ import annotations

import enum
import re
import shlex
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from multirig.errors import ConfigError
from multirig.rig.adapters.process.placeholders import check_placeholders
from multirig.rig.setup.plan import NothingPlan, ProgramPlan


class Way(enum.Enum):
    """How a program takes part."""

    WORKFLOW = "is started with each session"
    STAYS_OPEN = "stays open all day, and is told by a small script"
    SPEAKS = "takes part by itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A program that labs record with."""

    name: str
    way: Way
    windows: Sequence[str]
    """Where it lies on Windows: paths with variables and ``*``."""
    commands: Sequence[str] = ()
    """What it is called on PATH."""


KNOWN = (
    Known(
        name="Bonsai",
        way=Way.WORKFLOW,
        windows=(r"%LOCALAPPDATA%\Bonsai\Bonsai.exe", r"%SYSTEMDRIVE%\Bonsai\Bonsai.exe"),
        commands=("bonsai", "Bonsai"),
    ),
    Known(
        name="SpikeGLX",
        way=Way.STAYS_OPEN,
        windows=(
            r"%SYSTEMDRIVE%\SpikeGLX*\SpikeGLX.exe",
            r"%SYSTEMDRIVE%\SpikeGLX*\*\SpikeGLX.exe",
            r"%SYSTEMDRIVE%\SpikeGLX*\*\*\SpikeGLX.exe",
        ),
        commands=("SpikeGLX", "spikeglx"),
    ),
    Known(
        name="Open Ephys GUI",
        way=Way.STAYS_OPEN,
        windows=(r"%PROGRAMFILES%\Open Ephys\open-ephys.exe",),
        commands=("open-ephys",),
    ),
    Known(
        name="MATLAB (ScanImage, Timeline)",
        way=Way.SPEAKS,
        windows=(r"%PROGRAMFILES%\MATLAB\R*\bin\matlab.exe",),
        commands=("matlab",),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundProgram:
    """A program of this PC."""

    known: Known
    path: Path


def find_programs(
    system: str, environment: Mapping[str, str], which: Callable[[str], str | None] = shutil.which
) -> list[FoundProgram]:
    """Return the programs that a lab may record with here: in their usual places, or on PATH.

    Parameters
    ----------
    system : str
        As in ``sys.platform``.
    environment : mapping of str to str
        Variables, by their names in capital letters.
    which : callable
        Finds a command on PATH.
    """
    found = []
    for known in KNOWN:
        places = (
            [path for one in known.windows for path in _look(one, environment)] if system == "win32" else []
        )
        places += [Path(path) for one in known.commands if (path := which(one))]
        if places:
            found.append(FoundProgram(known=known, path=places[0]))
    return found


def _look(pattern: str, environment: Mapping[str, str]) -> list[Path]:
    """Return what lies at a place, the newest version first."""
    variable, _, rest = pattern.lstrip("%").partition("%")
    root = environment.get(variable)
    if not root:
        return []
    steps = [Path(f"{root}/")]
    for part in rest.strip("\\").split("\\"):
        steps = [one for step in steps for one in _glob(step, part)]
    return sorted((one for one in steps if one.is_file()), reverse=True)


def _glob(folder: Path, part: str) -> list[Path]:
    try:
        return list(folder.glob(part))
    except OSError:
        return []


# -- what a rig does with one ------------------------------------------------------------------------------

_FILE_PROPERTY = re.compile(r'<Property\s+Name="([^"]*FileName[^"]*)"(?:\s+DisplayName="([^"]+)")?')
"""A file name that a workflow of Bonsai lets be set from outside."""
_EXTERNALIZED = re.compile(r'"ExternalizedMapping">(.*?)</Expression>', re.DOTALL)
BONSAI_PORT = 7110


def plan_bonsai(program: Path, workflow: Path, text: str) -> ProgramPlan:
    """Return how a workflow is run for each session.

    Parameters
    ----------
    program, workflow : pathlib.Path
        Bonsai, and the workflow's file.
    text : str
        What that holds.
    """
    command = [_literal(str(program)), _literal(str(workflow)), "--no-editor"]
    named = [
        shown or own for part in _EXTERNALIZED.findall(text) for own, shown in _FILE_PROPERTY.findall(part)
    ]
    hints = []
    for name in dict.fromkeys(named):
        kind = "csv" if re.search("csv|table", name, re.IGNORECASE) else "avi"
        command.append(f"-p:{name}={{folder}}/{re.sub('[^A-Za-z0-9]+', '_', name).lower()}.{kind}")
        hints.append(f"{name}: write the ending (.avi, .csv) that the workflow writes")
    if not named:
        hints += [
            "this workflow lets no file name be set from outside: externalise the FileName of what it writes",
            "in Bonsai's editor, then add a line below command: '-p:FileName={folder}/camera.avi', and take",
            "the line 'writes' out",
        ]
    hears = "ReceiveMessage" in text
    if not hears:
        hints += [
            "this workflow hears no message by which it could end: it is killed, and may cut its last video;",
            f"let ReceiveMessage on /stop, port {BONSAI_PORT}, end it (TakeUntil), then write here",
            f"stop_by: {{osc: /stop, port: {BONSAI_PORT}}}",
        ]
    return ProgramPlan(
        command=command,
        collection="raw_bonsai_data",
        failure="Exception|Error",
        stop_by=f"{{osc: /stop, port: {BONSAI_PORT}}}" if hears else "",
        hints=hints,
    )


def _literal(text: str) -> str:
    """Return a text in which no brace stands for anything."""
    return text.replace("{", "{{").replace("}", "}}")


def plan_command(line: str, *, system: str, find: Callable[[str], str]) -> ProgramPlan:
    """Return how a program with its arguments, as typed, is run for each session.

    Raises
    ------
    ConfigError
        It cannot be taken apart, a placeholder in it is unknown, or there is no such program.
    """
    try:
        words = shlex.split(line, posix=system != "win32")
    except ValueError as error:
        raise ConfigError(f"{line!r} cannot be taken apart ({error}): close each quote") from None
    if system == "win32":
        words = [one[1:-1] if len(one) > 1 and one[0] == one[-1] == '"' else one for one in words]
    if not words:
        raise ConfigError("no program is named: give its path, and its arguments behind it")
    program, *arguments = words
    check_placeholders("command", arguments)
    if program != "{python}":
        program = _literal(find(program))
    return ProgramPlan(command=[program, *arguments])


def plan_later(found: FoundProgram) -> NothingPlan:
    """Return a rig that is ready but for the program, and what is missing."""
    program = found.known.name
    if found.known.way is Way.SPEAKS:
        hints = [
            f"{program} is at {found.path}. ScanImage and Timeline take part by themselves, in IBL's",
            "protocol: the leading PC adds their address as it adds a rig (see 'Work with IBL's peers').",
        ]
    else:
        hints = [
            f"{program} is at {found.path}. It stays open all day and is told to record by a small",
            "script ('Drive a program' has one). When you have it, write in place of the line 'type: fake':",
            "type: process",
            "command: ['{python}', 'C:/rigs/bridge.py', '{subject}_{date:%Y%m%d}_{sequence}']",
            "writes: []",
            "ready: ^ready",
            "stop_by: {stdin: stop}",
        ]
    return NothingPlan(hints=hints)


def find_workflows(folders: Iterable[Path]) -> list[Path]:
    """Return the workflows of Bonsai in some folders and those in them, the newest first."""
    found: set[Path] = set()
    for folder in folders:
        for pattern in ("*.bonsai", "*/*.bonsai"):
            found.update(one for one in _glob(folder, pattern) if one.is_file())

    def age(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except OSError:
            return 0.0

    return sorted(found, key=age, reverse=True)
