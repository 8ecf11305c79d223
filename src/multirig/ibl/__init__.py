"""IBL's interface by its names: ``iblrig.base_tasks``, ``iblrig.net``, ``iblutil.io.net``.

A task changes its imports and works. The names below are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multirig.ibl import net
    from multirig.ibl.auxiliaries import Auxiliaries
    from multirig.ibl.base_session import BaseSession
    from multirig.ibl.network_mixin import NetworkMixin
    from multirig.ibl.network_session import NetworkSession
    from multirig.ibl.plain_sessions import EmptySession, SpontaneousSession
    from multirig.ibl.previous_sessions import iterate_previous_sessions
    from multirig.ibl.task_arguments import get_task_arguments

_HOMES = {
    "Auxiliaries": "multirig.ibl.auxiliaries",
    "BaseSession": "multirig.ibl.base_session",
    "EmptySession": "multirig.ibl.plain_sessions",
    "NetworkMixin": "multirig.ibl.network_mixin",
    "NetworkSession": "multirig.ibl.network_session",
    "SpontaneousSession": "multirig.ibl.plain_sessions",
    "get_task_arguments": "multirig.ibl.task_arguments",
    "iterate_previous_sessions": "multirig.ibl.previous_sessions",
}

__all__ = [
    "Auxiliaries",
    "BaseSession",
    "EmptySession",
    "NetworkMixin",
    "NetworkSession",
    "SpontaneousSession",
    "get_task_arguments",
    "iterate_previous_sessions",
    "net",
]


def __getattr__(name: str) -> Any:
    if name == "net":
        return import_module("multirig.ibl.net")
    if name not in _HOMES:
        raise AttributeError(f"module 'multirig.ibl' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
