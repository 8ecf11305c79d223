"""What is to be typed after a rig's file is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from multirig.cli.new_file import say_next
from multirig.rig.setup.plan import NothingPlan, Plan

FILE = Path("/rigs/cam.yaml")


def lines(own: dict[str, str], *, system: str = "linux", port: int = 11001, here: bool = False) -> list[str]:
    plan = Plan(
        name="cam pc", data_folder="d", records=NothingPlan(), port=port, is_led_from_network=not here
    )
    said = say_next(FILE, plan, "multirig", own, system)
    return [*said, *(line for group in said.values() for line in group)]


def adding(*arguments: object, **more: object) -> list[str]:
    return [one for one in lines(*arguments, **more) if " rigs add " in one]  # type: ignore[arg-type]


def test_the_leading_pc_is_told_the_address_of_this_one() -> None:
    [line] = adding({"192.168.1.20": "eth0"})
    assert line.endswith(" udp://192.168.1.20")
    assert "cam pc" in line.replace("'", "").replace('"', "")
    [line] = adding({"192.168.1.20": "eth0"}, port=11002)
    assert line.endswith(" udp://192.168.1.20:11002")


def test_of_several_addresses_each_is_shown_with_its_card() -> None:
    shown = adding({"192.168.1.20": "Ethernet", "10.0.0.3": "Wi-Fi", "fe80::1": "Ethernet"})
    assert [one.partition(" udp://")[2] for one in shown] == [
        "192.168.1.20     (if they meet by Ethernet)",
        "10.0.0.3     (if they meet by Wi-Fi)",
    ]


def test_a_pc_without_a_network_says_so() -> None:
    [line] = adding({})
    assert "udp://ADDRESS " in line
    assert "connect it to the network" in line


def test_a_rig_that_only_this_pc_leads_is_at_this_pc() -> None:
    [line] = adding({"192.168.1.20": "eth0"}, here=True)
    assert line.endswith(" udp://127.0.0.1")


@pytest.mark.parametrize(
    ("system", "here", "asks"),
    [("win32", False, True), ("win32", True, False), ("linux", False, False)],
)
def test_the_question_of_windows_firewall_is_announced(system: str, here: bool, asks: bool) -> None:
    assert any("private networks" in one for one in lines({}, system=system, here=here)) is asks
