"""The rigs file: which rigs this PC knows, where they are, and what they mean to a session.

``{name: uri}`` or ``{name: {uri: …, role: …}}``, written by hand or by ``multirig rigs``; several programs
may change it at once. What an operator wrote is never overwritten silently, and comments stay where they are.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from multirig.conductor.yaml_file import change, dump, find_nodes, locked, read_now
from multirig.config import (
    Duration,
    Name,
    Uri,
    check_name,
    explain,
    parse_pairs,
    suggestion,
)
from multirig.errors import ConfigError
from multirig.lifecycle.policy import DEFAULT_POLICY, RigPolicy, Role
from multirig.protocol.events import SECOND
from multirig.state import config_folder

RIGS_FILES = ("remote_rigs.yaml", "remote_devices.yaml")
"""Names of the rigs file, the first one preferred; iblrig uses both."""

VARIABLE = "MULTIRIG_RIGS"
"""Environment variable that names the rigs file or its folder."""

MIN_POLL = 1.0
"""Seconds between two polls: iblutil's peers answer in the thread that does their work."""

Selection: TypeAlias = "str | Mapping[str, Uri | str | None] | Iterable[Selection]"
"""Rigs as callers name them: names, nested at will, or a mapping to their addresses (None: see the file)."""


def find_rigs_file(option: str | Path | None = None) -> Path:
    """Return the path of the rigs file; it need not exist.

    Parameters
    ----------
    option : str or pathlib.Path, optional
        What ``--rigs-file`` says: the file, or the folder that it is in. Without it the environment variable
        ``MULTIRIG_RIGS`` is asked, and then the user's configuration folder is used.

    Returns
    -------
    pathlib.Path
        In a folder ``remote_rigs.yaml``, or ``remote_devices.yaml`` when only that is there.
    """
    chosen = option or os.environ.get(VARIABLE)
    if chosen:
        path = Path(chosen).expanduser()
        return rigs_file_in(path) if path.is_dir() else path
    return rigs_file_in(find_own_folder())


def find_own_folder() -> Path:
    """Return this user's own folder for configuration; it need not exist."""
    return config_folder()


def rigs_file_in(folder: Path) -> Path:
    """Return the rigs file of a folder: under either of its names, the first one if there is none yet."""
    candidates = [folder / name for name in RIGS_FILES]
    return next((each for each in candidates if each.is_file()), candidates[0])


def _as_names(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _check_poll(seconds: float) -> float:
    if seconds < MIN_POLL:
        raise ConfigError(f"{seconds:g} s is too often for a rig that records: write at least {MIN_POLL:g} s")
    return seconds


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class StepLimits(_Frozen):
    """How long each step may take on one rig, where that is not what it is on every other."""

    initialise: Duration | None = None
    """Get ready to record."""
    start: Duration | None = None
    """Begin to record."""
    stop: Duration | None = None
    """End the recording and close its files."""
    cleanup: Duration | None = None
    """Let go of the program or device."""


class RosterEntry(_Frozen):
    """What the rigs file says of one rig."""

    uri: Uri
    """Where the rig can be reached."""
    role: Role = Role.EXPECTED
    """What becomes of a session when this rig fails: see below."""
    after: Annotated[
        tuple[Name, ...],
        BeforeValidator(_as_names),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
    ] = ()
    """Rigs that get ready and start before this one, and stop after it: one name or a list."""
    limits: StepLimits = StepLimits()
    """How long each step may take on this rig."""
    poll_status: Annotated[Duration, AfterValidator(_check_poll)] | None = None
    """How often a rig that speaks wire 1.0 is asked for its status while it records; without it, never."""

    @model_validator(mode="before")
    @classmethod
    def _from_bare_uri(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | RosterEntry) else {"uri": value}

    @property
    def policy(self) -> RigPolicy:
        """What the rig means to the sessions that it takes part in."""
        return RigPolicy(
            role=self.role,
            after=tuple(dict.fromkeys(self.after)),
            initialise=_nanoseconds(self.limits.initialise),
            start=_nanoseconds(self.limits.start),
            stop=_nanoseconds(self.limits.stop),
            cleanup=_nanoseconds(self.limits.cleanup),
            poll_every=_nanoseconds(self.poll_status),
        )


def _nanoseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * SECOND)


