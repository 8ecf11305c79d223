"""The experiment's description: who recorded what with which device, merged from every PC's part.

The content of ``_ibl_experiment.description.yaml``, version 1.0.0 of IBL's specification: ``devices`` (kind →
label → settings), ``procedures``, ``projects``, ``tasks`` (a list of ``{protocol: settings}``), one ``sync``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from multirig.config import YamlLoader, parse_yaml, read_text
from multirig.errors import ConfigError
from multirig.folders import DESCRIPTION_NAME, WHOLE_NAME, find_description, list_device_descriptions
from multirig.ibl.bunch import unbunched
from multirig.ibl.writing import write_whole
from multirig.protocol.words import Info

VERSION = "1.0.0"
FILE_NAME = DESCRIPTION_NAME
HERE = "this PC"
"""Who gave what was there first, where nobody else is named."""

Sources = dict[tuple[str, ...], str]
"""Who gave which entry: path of keys → PC."""

_UNITED = ("procedures", "projects")


def merge_all(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return one description from those of several PCs, in their order.

    Parameters
    ----------
    parts : mapping of str to mapping
        Who → its part.

    Raises
    ------
    ConfigError
        Two parts contradict each other; see `merge`.
    """
    whole: dict[str, Any] = {}
    sources: Sources = {}
    for who, part in parts.items():
        merge(whole, part, who, sources)
    return whole


def describe_rigs(
    own: Mapping[str, Any], information: Mapping[str, Info], uris: Mapping[str, str]
) -> dict[str, Any]:
    """Return this PC's description with the rigs that take part, and each one's own part.

    Parameters
    ----------
    own : mapping
        This PC's part.
    information : mapping of str to Info
        What each rig said of itself when it agreed.
    uris : mapping of str to str
        Where each rig is.

    Raises
    ------
    ConfigError
        Two of them contradict each other, or claim the sync.
    """
    parts = {
        name: part for name, info in information.items() if (part := info.experiment_description) is not None
    }
    return {**merge_all({HERE: own, **parts}), "remote_rigs": dict(uris)}


def take_parts(information: dict[str, Info], responses: Mapping[str, Sequence[Any]]) -> bool:
    """Take each rig's part of the description from its answer, which iblrig's cameras give late.

    Parameters
    ----------
    information : dict of str to Info
        What each rig has said of itself so far; changed in place.
    responses : mapping of str to sequence
        What each rig's message holds besides its event.

    Returns
    -------
    bool
        Whether there was one.
    """
    is_new = False
    for name, response in responses.items():
        for each in response:
            part = each.get("experiment_description") if isinstance(each, Mapping) else None
            if isinstance(part, Mapping) and part:
                information[name] = replace(information.get(name, Info()), experiment_description=part)
                is_new = True
    return is_new


def merge(
    into: dict[str, Any], part: Mapping[str, Any] | None, who: str, sources: Sources | None = None
) -> dict[str, Any]:
    """Add one PC's part to a description.

    Devices are merged kind by kind and label by label, procedures and projects are united in order, tasks are
    appended; a task that is there already is not there twice. Of other keys the newest value stands.

    Parameters
    ----------
    into : dict
        The description, changed in place; left as it is if the part contradicts it.
    part : mapping or None
        What is added.
    who : str
        Whose part it is, for the error.
    sources : dict, optional
        Who gave what so far, for the error; kept up to date when the same dict is given each time.

    Returns
    -------
    dict
        ``into``.

    Raises
    ------
    ConfigError
        The part is no description, there are two different ``sync``, or the part says something else than
        another PC about the same device. Both PCs are named.
    """
    if not part:
        return into
    sources = {} if sources is None else sources
    theirs = _checked(part, who)
    merged = _checked(into, HERE)
    told = dict(sources)
    _refuse_second_sync(merged.get("sync"), theirs.get("sync"), told.get(("sync",), HERE), who)
    for key, value in theirs.items():
        if key == "version":
            continue
        if key in _UNITED or key == "tasks":
            there = merged.setdefault(key, [])
            there += [each for number, each in enumerate(value) if each not in there + value[:number]]
        else:
            _merge_value(merged, (key,), value, who, told)
    merged["version"] = VERSION
    into.clear()
    into.update(merged)
    sources.clear()
    sources.update(told)
    return into


