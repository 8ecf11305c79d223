"""What a new rig shall be, and its configuration as a person reads and changes it. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from multirig.config import DEFAULT_PORT

COMMENT_COLUMN = 36
"""Where what a line means stands, behind shorter lines."""
_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*")
_MEANT_OTHERWISE = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
"""Words that YAML, of one version or another, takes for no text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraPlan:
    """A camera that shall be recorded."""

    label: str
    """Letters and digits; names its files."""
    source: str
    """As the config takes it: ``test``, ``/dev/video0``, ``video=Integrated Camera``."""
    what: str = ""
    """What it is called where people see it, if that is more than its source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramPlan:
    """A program that shall be started and stopped with each session."""

    command: Sequence[str]
    collection: str = "raw_data"
    stop_by: str = ""
    """As YAML; empty: it ends with its input."""
    failure: str = ""
    """What a line that it prints has, if it has failed."""
    hints: Sequence[str] = ()
    """Lines of comment above the command: what is still to be looked at."""

    @property
    def is_told_where(self) -> bool:
        """Whether it hears where the session's folder is, so that its files can be watched there."""
        return any(re.search(r"\{(session_)?folder[:}]", word) for word in self.command)


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingPlan:
    """Nothing is driven yet."""

    hints: Sequence[str] = ()
    """Lines of comment: what the PC shall record one day, and how to get there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is asked for a new rig."""

    name: str
    data_folder: str
    records: Sequence[CameraPlan] | ProgramPlan | NothingPlan
    port: int = DEFAULT_PORT
    is_led_from_network: bool = True


def quote(text: str) -> str:
    """Return a text as YAML takes it for that text: bare where nobody could read it otherwise."""
    if _PLAIN.fullmatch(text) and text.lower() not in _MEANT_OTHERWISE:
        return text
    return "'" + text.replace("'", "''") + "'"


def write_config(plan: Plan) -> str:
    """Return the rig's file, with a word on each key that somebody will want to change."""
    here, everywhere = f"udp://127.0.0.1:{plan.port}", f"udp://0.0.0.0:{plan.port}"
    if plan.is_led_from_network:
        uri = (f"uri: {everywhere}", f"other PCs may lead it; {here}: only this PC")
    else:
        uri = (f"uri: {here}", f"only this PC leads it; {everywhere}: others too")
    lines = [
        "# A rig of multirig. Change what you like, end the rig (Ctrl-C in its window), and start it again.",
        "# What stands behind a # is not read.",
        _line(f"name: {quote(plan.name)}", "what messages call it"),
        _line(*uri),
        _line(f"data_folder: {quote(plan.data_folder)}", "sessions are filed below it"),
        _line("# lab: mylab", "the folder between data_folder and Subjects"),
        _line("# main_sync: true", "if it gives sessions their number: one PC does"),
        _line("# allow_ibl: [192.168.1.7]", "who may lead it on IBL's wire, which has no keys"),
        "adapter:",
    ]
    match plan.records:
        case ProgramPlan():
            lines += _write_program(plan.records)
        case NothingPlan():
            lines += _write_nothing(plan.records)
        case _:
            lines += _write_cameras(plan.records)
    return "\n".join(lines) + "\n"


def _write_cameras(cameras: Sequence[CameraPlan]) -> list[str]:
    lines = ["  type: camera", "  cameras:"]
    for number, one in enumerate(cameras):
        files = f"names the files: _iblrig_{one.label}Camera.raw.mp4" if number == 0 else ""
        what = "the test pattern; it needs no device" if one.source == "test" else one.what
        lines += [
            _line(f"    - label: {quote(one.label)}", files),
            _line(f"      source: {quote(one.source)}", what),
            _line("      # fps: 60", "pictures a second, asked of the camera" if number == 0 else ""),
            _line("      # size: [640, 480]", "width and height in pixels" if number == 0 else ""),
        ]
    return lines


def _write_program(program: ProgramPlan) -> list[str]:
    lines = ["  type: process", *(f"  # {one}" for one in program.hints)]
    lines += [_line("  command:", "an argument a line; {folder} is where this session's files go")]
    lines += [f"    - {quote(word)}" for word in program.command]
    lines += [_line(f"  collection: {quote(program.collection)}", "that folder, inside the session's")]
    if not program.is_told_where:
        lines += [_line("  writes: []", "its data lie elsewhere: nothing of them is checked")]
    if program.failure:
        lines += [_line(f"  failure: {quote(program.failure)}", "what it prints when it has failed")]
    if program.stop_by:
        lines += [_line(f"  stop_by: {program.stop_by}", "how it is asked to end")]
    else:
        lines += [_line("  # stop_by: {stdin: q}", "how it is asked to end: by a line that it reads")]
    return [*lines, _line("  # grace: 10", "seconds that it gets to end, before it is killed")]


def _write_nothing(nothing: NothingPlan) -> list[str]:
    return [
        *(f"  # {one}" for one in nothing.hints),
        _line("  type: fake", "drives nothing: it writes made-up rows, to rehearse with"),
    ]


def _line(text: str, meaning: str) -> str:
    """Return a line with its meaning behind it, or above it where it is long."""
    if not meaning:
        return text
    if len(text) >= COMMENT_COLUMN:
        return f"{' ' * (len(text) - len(text.lstrip()))}# {meaning}:\n{text}"
    return f"{text:<{COMMENT_COLUMN}}# {meaning}"