@dataclass(frozen=True, slots=True)
class Roster:
    """The rigs that one rigs file names."""

    path: Path
    """The file that was read."""
    entries: Mapping[str, RosterEntry]
    """By name, in the order of the file."""

    @classmethod
    def load(cls, path: str | Path) -> Roster:
        """Read a rigs file; one that is missing or empty is an empty roster.

        Raises
        ------
        ConfigError
            Something in it is wrong; one line with the file, the rig and what to do.
        """
        path = Path(path)
        roster = cls(path, _check(_parse(read_now(path), path), path))
        roster._check_order()
        return roster

    def select(self, names: Selection) -> dict[str, Uri]:
        """Return the chosen rigs and their addresses, in the order in which they are named.

        Parameters
        ----------
        names : str, iterable or mapping
            Names of rigs, nested at will, each counted once. A mapping brings its own addresses; a value of
            None means the one in the file.

        Returns
        -------
        dict of str to Uri

        Raises
        ------
        ConfigError
            A name that the file does not hold, an address that is none, two addresses for one name, or two
            names for one address.
        """
        chosen: dict[str, Uri] = {}
        unknown: list[str] = []
        for name, given in _flatten(names):
            if given is not None:
                uri = Uri.parse(given)
            elif name in self.entries:
                uri = self.entries[name].uri
            else:
                unknown.append(name)
                continue
            if chosen.setdefault(check_name(name), uri) != uri:
                raise ConfigError(f"rig {name} is named at both {chosen[name]} and {uri}: name it once")
        if unknown:
            raise self._unknown(unknown)
        owner: dict[Uri, str] = {}
        for name, uri in chosen.items():
            if owner.setdefault(uri, name) != name:
                raise ConfigError(
                    f"{self.path}: {owner[uri]} and {name} are both at {uri}: "
                    "name one of them, or correct its address"
                )
        return chosen

    def policies(self, names: Selection) -> dict[str, RigPolicy]:
        """Return what the chosen rigs mean to a session.

        Parameters
        ----------
        names : str, iterable or mapping
            As for `select`. A rig that the file does not hold means what rigs usually do.

        Returns
        -------
        dict of str to RigPolicy

        Raises
        ------
        ConfigError
            As for `select`.
        """
        return {
            name: self.entries[name].policy if name in self.entries else DEFAULT_POLICY
            for name in self.select(names)
        }

    def _check_order(self) -> None:
        """Refuse rigs that are to come after one that there is not, or after each other."""
        for name, entry in self.entries.items():
            for other in entry.after:
                if other not in self.entries:
                    raise ConfigError(
                        f"{self.path}: {name}.after: there is no rig {other!r}"
                        f"{suggestion(other, self.entries, 'rigs')}; correct it, or add {other} first"
                    )
        try:
            TopologicalSorter({name: entry.after for name, entry in self.entries.items()}).prepare()
        except CycleError as error:
            raise ConfigError(f"{self.path}: {_describe_cycle(error.args[1])}") from None

    def _unknown(self, names: Iterable[str]) -> ConfigError:
        names = list(dict.fromkeys(names))
        text = f"{self.path}: there is no rig {' and no rig '.join(map(repr, names))}"
        if not self.entries and not Path(self.path).exists():
            return ConfigError(f"{text}: there is no such file; multirig rigs add NAME URI makes it")
        if not self.entries:
            return ConfigError(f"{text}: the file names none: use multirig rigs add NAME URI")
        return ConfigError(
            f"{text}{suggestion(names[0], self.entries, 'rigs')}; or use multirig rigs add NAME URI"
        )


