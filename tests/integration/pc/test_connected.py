"""What Windows itself says of its networks and keys."""

import sys

import pytest

from multirig.pc.connected import list_networks
from multirig.pc.network import PROFILES
from multirig.pc.reader import this_pc


@pytest.mark.skipif(sys.platform != "win32", reason="only Windows judges networks")
def test_windows_tells_in_which_networks_this_pc_is() -> None:
    found = list_networks()
    assert found
    assert all(isinstance(name, str) and category in PROFILES for name, category in found)
    assert list_networks() == found


@pytest.mark.skipif(sys.platform != "win32", reason="only Windows has a registry")
def test_all_values_of_a_key_are_read() -> None:
    values = this_pc().registry_values(r"SOFTWARE\Microsoft\Windows NT\CurrentVersion")
    assert values["CurrentVersion"]
    assert this_pc().registry_values(r"SOFTWARE\there\is\no\such\key") == {}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does")
def test_no_other_system_judges_networks() -> None:
    assert list_networks() == []
    assert this_pc().registry_values("SOFTWARE") == {}
