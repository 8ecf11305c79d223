"""What Windows' firewall makes of those who want to reach a rig, by the rules that it keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from multirig.pc.finding import Level
from multirig.pc.network import (
    DOMAIN,
    GROUP_POLICY,
    POLICY,
    PRIVATE,
    PROFILE_KEYS,
    PUBLIC,
    Listener,
    allow_command,
    check_network,
    open_firewall,
)
from multirig.pc.reader import Reader

PYTHON = r"C:\Program Files\Python311\python.exe"
RIG = Listener(program=PYTHON, scheme="udp", port=11001)
BASE = "v2.31|Action=Allow|Active=TRUE|Dir=In|"
PROMPT_YES = BASE + rf"Protocol=17|Profile=Private|App={PYTHON}|Name=python.exe|Desc=python.exe|Defer=User|"
PROMPT_NO = PROMPT_YES.replace("Allow", "Block")
BY_PORT = BASE + "Protocol=17|LPort=11001|Name=multirig|"


def make_pc(
    *rules: str,
    networks: Sequence[tuple[str, int]] = (("Lab", PRIVATE),),
    is_on: bool = True,
    ordered: Sequence[str] = (),
    more: Mapping[tuple[str, str], int] | None = None,
) -> Reader:
    values = {(rf"{POLICY}\{key}", "EnableFirewall"): int(is_on) for key in PROFILE_KEYS.values()}
    values |= more or {}
    written = {
        rf"{POLICY}\FirewallRules": {str(number): rule for number, rule in enumerate(rules)},
        rf"{GROUP_POLICY}\FirewallRules": {str(number): rule for number, rule in enumerate(ordered)},
    }
    return Reader(
        system="win32",
        run=lambda command: "",
        read=lambda path: None,
        registry=lambda key, name: values.get((key, name or "")),
        service=lambda name: None,
        registry_values=lambda key: written.get(key, {}),
        networks=lambda: networks,
    )


def firewall(pc: Reader, listener: Listener = RIG) -> tuple[Level, str]:
    (one,) = (one for one in check_network(pc, [listener]) if one.check == "firewall")
    return one.level, one.text


@pytest.mark.parametrize(
    "rule",
    [
        PROMPT_YES,
        PROMPT_YES.replace(PYTHON, PYTHON.upper()),
        BY_PORT,
        BASE + "Protocol=17|LPort=137|LPort=11000-11010|Name=range|",
        BASE + f"App={PYTHON}|Name=every protocol|",
        BASE + f"Profile=Domain|Profile=Private|App={PYTHON}|Name=two profiles|",
        BASE + "Protocol=17|LPort=11001|RA4=LocalSubnet|RA6=LocalSubnet|Name=neighbours|",
        BASE + "Name=everything|",
    ],
)
def test_a_rule_that_lets_others_in_is_found(rule: str) -> None:
    assert firewall(make_pc(rule))[0] is Level.OK


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "v2.31|",
        "no rule at all",
        PROMPT_YES.replace("Active=TRUE", "Active=FALSE"),
        PROMPT_YES.replace("Dir=In", "Dir=Out"),
        PROMPT_YES.replace("Protocol=17", "Protocol=6"),
        PROMPT_YES.replace("Profile=Private", "Profile=Public"),
        PROMPT_YES.replace("Python311", "Python312"),
        BY_PORT.replace("11001", "11002"),
        BY_PORT.replace("11001", "RPC"),
        BY_PORT + r"Svc=Dhcp|",
        BASE + "LUPkg=S-1-15-2-1|Name=an app of the store|",
    ],
)
def test_a_rule_that_is_about_something_else_lets_nobody_in(rule: str) -> None:
    level, text = firewall(make_pc(rule))
    assert level is Level.WARNING
    assert "lets nobody in on udp port 11001" in text
    assert allow_command(RIG, is_blocked=False) in text
    assert "delete" not in text, "other rules of that program stay"


def test_a_question_that_was_answered_with_no_counts_more_than_every_yes() -> None:
    level, text = firewall(make_pc(PROMPT_NO, PROMPT_YES, BY_PORT))
    assert level is Level.FAILURE
    assert "answered with no" in text
    delete, add = allow_command(RIG, is_blocked=True).split("; ")
    assert "delete rule" in delete
    assert f'program="{PYTHON}"' in delete
    assert "action=allow" in add


def test_a_rule_against_single_pcs_keeps_nobody_else_out() -> None:
    assert firewall(make_pc(PROMPT_NO + "RA4=192.168.1.66|", BY_PORT))[0] is Level.OK


def test_whom_a_rule_lets_in_is_told_where_it_is_not_everybody() -> None:
    assert "10.0.0.0/255.0.0.0" in firewall(make_pc(BY_PORT + "RA4=10.0.0.0/255.0.0.0|"))[1]
    assert "nobody else" not in firewall(make_pc(BY_PORT + "RA4=10.0.0.5|", PROMPT_YES))[1]


def test_what_an_administrator_has_set_for_many_pcs_counts() -> None:
    assert firewall(make_pc(ordered=[BY_PORT]))[0] is Level.OK
    off = {(rf"{GROUP_POLICY}\{PROFILE_KEYS[PRIVATE]}", "EnableFirewall"): 0}
    assert "off" in firewall(make_pc(more=off))[1]
    shut = {(rf"{GROUP_POLICY}\{PROFILE_KEYS[PRIVATE]}", "DoNotAllowExceptions"): 1}
    level, text = firewall(make_pc(BY_PORT, more=shut))
    assert (level, "blocks all incoming" in text) == (Level.FAILURE, True)


def test_a_firewall_that_lets_everybody_in_needs_no_rule() -> None:
    assert firewall(make_pc(is_on=False))[0] is Level.OK
    every = {(rf"{POLICY}\{PROFILE_KEYS[PRIVATE]}", "DefaultInboundAction"): 0}
    assert firewall(make_pc(more=every))[0] is Level.OK


def test_a_pc_in_two_networks_is_judged_by_the_worse() -> None:
    both = (("Lab", PRIVATE), ("University", DOMAIN))
    assert firewall(make_pc(PROMPT_YES, networks=both))[0] is Level.WARNING
    assert firewall(make_pc(BY_PORT, networks=both))[0] is Level.OK


def test_a_public_network_is_a_warning_that_says_its_name() -> None:
    found = {
        one.check: one for one in check_network(make_pc(PROMPT_YES, networks=[("Lab 2", PUBLIC)]), [RIG])
    }
    assert found["network"].level is Level.WARNING
    assert "'Lab 2'" in found["network"].text
    assert "private" in found["network"].text
    found = {one.check: one for one in check_network(make_pc(BY_PORT), [RIG])}
    assert found["network"].level is Level.OK
    found = {one.check: one for one in check_network(make_pc(BY_PORT, networks=[("", PUBLIC)]), [RIG])}
    assert found["network"].level is Level.NOTE  # who asks has an answer, which is more than a name


def test_where_nothing_is_told_nothing_is_said() -> None:
    for system in ("win32", "linux", "darwin"):
        pc = Reader(
            system=system,
            run=lambda command: "",
            read=lambda path: None,
            registry=lambda key, name: None,
            service=lambda name: None,
        )
        assert check_network(pc, [RIG]) == []


def make_changing_pc(*, is_administrator: bool) -> tuple[Reader, list[str]]:
    """Return a PC of which netsh takes away and adds rules."""
    rules = {"1": PROMPT_NO}
    asked: list[str] = []

    def run(command: Sequence[str]) -> str:
        asked.append(" ".join(command))
        if "delete" in command:
            rules.clear()
        elif "add" in command:
            rules["2"] = BASE + f"Profile=Private|Profile=Domain|App={PYTHON}|Name=multirig|"
        return ""

    pc = replace(
        make_pc(),
        run=run,
        registry_values=lambda key: rules if key.startswith(POLICY) else {},
        is_administrator=lambda: is_administrator,
    )
    return pc, asked


def test_an_administrator_opens_the_firewall_and_anybody_else_reads_how() -> None:
    pc, asked = make_changing_pc(is_administrator=True)
    found = {one.check: one for one in open_firewall(pc, [RIG])}
    assert found["firewall"].level is Level.OK
    assert [one.split()[3] for one in asked] == ["delete", "add"]
    assert open_firewall(pc, [RIG])
    assert len(asked) == 2, "what is open is left alone"
    pc, asked = make_changing_pc(is_administrator=False)
    found = {one.check: one for one in open_firewall(pc, [RIG])}
    assert found["firewall"].level is Level.FAILURE
    assert asked == []


def test_variables_in_a_rules_path_are_read() -> None:
    rule = PROMPT_YES.replace(r"C:\Program Files", "%ProgramFiles%")
    assert firewall(make_pc(rule))[0] is Level.WARNING
    pc = replace(make_pc(rule), variables={"PROGRAMFILES": r"C:\Program Files"})
    assert firewall(pc)[0] is Level.OK


def test_the_gravest_of_all_networks_counts() -> None:
    """Barred in the first, and without a rule in the other."""
    barred = PROMPT_NO.replace("Profile=Private", "Profile=Public")
    pc = make_pc(barred, networks=[("Guests", PUBLIC), ("Lab", PRIVATE)])
    assert firewall(pc)[0] is Level.FAILURE
