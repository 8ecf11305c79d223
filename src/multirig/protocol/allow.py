"""Who may speak to this PC."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


def is_admitted(host: str) -> bool:
    """Whether an address is one that rigs admit of themselves: of a PC itself, or of a private network."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:  # the name of a false lab's PC
        return True
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_private or address.is_link_local


class AllowList:
    """Loopback and private addresses by default, others by name.

    Parameters
    ----------
    networks : iterable of str
        Further IP addresses or networks (``192.0.2.7``, ``2001:db8::/32``).
    anybody : bool
        Ask nothing at all.
    """

    def __init__(self, networks: Iterable[str] = (), *, anybody: bool = False) -> None:
        self._networks = [ipaddress.ip_network(one, strict=False) for one in networks]
        self._anybody = anybody
        self._known: dict[str, bool] = {}

    def permits(self, host: str) -> bool:
        """Whether a message from this IP address may be read."""
        permitted = self._known.get(host)
        if permitted is None:
            if len(self._known) > 4096:  # an attacker's addresses must not fill the memory
                self._known.clear()
            permitted = self._known[host] = self._judge(host)
        return permitted

    def _judge(self, host: str) -> bool:
        if self._anybody:
            return True
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if is_admitted(host):
            return True
        return any(address in network for network in self._networks)