def _merge_value(there: dict[str, Any], path: tuple[str, ...], value: Any, who: str, told: Sources) -> None:
    key = path[-1]
    if there.get(key) is None:
        there[key] = deepcopy(value)
        told[path] = who
    elif isinstance(there[key], dict) and isinstance(value, dict):
        for inner, each in value.items():
            _merge_value(there[key], (*path, inner), each, who, told)
    elif value is not None and there[key] != value:
        # who gave a whole also gave what is in it, unless somebody else added that later
        first = next((told[path[:n]] for n in range(len(path), 0, -1) if path[:n] in told), HERE)
        if path[0] != "devices" or first == who:  # news of what is known already
            there[key], told[path] = deepcopy(value), who
            return
        raise ConfigError(
            f"{first} and {who} contradict each other in the experiment description: "
            f"{'.'.join(map(str, path))} is {there[key]!r:.60} on {first} and {value!r:.60} on {who}: "
            "give the devices different labels, or correct one of them"
        )


def _refuse_second_sync(there: Any, theirs: Any, first: str, who: str) -> None:
    if there and theirs and there != theirs:
        raise ConfigError(
            f"two syncs in the experiment description: {_names(there)} on {first} and {_names(theirs)} "
            f"on {who}: one PC owns the timeline, so take main_sync or MAIN_SYNC away on the other"
        )


def _names(sync: Any) -> str:
    return ", ".join(map(str, sync)) if isinstance(sync, dict) else str(sync)


def _checked(description: Mapping[str, Any], who: object) -> dict[str, Any]:
    """Return a copy of the description as version 1.0.0 has it."""
    if not isinstance(description, Mapping):
        raise ConfigError(f"{who}: the experiment description is {description!r:.40}: give key: value pairs")
    copied: dict[str, Any] = deepcopy(unbunched(description))
    if isinstance(copied.get("tasks"), dict):  # as it was before version 1
        copied["tasks"] = [{protocol: settings} for protocol, settings in copied["tasks"].items()]
    for key in (*_UNITED, "tasks"):
        if key in copied:
            copied[key] = copied[key] if copied[key] is not None else []
            if not isinstance(copied[key], list):
                raise ConfigError(
                    f"{who}: {key} of the experiment description is {copied[key]!r:.40}: give a list"
                )
    devices = copied.get("devices")
    if devices is not None and not (
        isinstance(devices, dict) and all(each is None or isinstance(each, dict) for each in devices.values())
    ):
        raise ConfigError(
            f"{who}: devices of the experiment description: give kinds, and labels below each kind"
        )
    if not copied.get("sync"):
        copied.pop("sync", None)
    return copied


def read(path: str | Path) -> dict[str, Any]:
    """Read a description, or the one in a session folder.

    Raises
    ------
    ConfigError
        It is missing or is no description.
    """
    path = Path(path)
    if path.is_dir():
        path = find_description(path) or path / FILE_NAME
    return _checked(parse_yaml(read_text(path), path, YamlLoader) or {}, path)


def write(path: str | Path, description: Mapping[str, Any]) -> Path:
    """Write a description, whole or not at all, and return its file.

    Parameters
    ----------
    path : str or pathlib.Path
        The file, or the session folder that it belongs in.
    description : mapping
        What to write; the version is added.
    """
    path = Path(path)
    if path.is_dir():
        path = path / FILE_NAME
    content = {**unbunched(description), "version": VERSION}
    write_whole(path, yaml.safe_dump(content, sort_keys=True, allow_unicode=True))
    return path


def write_into(folder: str | Path, part: Mapping[str, Any]) -> Path:
    """Write a description into a session folder, with what an earlier task of the session wrote.

    Parameters
    ----------
    folder : str or pathlib.Path
        The session folder.
    part : mapping
        What is added to what is there.
    """
    path = _whole_file(Path(folder))
    there = read(path) if path.exists() else {}
    return write(path, merge(there, part, HERE))


def write_beside(folder: str | Path, whole: Mapping[str, Any]) -> Path:
    """Write the description of all PCs beside that of a task, where iblrig does not look; return its file.

    Parameters
    ----------
    folder : str or pathlib.Path
        The session folder; it is made where it is missing.
    whole : mapping
        What is added to what is there.
    """
    path = Path(folder) / WHOLE_NAME
    there = read(path) if path.exists() else {}
    return write(path, merge(there, whole, HERE))


def _whole_file(folder: Path) -> Path:
    """Return where the description of all PCs lies in a session folder of this one.

    IBL's copiers take the first description that they find for that of their own PC: where there is one, the
    other gets a name that they do not look at.
    """
    return folder / (WHOLE_NAME if list_device_descriptions(folder) else FILE_NAME)
