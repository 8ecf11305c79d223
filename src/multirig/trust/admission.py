"""What may be taken from an address without a key."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from enum import Enum

MAX_KNOWN = 4_096
"""Addresses of which the judgement is kept."""


class Admission(Enum):
    """What may be taken from an address."""

    OPEN = "open"
    """All, as it comes: it is this PC, or everybody is let in by name."""
    IBL = "ibl"
    """What IBL's wire can say: its peers have no keys."""
    PROVED = "proved"
    """What a PC of the lab has sealed."""
    NOBODY = "nobody"
    """Nothing."""


class Doors:
    """Who is let in, and how, where there is a key; see `Admission`.

    Parameters
    ----------
    allow_ibl : iterable of str
        IP addresses and networks whose computers speak IBL's wire.
    is_open : bool
        Whether everybody may say everything.
    """

    def __init__(self, allow_ibl: Iterable[str] = (), *, is_open: bool = False) -> None:
        self._ibl = AllowList(allow_ibl, privately=False)
        self.is_open = is_open

    def admit(self, host: str) -> Admission:
        """Return what may be taken from an IP address."""
        if self.is_open or is_this_pc(host):
            return Admission.OPEN
        return Admission.IBL if self._ibl.permits(host) else Admission.PROVED


class AllowList:
    """IP addresses and networks that were named.

    Parameters
    ----------
    networks : iterable of str
        ``192.0.2.7``, ``2001:db8::/32``.
    anybody : bool
        Ask nothing at all.
    privately : bool
        Whether this PC and all addresses of private networks are among them.
    """

    def __init__(
        self, networks: Iterable[str] = (), *, anybody: bool = False, privately: bool = True
    ) -> None:
        self._networks = [ipaddress.ip_network(one, strict=False) for one in networks]
        self._anybody = anybody
        self._privately = privately
        self._known: dict[str, bool] = {}

    def permits(self, host: str) -> bool:
        """Whether a message from this IP address may be read."""
        permitted = self._known.get(host)
        if permitted is None:
            if len(self._known) > MAX_KNOWN:  # an attacker's addresses must not fill the memory
                self._known.clear()
            permitted = self._known[host] = self._judge(host)
        return permitted

    def admit(self, host: str) -> Admission:
        """Return the same, where nothing but IBL's wire is spoken."""
        return Admission.IBL if self.permits(host) else Admission.NOBODY

    def _judge(self, host: str) -> bool:
        if self._anybody or (self._privately and is_private(host)):
            return True
        address = _parse(host)
        return address is not None and any(address in network for network in self._networks)


def is_this_pc(host: str) -> bool:
    """Whether an IP address is of this PC itself."""
    address = _parse(host)
    return address is not None and address.is_loopback


def is_private(host: str) -> bool:
    """Whether an IP address is of this PC, or of a private network."""
    address = _parse(host)
    return address is not None and (address.is_loopback or address.is_private or address.is_link_local)


def _parse(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
