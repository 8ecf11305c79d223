"""IBL's names and signatures, compared with the iblutil that is installed: a release that adds one fails."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from typing import Any

import pytest

if importlib.util.find_spec("iblutil") is None:  # it needs a newer Python than multirig does
    pytest.skip("iblutil is not installed here", allow_module_level=True)

NOT_OURS = {
    "EchoProtocol": {
        # called by asyncio on its own protocols; our sockets are in multirig.transports
        "connection_made",
        "connection_lost",
        "data_received",
        "datagram_received",
        "eof_received",
        "error_received",
    },
    "app": {
        # an example of a command line; multirig serve is ours
        "main",
    },
}
CLASSES = [
    *(("base", name) for name in ("ExpMessage", "ExpStatus", "Service", "Communicator")),
    *(("app", name) for name in ("EchoProtocol", "Services")),
]
FUNCTIONS = ("is_success", "is_valid_ip", "hostname2ip", "validate_uri", "external_ip")


def both(module: str, name: str) -> tuple[Any, Any]:
    """Return iblutil's and our object of a name."""
    return tuple(
        getattr(importlib.import_module(f"{home}.{module}"), name)
        for home in ("iblutil.io.net", "multirig.ibl.net")
    )


def members(cls: Any) -> set[str]:
    """Return the public members that iblutil itself gives a class."""
    own = [base for base in cls.__mro__ if base.__module__.startswith("iblutil")]
    return {name for base in own for name in vars(base) if not name.startswith("_")}


def function(cls: Any, name: str) -> Any:
    """Return a method as a plain function; None for what is no method."""
    found = inspect.getattr_static(cls, name, None)
    found = getattr(found, "__func__", found)
    return found if inspect.isfunction(found) else None


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    found = inspect.signature(function).parameters.values()
    return [(one.name, one.kind, one.default) for one in found]


@pytest.mark.parametrize("module", ["base", "app"])
def test_every_public_name_of_iblutils_module_is_here(module: str) -> None:
    theirs = importlib.import_module(f"iblutil.io.net.{module}")
    ours = importlib.import_module(f"multirig.ibl.net.{module}")
    names = {
        name
        for name, member in vars(theirs).items()
        if not name.startswith("_")
        and (getattr(member, "__module__", "") == theirs.__name__ or name.isupper())
    }
    assert {"base": "ExpMessage", "app": "Services"}[module] in names
    assert names - set(dir(ours)) - NOT_OURS.get(module, set()) == set()


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_every_public_member_of_iblutils_class_is_here(module: str, name: str) -> None:
    theirs, ours = both(module, name)
    missing = {one for one in members(theirs) if not hasattr(ours, one)} - NOT_OURS.get(name, set())
    # what the constructor sets is there in an instance
    missing -= {"server_uri", "name", "logger", "timeout", "server"}
    assert members(theirs)
    assert missing == set()


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_methods_take_what_iblutils_take_and_at_most_keywords_of_our_own(module: str, name: str) -> None:
    theirs, ours = both(module, name)
    compared = {one for one in members(theirs) - NOT_OURS.get(name, set()) if function(theirs, one)}
    assert compared or name == "ExpStatus"
    different = {}
    for one in compared:
        want, have = parameters(function(theirs, one)), parameters(function(ours, one))
        kinds = {kind for _, kind, _ in have[len(want) :]}
        if have[: len(want)] != want or kinds - {inspect.Parameter.KEYWORD_ONLY}:
            different[one] = (want, have)
    assert different == {}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_what_iblutils_take(name: str) -> None:
    theirs, ours = both("base", name)
    assert parameters(ours) == parameters(theirs)


def test_iblrigs_functions_are_here_by_name() -> None:
    from multirig.ibl import net

    names = """Auxiliaries ExpInfo get_remote_devices get_remote_devices_file get_server_communicator
    check_uri_match install_alyx_token update_alyx_token read_stdin"""
    assert set(names.split()) <= set(dir(net))