def add_rig(path: str | Path, name: str, uri: Uri | str, *, replace: bool = False) -> bool:
    """Enter a rig in the rigs file; the file and its folder are made if they are missing.

    Many programs may do so at once. An entry that is there already with another address stays, unless it is
    to be replaced.

    Parameters
    ----------
    path : str or pathlib.Path
        The rigs file.
    name : str
        The rig's name.
    uri : Uri or str
        Where it can be reached.
    replace : bool
        Give a rig that is there already this address.

    Returns
    -------
    bool
        Whether the file was changed.

    Raises
    ------
    ConfigError
        The name or address is no good, the rig has another address, or the file cannot be read or changed.
    """
    entry = _enter(Path(path), name, uri, replace=replace)
    return entry is None or entry.uri != Uri.parse(uri)


def register_rig(path: str | Path, name: str, uri: Uri | str) -> Uri | None:
    """Enter a rig as it says of itself, whatever the file said of it; made for many rigs at once.

    Parameters
    ----------
    path : str or pathlib.Path
        The rigs file; it and its folder are made if they are missing.
    name : str
        The rig's name.
    uri : Uri or str
        Where it can be reached.

    Returns
    -------
    Uri or None
        Where the file had it before; None if it did not.

    Raises
    ------
    ConfigError
        The name or address is no good, or the file cannot be read or changed.
    """
    entry = _enter(Path(path), name, uri, replace=True)
    return None if entry is None else entry.uri


def set_role(path: str | Path, name: str, role: Role) -> None:
    """Say what becomes of a session when a rig fails.

    Parameters
    ----------
    path : str or pathlib.Path
        The rigs file.
    name : str
        The rig's name.
    role : Role
        What it means to the sessions that it takes part in.

    Raises
    ------
    ConfigError
        The rig is not in the file, or that cannot be read or changed.
    """
    with _known(Path(path), name) as (file, text, before, entries):
        if entries[name].role is role:
            return
        old = before[name]
        known = dict(old) if isinstance(old, Mapping) else {"uri": old}
        after = {**before, name: {**known, "role": role.value}}
        change(file, text, _with_role(text, name, role), after)


def remove_rig(path: str | Path, name: str) -> None:
    """Take a rig out of the rigs file.

    Raises
    ------
    ConfigError
        The rig is not in it, another one is to come after it, or the file cannot be read or changed.
    """
    with _known(Path(path), name) as (file, text, before, entries):
        if waiting := [other for other, entry in entries.items() if name in entry.after and other != name]:
            raise ConfigError(
                f"{file}: {' and '.join(waiting)} would come after a rig that there is not: "
                f"take {name} out of 'after' first"
            )
        change(file, text, _removed(text, name), {key: value for key, value in before.items() if key != name})


@contextmanager
def _known(path: Path, name: str) -> Iterator[tuple[Path, str, dict[str, Any], dict[str, RosterEntry]]]:
    """Hold the file, and yield it, its text and its content, where it has a rig of that name."""
    if not path.exists():
        # The folder may be missing too, and with it the place for the lock.
        raise Roster.load(path)._unknown([name])
    with locked(path) as file:
        text = read_now(file)
        before = _parse(text, file)
        entries = _check(before, file)
        if name not in entries:
            raise Roster(file, entries)._unknown([name])
        yield file, text, before, entries


def _enter(path: Path, name: str, uri: Uri | str, *, replace: bool) -> RosterEntry | None:
    """Enter a rig and return what the file said of it before."""
    name, uri = check_name(name), Uri.parse(uri)
    if is_every_address(uri.host):
        raise ConfigError(
            f"{name}: {uri} is where a rig may listen, not where it is: give its own IP address or name"
        )
    with locked(path, make_folder=True) as file:
        text = read_now(file)
        before = _parse(text, file)
        entry = _check(before, file).get(name)
        if entry is not None and entry.uri == uri:
            return entry
        if entry is not None and not replace:
            raise ConfigError(f"{file}: {name} is already at {entry.uri}: give --replace to put it at {uri}")
        old = before.get(name)
        after = {**before, name: {**old, "uri": str(uri)} if isinstance(old, Mapping) else str(uri)}
        change(file, text, _appended(text, name, uri) if entry is None else _replaced(text, name, uri), after)
    return entry


