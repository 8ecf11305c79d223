"""What the leading PC's own file says: ``multirig.yaml``, beside the rigs file. All of it is optional."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)

from multirig.config.collect import CollectRules
from multirig.config.duration import Duration
from multirig.config.explaining import explain
from multirig.config.reading import parse_pairs, read_text
from multirig.config.rig import NetworkText, PlacedPath, check_lab, place
from multirig.errors import ConfigError
from multirig.lifecycle.clock_gate import ClockGate, Reaction
from multirig.protocol.events import SECOND
from multirig.state import config_folder

FILE_NAME = "multirig.yaml"
"""Beside the rigs file."""
_DEFAULT = ClockGate()
_HASH = re.compile(
    r"scrypt\$(1[0-9]|20)\$([1-9]|1[0-6])\$([1-9]|1[0-6])\$[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}="
)
"""What stands for a password: log2 of scrypt's n, r and p, within what a PC can reckon; the salt, the key."""
_TASK_FILE = re.compile(r"(?P<file>.+\.py)(?P<name>:\w+)?")


def is_hash(text: str) -> bool:
    """Whether it is what is kept in place of a password: scrypt, at a cost that a PC can reckon."""
    return _HASH.fullmatch(text) is not None


def _check_hash(text: str) -> str:
    # What was written there may be the password itself: it is not repeated on a screen.
    if not is_hash(text):
        raise ConfigError(
            "this is no hash of a password: take the line out, and set one: multirig console --set-password"
        )
    return text


def _place_task(value: object, info: ValidationInfo) -> object:
    found = _TASK_FILE.fullmatch(value) if isinstance(value, str) else None
    return value if found is None else f"{place(found['file'], info)}{found['name'] or ''}"


def _as_names(value: object) -> object:
    """Take one or a list; a number is the name of many an animal."""
    listed = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(one, str | int | float) and not isinstance(one, bool) for one in listed):
        return value
    return [str(one) for one in listed]


_ListedTexts = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_names),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
_Task = Annotated[str, BeforeValidator(_place_task)]
_ListedTasks = Annotated[
    tuple[_Task, ...],
    BeforeValidator(_as_names),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, defer_build=True)


class ClockRules(_Frozen):
    """What follows when something is wrong with a rig's clock at a start: ignore, flag or refuse."""

    unknown: Reaction = _DEFAULT.unknown
    """Nothing is known of it: the rig speaks IBL's wire, or nothing has come through yet."""
    wide: Reaction = _DEFAULT.wide
    """It is known, but not within max_bound."""
    max_bound: Duration = _DEFAULT.max_bound / SECOND
    """By how much it may be wrong, either way."""
    stepped: Reaction = _DEFAULT.stepped
    """It has jumped since the rigs agreed."""
    midnight: Reaction = _DEFAULT.midnight
    """It is another day there, or has become one here since the rigs agreed."""

    def to_gate(self) -> ClockGate:
        """Return the rules as a session takes them."""
        return ClockGate(
            unknown=self.unknown,
            wide=self.wide,
            max_bound=round(self.max_bound * SECOND),
            stepped=self.stepped,
            midnight=self.midnight,
        )


class ConsoleRules(_Frozen):
    """What the web console offers, and to whom."""

    password: Annotated[str, AfterValidator(_check_hash)] | None = None
    """Hash of the password that other PCs are asked for; multirig console --set-password writes it."""
    names: _ListedTexts = ()
    """Names by which other PCs reach this one, besides its own name and its addresses."""
    tasks: _ListedTasks = ()
    """Tasks to choose from: file.py, file.py:Class or module:Class; files relative to this file."""
    subjects: _ListedTexts = ()
    """Subjects to choose from, besides those that were recorded here."""
    projects: _ListedTexts = ()
    """Projects to choose from, besides those seen in sessions here."""
    procedures: _ListedTexts = ()
    """Procedures to choose from, besides those seen in sessions here."""
    data_folder: PlacedPath | None = None
    """Where this PC's part of a session goes; relative to this file. Without it: data, where it starts."""
    lab: Annotated[str, AfterValidator(check_lab)] = "mylab"
    """Name of the lab: the folder between the data folder and Subjects."""


class ConductorConfig(_Frozen):
    """The configuration of the leading PC."""

    clock: ClockRules = ClockRules()
    """When clocks are good enough to start."""
    console: ConsoleRules = ConsoleRules()
    """What there is to choose from in the web console, and who may see it."""
    collect: CollectRules | None = None
    """Where what is recorded is copied after each session, or once a day; without it by hand only."""
    allow_ibl: tuple[NetworkText, ...] = ()
    """IP addresses and networks of rigs that speak IBL's wire, which has no keys. In your own folder only."""
    open: Annotated[bool, Field(strict=True)] = False
    """Whether rigs need not prove that they are of the lab. In your own folder only."""
    allow_cleartext_token: tuple[str, ...] = ()
    """Names of rigs that a task may send the Alyx token, which travels unencrypted."""


def load_conductor_config(rigs_file: Path) -> ConductorConfig:
    """Read and check the file beside a rigs file; what it does not say, or if there is none, is as usual.

    Raises
    ------
    ConfigError
        The file cannot be read or something in it is wrong; one line with the file, the key and what to do.
    """
    path = rigs_file.with_name(FILE_NAME)
    if not path.is_file():
        return ConductorConfig()
    content = parse_pairs(read_text(path), path, example="clock: {wide: refuse, max_bound: 1 ms}")
    try:
        config = ConductorConfig.model_validate(content, context={"folder": path.absolute().parent})
    except ValidationError as error:
        raise ConfigError(explain(error, path, model=ConductorConfig)) from error
    own = config_folder() / FILE_NAME
    if (config.allow_ibl or config.open) and path.absolute() != own.absolute():
        raise ConfigError(
            f"{path}: allow_ibl and open count only in your own folder, where nobody else can write: "
            f"move them to {own}"
        )
    return config


def load_collect_rules(beside: Path | None) -> CollectRules | None:
    """Return what this PC is told of collecting: beside a config, else in the user's own folder.

    Parameters
    ----------
    beside : pathlib.Path or None
        A rigs file, or the file of a rig.

    Raises
    ------
    ConfigError
        A file cannot be read, or something in it is wrong.
    """
    for where in (beside, config_folder() / FILE_NAME):
        if where is not None and (rules := load_conductor_config(where).collect) is not None:
            return rules
    return None


def conductor_config_schema() -> dict[str, Any]:
    """Return the JSON schema of the file."""
    return ConductorConfig.model_json_schema()
