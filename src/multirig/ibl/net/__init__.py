"""``iblutil.io.net`` and ``iblrig.net`` by their names.

``from multirig.ibl import net`` stands for ``from iblutil.io import net`` (``net.base``, ``net.app``) as well
as for ``from iblrig import net`` (``net.get_remote_devices``). The names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "base": (
        "LISTEN_PORT",
        "PROTOCOL_VERSION",
        "Communicator",
        "ExpMessage",
        "ExpStatus",
        "Service",
        "external_ip",
        "hostname2ip",
        "is_success",
        "is_valid_ip",
        "validate_uri",
    ),
    "app": ("EchoProtocol", "Services"),
    "rigs": (
        "ExpInfo",
        "check_uri_match",
        "get_remote_devices",
        "get_remote_devices_file",
        "get_server_communicator",
        "read_stdin",
    ),
}
_HOME_OF = {name: f"multirig.ibl.net.{home}" for home, names in _HOMES.items() for name in names}
_HOME_OF |= {
    "Auxiliaries": "multirig.ibl.auxiliaries",
    "install_alyx_token": "multirig.ibl.alyx",
    "update_alyx_token": "multirig.ibl.alyx",
}
_MODULES = ("app", "base", "rigs")

__all__ = sorted([*_HOME_OF, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"multirig.ibl.net.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'multirig.ibl.net' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
