"""One experiment over many lab computers.

The names below are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from multirig.version import __version__

if TYPE_CHECKING:
    from multirig.conductor.conductor import Conductor
    from multirig.conductor.observer import Observer
    from multirig.conductor.roster import Roster
    from multirig.conductor.sighting import Sighting
    from multirig.config import RigConfig, Uri, load_rig_config
    from multirig.errors import MultirigError
    from multirig.protocol.exp_ref import ExpRef
    from multirig.protocol.messages import Event, Message, Status
    from multirig.reading.listing import sessions
    from multirig.reading.loading import load
    from multirig.reading.session import LoadedSession
    from multirig.rig.adapter import Adapter, File, Health, Marker, Picture, Session
    from multirig.rig.service import RigService

_HOMES = {
    "Adapter": "multirig.rig.adapter",
    "Conductor": "multirig.conductor.conductor",
    "Event": "multirig.protocol.messages",
    "ExpRef": "multirig.protocol.exp_ref",
    "Health": "multirig.rig.adapter",
    "LoadedSession": "multirig.reading.session",
    "Marker": "multirig.rig.adapter",
    "Message": "multirig.protocol.messages",
    "MultirigError": "multirig.errors",
    "Observer": "multirig.conductor.observer",
    "Picture": "multirig.rig.adapter",
    "File": "multirig.rig.adapter",
    "RigConfig": "multirig.config",
    "RigService": "multirig.rig.service",
    "Roster": "multirig.conductor.roster",
    "Session": "multirig.rig.adapter",
    "Sighting": "multirig.conductor.sighting",
    "Status": "multirig.protocol.messages",
    "Uri": "multirig.config",
    "load": "multirig.reading.loading",
    "load_rig_config": "multirig.config",
    "sessions": "multirig.reading.listing",
}

__all__ = [
    "Adapter",
    "Conductor",
    "Event",
    "ExpRef",
    "File",
    "Health",
    "LoadedSession",
    "Marker",
    "Message",
    "MultirigError",
    "Observer",
    "Picture",
    "RigConfig",
    "RigService",
    "Roster",
    "Session",
    "Sighting",
    "Status",
    "Uri",
    "__version__",
    "load",
    "load_rig_config",
    "sessions",
]


def __getattr__(name: str) -> Any:
    if name == "ibl":  # iblrig.net.Auxiliaries = multirig.ibl.Auxiliaries
        return import_module("multirig.ibl")
    if name not in _HOMES:
        raise AttributeError(f"module 'multirig' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
