"""Which addresses are this PC's own."""

from __future__ import annotations

import pytest

from multirig.conductor.registration import own_addresses
from multirig.keyring.door import is_own_address


def test_each_address_of_this_pc_is_its_own() -> None:
    assert is_own_address("127.0.0.1")
    assert all(is_own_address(one) for one in own_addresses() if ":" not in one)


@pytest.mark.wine_lacks("a refusal of addresses that are not this PC's")
@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_what_is_elsewhere_is_not(host: str) -> None:
    assert not is_own_address(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "224.0.0.1", "localhost", "\0"])
def test_what_is_no_address_is_not(host: str) -> None:
    assert not is_own_address(host)