# -- reading -------------------------------------------------------------------------------------------------


def _parse(text: str, path: Path) -> dict[str, Any]:
    return parse_pairs(text, path, example="cameras: udp://192.168.1.20:11001")


def _check(content: Mapping[str, Any], path: Path) -> dict[str, RosterEntry]:
    model = dict[Name, RosterEntry]
    try:
        return TypeAdapter(model).validate_python(content)
    except ValidationError as error:
        raise ConfigError(explain(error, path, model=model)) from error


def _flatten(names: Selection) -> Iterator[tuple[str, Uri | str | None]]:
    if isinstance(names, str):
        yield names, None
    elif isinstance(names, Mapping):
        yield from names.items()
    elif isinstance(names, Iterable):
        for each in names:
            yield from _flatten(each)
    else:
        raise ConfigError(
            f"{names!r} is not the name of a rig: give names, or a mapping of names to addresses"
        )


def _describe_cycle(names: list[str]) -> str:
    """Say who waits for whom; each of the names is waited for by the next, the last is the first again."""
    if len(names) == 2:
        return f"{names[0]}.after: {names[0]} cannot wait for itself: take it out"
    *links, last = (f"{waiting} after {other}" for waiting, other in pairwise(reversed(names)))
    return f"{', '.join(links)} and {last} wait for each other: take one out of 'after'"


def is_every_address(host: str) -> bool:
    """Whether a host means all addresses of the PC that listens there."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


# -- edits of the text; `change` checks what comes of them --------------------------------------------------


def _appended(text: str, name: str, uri: Uri) -> str:
    entries = find_nodes(text)
    indent = " " * entries[0][0].start_mark.column if entries else ""
    if text and not text.endswith("\n"):
        text += "\n"
    return text + indent + dump({name: str(uri)})


def _replaced(text: str, name: str, uri: Uri) -> str:
    value = next((value for key, value in find_nodes(text) if key.value == name), None)
    if isinstance(value, yaml.MappingNode):
        value = next((inner for key, inner in value.value if key.value == "uri"), None)
    if value is None:
        return text
    return text[: value.start_mark.index] + str(uri) + text[value.end_mark.index :]


def _with_role(text: str, name: str, role: Role) -> str:
    value = next((value for key, value in find_nodes(text) if key.value == name), None)
    if isinstance(value, yaml.ScalarNode):
        known = text[value.start_mark.index : value.end_mark.index]
        return f"{text[: value.start_mark.index]}{{uri: {known}, role: {role}}}{text[value.end_mark.index :]}"
    if not isinstance(value, yaml.MappingNode):
        return text
    for key, inner in value.value:
        if key.value == "role":
            return text[: inner.start_mark.index] + str(role) + text[inner.end_mark.index :]
    first = value.value[0][0].start_mark
    joint = ", " if value.flow_style else "\n" + " " * first.column
    return f"{text[: first.index]}role: {role}{joint}{text[first.index :]}"


def _removed(text: str, name: str) -> str:
    for key, value in find_nodes(text):
        if key.value == name:
            # What is in block style ends where the next key begins, after the comments above that key.
            while isinstance(value, yaml.CollectionNode) and not value.flow_style and value.value:
                last = value.value[-1]
                value = last[1] if isinstance(last, tuple) else last
            start = text.rfind("\n", 0, key.start_mark.index) + 1
            return text[:start] + text[value.end_mark.index :].partition("\n")[2]
    return text
