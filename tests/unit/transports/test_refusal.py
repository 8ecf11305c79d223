"""Why a port cannot be had is read from the number of the error: its words are in the system's language."""

from __future__ import annotations

import errno

import pytest

from multirig.transports.base import explain_refusal


def refusal(number: int, words: str, windows: int | None = None) -> OSError:
    error = OSError(number, words)
    if windows is not None:
        error.winerror = windows  # type: ignore[attr-defined,unused-ignore]
    return error


@pytest.mark.parametrize(
    "error",
    [
        refusal(errno.EADDRINUSE, "Address already in use"),
        refusal(errno.EADDRINUSE, "Die Adresse wird bereits verwendet"),
        refusal(10048, "Normalerweise darf jede Socketadresse nur jeweils einmal verwendet werden", 10048),
        refusal(errno.EADDRINUSE, "通常每个套接字地址只允许使用一次", 10048),
    ],
)
def test_a_port_in_use_is_known_in_every_language(error: OSError) -> None:
    assert explain_refusal(error).endswith("uses this port: end it or choose another port")


@pytest.mark.parametrize(
    "error",
    [
        refusal(errno.EACCES, "Permission denied"),
        refusal(errno.EACCES, "Une tentative d’accès à un socket de manière interdite", 10013),
    ],
)
def test_a_port_that_the_system_keeps_is_told_with_what_shows_it(error: OSError) -> None:
    assert "excludedportrange" in explain_refusal(error)
    assert explain_refusal(error).endswith("choose another port")


@pytest.mark.parametrize(
    "error",
    [
        refusal(errno.EADDRNOTAVAIL, "Cannot assign requested address"),
        refusal(errno.EADDRNOTAVAIL, "Die angeforderte Adresse ist in diesem Kontext ungültig", 10049),
    ],
)
def test_an_address_of_another_pc_is_told(error: OSError) -> None:
    assert explain_refusal(error).endswith("use 0.0.0.0 for all of its addresses")


def test_what_is_unknown_is_told_as_the_system_says_it() -> None:
    assert explain_refusal(OSError(errno.ENOBUFS, "No buffer space available")) == "no buffer space available"
