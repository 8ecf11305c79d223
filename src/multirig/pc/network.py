"""Whether others reach a program on this PC: what Windows thinks of the network, and whom its firewall bars.

The firewall's rules are read where Windows keeps them, which a user without rights may do, and which is the
same in every language.
"""

from __future__ import annotations

import ipaddress
import ntpath
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from multirig.pc.finding import Finding, Level, worst
from multirig.pc.reader import Reader

PUBLIC, PRIVATE, DOMAIN = 0, 1, 2
"""What Windows thinks of a network, as it counts."""
PROFILES = {PUBLIC: "Public", PRIVATE: "Private", DOMAIN: "Domain"}
POLICY = r"SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy"
GROUP_POLICY = r"SOFTWARE\Policies\Microsoft\WindowsFirewall"
"""What an administrator has set for many PCs: it counts more."""
PROFILE_KEYS = {PUBLIC: "PublicProfile", PRIVATE: "StandardProfile", DOMAIN: "DomainProfile"}
PROTOCOLS = {"tcp": "6", "udp": "17"}
FIREWALL = "firewall"
RULE = "multirig"
"""Name of the rule that lets others in."""
ANY_PEER = {"localsubnet", "intranet", "*"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A program that others shall reach."""

    program: str
    """Path of the program that has the socket."""
    scheme: str
    """``udp`` or ``tcp``."""
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network that this PC is in now."""

    name: str
    category: int


def this_program() -> str:
    """Return the program that has this one's sockets: in a virtual environment of Windows that is another."""
    return getattr(sys, "_base_executable", None) or sys.executable


def find_listeners(addresses: Iterable[tuple[str, str, int]]) -> list[Listener]:
    """Return what others shall reach, of the addresses (scheme, host, port) at which this program listens."""
    program = this_program()
    return [
        Listener(program=program, scheme=scheme, port=port)
        for scheme, host, port in addresses
        if not _is_loopback(host)
    ]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_network(pc: Reader, listeners: Iterable[Listener]) -> list[Finding]:
    """Return whether Windows lets others reach a program; nothing of a system that does not tell.

    Parameters
    ----------
    pc : Reader
        The PC.
    listeners : iterable of Listener
        What others shall reach.
    """
    wanted = list(listeners)
    if pc.system != "win32" or not wanted:
        return []
    networks = [Network(name=name, category=category) for name, category in pc.networks()]
    barred = [one for listener in wanted if (one := find_barred(pc, networks, listener)) is not None]
    is_open = bool(barred) and all(one.level is Level.OK for one in barred)
    return [*([_judge_networks(networks, is_open=is_open)] if networks else []), *barred]


def _judge_networks(networks: Iterable[Network], *, is_open: bool) -> Finding:
    public = [one.name for one in networks if one.category == PUBLIC]
    if not public:
        return Finding(check="network", level=Level.OK, text="Windows counts the network as one of its own")
    text = f"Windows counts the network{f' {public[0]!r}' if public[0] else ''} as public"
    if is_open:
        text += "; its firewall lets others in all the same"
        return Finding(check="network", level=Level.NOTE, text=text)
    text += ", where it lets nobody in: if it is the lab's, set it to private in Settings > Network"
    return Finding(check="network", level=Level.WARNING, text=text)


def find_barred(pc: Reader, networks: Iterable[Network], listener: Listener) -> Finding | None:
    """Return whether Windows' firewall keeps others from a program; None where it does not tell."""
    categories = {one.category for one in networks} or {PRIVATE}
    rules = [*_read_rules(pc)]
    if not rules and all(_value(pc, one, "EnableFirewall") is None for one in categories):
        return None
    found = [_judge_firewall(pc, rules, category, listener) for category in sorted(categories)]
    return next(one for one in found if one.level is worst(found))


def _judge_firewall(pc: Reader, rules: list[Rule], category: int, listener: Listener) -> Finding:
    where = f"{listener.scheme} port {listener.port}"
    if not _is_on(pc, category):
        return _firewall(Level.OK, "Windows' firewall is off in this network")
    if _value(pc, category, "DoNotAllowExceptions"):
        text = (
            "Windows' firewall blocks all incoming connections: switch that off in Settings > Privacy & "
            "security > Windows Security > Firewall"
        )
        return _firewall(Level.FAILURE, text)
    about = [one for one in rules if one.is_about(listener, category)]
    fitting = [one for one in about if one.allows]
    if any(not one.allows and not one.peers for one in about):
        text = (
            f"Windows' firewall has a rule that keeps others from {where}, since its question was once "
            f"answered with no; in PowerShell as administrator: {allow_command(listener, is_blocked=True)}"
        )
        return _firewall(Level.FAILURE, text)
    if fitting:
        only = sorted({one.peers for one in fitting if one.peers})
        if only and len(only) == len({one.peers for one in fitting}):
            return _firewall(Level.OK, f"Windows' firewall lets in {', '.join(only)} on {where}, nobody else")
        return _firewall(Level.OK, f"Windows' firewall lets others in on {where}")
    if _value(pc, category, "DefaultInboundAction") == 0:
        return _firewall(Level.OK, "Windows' firewall lets everybody in")
    text = (
        f"Windows' firewall lets nobody in on {where}: answer its question with yes, or in PowerShell as "
        f"administrator: {allow_command(listener, is_blocked=False)}"
    )
    return _firewall(Level.WARNING, text)


def allow_commands(listener: Listener, *, is_blocked: bool) -> list[list[str]]:
    """Return the commands that let others reach a program; rules go only where one of them blocks it."""
    program, rules = f"program={listener.program}", ["netsh", "advfirewall", "firewall"]
    unblock = [*rules, "delete", "rule", "name=all", "dir=in", program]
    allow = [
        *rules,
        "add",
        "rule",
        f"name={RULE}",
        "dir=in",
        "action=allow",
        "profile=private,domain",
        program,
    ]
    return [unblock, allow] if is_blocked else [allow]


def allow_command(listener: Listener, *, is_blocked: bool) -> str:
    """Return what an administrator types for that."""
    quoted = f'program="{listener.program}"'
    commands = allow_commands(listener, is_blocked=is_blocked)
    return "; ".join(" ".join([*words[:-1], quoted]) for words in commands)


def open_firewall(pc: Reader, listeners: Iterable[Listener]) -> list[Finding]:
    """Let others reach programs, where this one has the right to; return what is found then.

    Parameters
    ----------
    pc : Reader
        The PC.
    listeners : iterable of Listener
        What others shall reach.

    Returns
    -------
    list of Finding
        As of `check_network`; what is not well has the command that an administrator types.
    """
    wanted = list(listeners)
    found = check_network(pc, wanted)
    if not pc.is_administrator():
        return found
    networks = [Network(name=name, category=category) for name, category in pc.networks()]
    shut = {one: barred.level for one in wanted if (barred := find_barred(pc, networks, one)) is not None}
    for listener, level in shut.items():
        if level is not Level.OK:
            for command in allow_commands(listener, is_blocked=level is Level.FAILURE):
                pc.run(command)
    return check_network(pc, wanted)


# -- rules ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule of Windows' firewall for what comes in."""

    allows: bool
    program: str | None
    protocol: str | None
    ports: tuple[tuple[int, int], ...] | None
    """From, to; None: all."""
    profiles: frozenset[str] = field(default_factory=frozenset)
    """Without any it holds in all."""
    peers: str = ""
    """Whom it is about, if not everybody."""

    def is_about(self, listener: Listener, category: int) -> bool:
        """Whether it decides on those who want to reach a program."""
        return (
            (not self.profiles or PROFILES[category] in self.profiles)
            and self.protocol in (None, PROTOCOLS[listener.scheme])
            and (self.program is None or _same_path(self.program, listener.program))
            and (self.ports is None or any(low <= listener.port <= high for low, high in self.ports))
        )


def parse_rule(text: str) -> Rule | None:
    """Return a rule as Windows writes it, or None where it decides nothing about a program of a user.

    Source: [MS-GPFAS] 2.2.2, the firewall rule and its grammar.
    """
    told: dict[str, list[str]] = {}
    for part in text.split("|"):
        key, is_pair, value = part.partition("=")
        if is_pair:
            told.setdefault(key.lower(), []).append(value)
    first: Mapping[str, str] = {key: values[0] for key, values in told.items()}
    is_in_force = first.get("active", "").upper() == "TRUE" and first.get("dir", "").lower() == "in"
    action = first.get("action", "").lower()
    if (
        not is_in_force
        or action not in ("allow", "block")
        or first.get("svc", "*") != "*"
        or "lupkg" in first
    ):
        return None
    ports: tuple[tuple[int, int], ...] | None = None
    names = [key for key in told if re.fullmatch(r"lport\d*(_\d+)?", key)]
    if names:
        ports = tuple(_ports(value for name in names for value in told[name]))
    peers = [*told.get("ra4", []), *told.get("ra42", [])]
    program = first.get("app")
    return Rule(
        allows=action == "allow",
        program=None if program in (None, "", "*") else program,
        protocol=first.get("protocol"),
        ports=ports,
        profiles=frozenset(told.get("profile", [])),
        peers=", ".join(one for one in peers if one.lower() not in ANY_PEER and not _is_everybody(one)),
    )


def _ports(values: Iterable[str]) -> Iterator[tuple[int, int]]:
    for value in values:
        if found := re.fullmatch(r"(\d+)(?:-(\d+))?", value.strip()):
            low = int(found[1])
            yield low, int(found[2] or low)


def _is_everybody(peers: str) -> bool:
    try:
        return ipaddress.ip_network(peers, strict=False).prefixlen == 0
    except ValueError:
        return False


def _same_path(one: str, other: str) -> bool:
    return ntpath.normcase(ntpath.normpath(one)) == ntpath.normcase(ntpath.normpath(other))


def _read_rules(pc: Reader) -> Iterator[Rule]:
    """Read all rules; paths in them may hold variables of Windows, as %SystemRoot%."""
    values = {name.lower(): value for name, value in pc.variables.items()}

    def expand(text: str) -> str:
        return re.sub(r"%([^%]+)%", lambda found: values.get(found[1].lower(), found[0]), text)

    for key in (rf"{POLICY}\FirewallRules", rf"{GROUP_POLICY}\FirewallRules"):
        for value in pc.registry_values(key).values():
            if isinstance(value, str) and (rule := parse_rule(expand(value))) is not None:
                yield rule


def _is_on(pc: Reader, category: int) -> bool:
    return bool(_value(pc, category, "EnableFirewall"))


def _value(pc: Reader, category: int, name: str) -> Any:
    ordered = pc.registry(rf"{GROUP_POLICY}\{PROFILE_KEYS[category]}", name)
    return pc.registry(rf"{POLICY}\{PROFILE_KEYS[category]}", name) if ordered is None else ordered


def _firewall(level: Level, text: str) -> Finding:
    return Finding(check=FIREWALL, level=level, text=text)
