"""IBL's names and signatures, compared with the iblutil that is installed: a new release that adds one fails."""

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


def of(package: str, module: str) -> Any:
    return importlib.import_module(f"{package}.{module}")


def public(where: Any, home: str | None = None) -> set[str]:
    names = set()
    for name in dir(where):
        if name.startswith("_"):
            continue
        member = inspect.getattr_static(where, name)
        if home is None or getattr(member, "__module__", None) == home or name.isupper():
            names.add(name)
    return names


@pytest.mark.parametrize("module", ["base", "app"])
def test_every_public_name_of_iblutils_module_is_here(module: str) -> None:
    theirs = public(of("iblutil.io.net", module), f"iblutil.io.net.{module}")
    missing = theirs - set(dir(of("multirig.ibl.net", module))) - NOT_OURS.get(module, set())
    assert missing == set()


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_every_public_member_of_iblutils_class_is_here(module: str, name: str) -> None:
    theirs, ours = getattr(of("iblutil.io.net", module), name), getattr(of("multirig.ibl.net", module), name)
    own = {one for one in public(theirs) if any(one in vars(base) for base in theirs.__mro__[:-1])}
    builtins = set(dir(int)) | set(dir(dict))
    missing = own - set(dir(ours)) - NOT_OURS.get(name, set()) - builtins
    assert missing == set()


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_methods_take_what_iblutils_take_and_at_most_keywords_of_our_own(module: str, name: str) -> None:
    theirs, ours = getattr(of("iblutil.io.net", module), name), getattr(of("multirig.ibl.net", module), name)
    members = {
        member
        for member in public(theirs) - NOT_OURS.get(name, set())
        if inspect.isfunction(getattr(theirs, member))
        and getattr(theirs, member).__module__.startswith("iblutil")
    }
    assert members or name == "ExpStatus"
    different = {
        member: (parameters(getattr(theirs, member)), parameters(getattr(ours, member)))
        for member in members
        if not takes_the_same(getattr(theirs, member), getattr(ours, member))
    }
    assert different == {}


@pytest.mark.parametrize("name", ["is_success", "is_valid_ip", "hostname2ip", "validate_uri", "external_ip"])
def test_functions_take_what_iblutils_take(name: str) -> None:
    theirs, ours = (getattr(of(one, "base"), name) for one in ("iblutil.io.net", "multirig.ibl.net"))
    assert parameters(ours) == parameters(theirs)


def takes_the_same(theirs: Any, ours: Any) -> bool:
    want, have = parameters(theirs), parameters(ours)
    extra = have[len(want) :]
    return have[: len(want)] == want and all(kind is inspect.Parameter.KEYWORD_ONLY for _, kind, _ in extra)


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    found = inspect.signature(function).parameters.values()
    return [(one.name, one.kind, one.default) for one in found]


def test_iblrigs_functions_are_here_by_name() -> None:
    from multirig.ibl import net

    names = """Auxiliaries ExpInfo get_remote_devices get_remote_devices_file get_server_communicator
    check_uri_match install_alyx_token update_alyx_token read_stdin"""
    assert set(names.split()) <= set(dir(net))
