"""The one description of a session that a PC has, of all that has recorded it there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

VERSION = "1.0.0"
"""Of IBL's specification."""
BEHAVIOR, VIDEO, EPHYS = "behavior", "video", "ephys"
"""The devices of which iblrig has copiers of their own."""
_ORDER = (BEHAVIOR, VIDEO)

Description = dict[str, Any]


def choose_device(devices: Iterable[str]) -> str:
    """Return as which device a folder is copied that several share: a task's, cameras', else the first name.

    IBL's copier of tasks looks whether there is a task; the others take whatever is described.
    """
    return min(
        devices, key=lambda one: (_ORDER.index(one) if one in _ORDER else len(_ORDER), one == EPHYS, one)
    )


def merge(parts: Iterable[Mapping[str, Any]]) -> Description:
    """Return one description from those of several recorders on one PC; what comes later wins.

    Parameters
    ----------
    parts : iterable of mapping
        ``devices`` are merged kind by kind and label by label, lists are united in their order. The first
        ``sync`` stays: there can be one only.
    """
    whole: Description = {}
    for part in parts:
        for key, value in deepcopy(dict(part)).items():
            if key == "devices":
                for kind, labels in (value or {}).items():
                    whole.setdefault(key, {}).setdefault(kind, {}).update(labels or {})
            elif isinstance(value, list):
                there = whole.setdefault(key, [])
                there += [one for one in value if one not in there]
            elif value or key != "sync":
                whole.setdefault(key, value)
    return {**whole, "version": VERSION}


def subtract(
    whole: Mapping[str, Any], part: Mapping[str, Any], *, is_there: Callable[[str], bool] = lambda _: True
) -> Description:
    """Return what a description says that another one does not.

    Parameters
    ----------
    whole, part : mapping
        The description, and what is taken out of it.
    is_there : callable
        Whether a collection lies on this PC; devices and a sync of others are left out too.
    """
    left: Description = {}
    for kind, labels in (whole.get("devices") or {}).items():
        known = (part.get("devices") or {}).get(kind) or {}
        ours = {
            label: each
            for label, each in (labels or {}).items()
            if label not in known and is_there(_collection(each))
        }
        if ours:
            left.setdefault("devices", {})[kind] = ours
    for key, value in whole.items():
        if isinstance(value, list):
            if more := [one for one in value if one not in (part.get(key) or [])]:
                left[key] = more
        elif (
            key == "sync"
            and value
            and value != part.get(key)
            and all(is_there(_collection(each)) for each in value.values())
        ) or (key not in ("devices", "sync", "version") and key not in part):
            left[key] = value
    return left


def list_collections(described: Any) -> set[str]:
    """Return the folders of a session that a description names, wherever in it they stand."""
    if isinstance(described, list):
        return set().union(*map(list_collections, described))
    if not isinstance(described, Mapping):
        return set()
    inner = set().union(*map(list_collections, described.values()))
    return inner | ({name} if (name := _collection(described)) else set())


def share_collection(one: Mapping[str, Any], two: Mapping[str, Any]) -> str | None:
    """Return a folder that two descriptions both name, or name parts of; None: there is none."""
    for mine in sorted(list_collections(one)):
        for other in list_collections(two):
            if f"{mine}/".startswith(f"{other}/") or f"{other}/".startswith(f"{mine}/"):
                return mine
    return None


def describe_probes(probes: Iterable[str], *, is_main_sync: bool) -> Description:
    """Return the description of Neuropixels probes that SpikeGLX records, as iblrig has it.

    Parameters
    ----------
    probes : iterable of str
        Their names, ``probe00`` and so on.
    is_main_sync : bool
        Whether the PC keeps the experiment's time, with a NI-DAQ.
    """
    part: Description = {
        "devices": {
            "neuropixel": {
                name: {"collection": f"raw_ephys_data/{name}", "sync_label": "imec_sync"} for name in probes
            }
        }
    }
    if is_main_sync:
        part["sync"] = {
            "nidq": {
                "collection": "raw_ephys_data",
                "extension": "bin",
                "acquisition_software": "spikeglx",
            }
        }
    return part


def without_rigs(whole: Mapping[str, Any], rigs: Iterable[Mapping[str, Any]]) -> Description:
    """Return what a description says of this PC itself, without the parts that rigs elsewhere have given.

    A PC copies each collection that its description names: those of other PCs would keep it from being
    copied.
    """
    theirs = merge(rigs)
    devices: Description = {}
    for kind, labels in (whole.get("devices") or {}).items():
        told = (theirs.get("devices") or {}).get(kind) or {}
        # whoever has the device records it, whatever the hardware settings of this PC say of it
        if mine := {label: each for label, each in (labels or {}).items() if label not in told}:
            devices[kind] = mine
    own = deepcopy(dict(whole))
    if "collection" in (own.get("remote_rigs") or {}):  # a rig of that name would be one to iblrig
        del own["remote_rigs"]
    if "devices" in own:
        own["devices"] = devices
    if own.get("sync") and own["sync"] == theirs.get("sync"):
        del own["sync"]
    return own


def _collection(settings: Any) -> str:
    found = settings.get("collection") if isinstance(settings, Mapping) else None
    return found if isinstance(found, str) else ""
