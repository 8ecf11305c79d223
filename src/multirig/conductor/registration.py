"""How a rig enters itself in the rigs file: at the one address where others reach it, or with a word why not.

Which one that is, a PC with several network cards cannot know; then none is published, and all are named.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from multirig.conductor.roster import is_every_address, register_rig
from multirig.config import Uri
from multirig.errors import ConfigError

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which address of a rig is published, and what its operator should know of that."""

    uri: Uri | None
    """None: none is."""
    remark: str | None = None
    """One line; always there when nothing is published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What became of a rig's entry in the rigs file, as a line for its operator."""

    text: str
    is_entered: bool
    is_doubtful: bool
    """Whether others may look for the rig in vain: it is not entered, or its address is a strange one."""


def check_address(text: str) -> str:
    """Return a host name or IP address without scheme and port, else raise ConfigError."""
    host = Uri.parse(text).host
    bare = text.strip().strip("[]")
    if bare.lower() != host and _ip(bare) is None:
        raise ConfigError(
            f"{text!r} is more than a host: write its name or IP address alone, such as 192.168.1.20; "
            "scheme and port are those where the rig listens"
        )
    if (ip := _ip(host)) is not None and ip.is_unspecified:
        raise ConfigError(f"{text!r} is where a rig may listen, not where it is: write its own IP address")
    return host


def choose_uri(listening: Sequence[Uri], own: Mapping[str, str], address: str | None = None) -> Choice:
    """Choose where others are told that they reach a rig.

    Parameters
    ----------
    listening : sequence of Uri
        Where it listens, in the order of its config.
    own : mapping of str to str
        The IP addresses of this PC, and the name of the network card of each.
    address : str, optional
        What the operator says: a host name or an IP address.

    Returns
    -------
    Choice
        Nothing is published where several addresses are possible, or where only this PC could reach it.
    """
    if address is not None:
        return _judge(address, listening, own)
    candidates = find_candidates(listening, own)
    if len(candidates) == 1:
        return Choice(uri=next(iter(candidates.values())))
    if candidates:
        names = [f"{host} ({own[host]})" if host in own else host for host in candidates]
        return Choice(
            uri=None,
            remark=f"this PC has several addresses, {' and '.join(names)}: "
            f"say at which one others reach it, such as --address {next(iter(candidates))}",
        )
    where = " and ".join(map(str, listening))
    if any(is_every_address(uri.host) for uri in listening):
        why, remedy = (
            f"listens at {where}, but this PC has no address in a network",
            "connect it to the network",
        )
    else:
        why = f"listens at {where}, where only this PC reaches it"
        remedy = "set uri in its config"
    return Choice(
        uri=None,
        remark=f"the rig {why}: {remedy}, or give --address 127.0.0.1 if the session is led from this PC",
    )


def _judge(address: str, listening: Sequence[Uri], own: Mapping[str, str]) -> Choice:
    """Publish what the operator says, with a remark where that looks wrong."""
    uri = next((one for one in listening if _serves(one.host, address)), listening[0])
    chosen = Uri(uri.scheme, address, uri.port)
    ip = _ip(address)
    if address == "localhost" or (ip is not None and ip.is_loopback):
        return Choice(uri=chosen, remark=f"only programs on this PC reach it at {address}")
    if ip is not None and not _serves(uri.host, address):
        return Choice(uri=chosen, remark=f"the rig listens at {uri}: see that others reach it at {address}")
    if ip is not None and address not in own:
        mine = " and ".join(own) or "none in a network"
        return Choice(
            uri=chosen,
            remark=f"{address} is not an address of this PC ({mine}): correct --address if it is wrong",
        )
    return Choice(uri=chosen)


def find_candidates(listening: Sequence[Uri], own: Mapping[str, str]) -> dict[str, Uri]:
    """Return the hosts at which other PCs may reach a rig, each with the first address that serves it."""
    found: dict[str, Uri] = {}
    for uri in listening:
        hosts = [one for one in own if _serves(uri.host, one)] if is_every_address(uri.host) else [uri.host]
        for host in hosts:
            if host != "localhost" and not ((ip := _ip(host)) is not None and ip.is_loopback):
                found.setdefault(host, Uri(uri.scheme, host, uri.port))
    # Every peer speaks IPv4, IBL's speak nothing else. What a card without a network gives itself is a last
    # resort, for two PCs on one cable.
    for kind in (_is_usual, _is_unusual):
        if chosen := {host: uri for host, uri in found.items() if kind(host)}:
            return chosen
    return {}


def _is_usual(host: str) -> bool:
    ip = _ip(host)
    return ip is None or (ip.version == 4 and not ip.is_link_local)


def _is_unusual(host: str) -> bool:
    ip = _ip(host)
    return ip is not None and not (ip.version == 6 and ip.is_link_local)  # that one holds on this PC only


def _serves(listening: str, host: str) -> bool:
    """Whether who listens at one host is heard at another one."""
    here, there = _ip(listening), _ip(host)
    if here is not None and here.is_unspecified:
        return there is None or here.version == there.version
    return listening == host


def _ip(host: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


# -- on this PC ----------------------------------------------------------------------------------------------


def own_addresses() -> dict[str, str]:
    """Return the IP addresses of this PC in networks that are up, each with the name of its network card."""
    import psutil  # takes long to load, for whoever asks nothing of it

    up = psutil.net_if_stats()
    return {
        one.address: name
        for name, addresses in psutil.net_if_addrs().items()
        if name not in up or up[name].isup
        for one in addresses
        if one.family in (socket.AF_INET, socket.AF_INET6)
        if (ip := _ip(one.address)) is not None and not ip.is_loopback
    }


def register(path: Path, name: str, listening: Sequence[Uri], address: str | None = None) -> Registration:
    """Enter a rig of this PC in the rigs file and return what became of it, whatever that is.

    Parameters
    ----------
    path : pathlib.Path
        The rigs file.
    name : str
        The rig's name.
    listening : sequence of Uri
        Where it listens, with the ports that it really has.
    address : str, optional
        Host name or IP address at which others reach it, where it cannot be known or is another one.
    """
    choice = choose_uri(listening, own_addresses(), address)
    if choice.uri is None:
        text = f"{name} is not entered in {path}: {choice.remark}"
        return Registration(text=text, is_entered=False, is_doubtful=True)
    try:
        before = register_rig(path, name, choice.uri)
    except ConfigError as error:
        text = f"{name} is not entered in the rigs file: {error}"
        return Registration(text=text, is_entered=False, is_doubtful=True)
    if before is None:
        text = f"{name} is entered in {path} at {choice.uri}"
    elif before == choice.uri:
        text = f"{name} is in {path} already, at {choice.uri}"
    else:
        text = f"{name} is entered in {path} at {choice.uri}; until now it was there at {before}"
    if choice.remark is not None:
        text += f": {choice.remark}"
    return Registration(text=text, is_entered=True, is_doubtful=choice.remark is not None)
