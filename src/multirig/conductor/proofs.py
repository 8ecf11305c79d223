"""What rigs have proved of themselves, and what follows from it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from multirig.conductor.exchange import Exchange
from multirig.lifecycle.session_events import TokenShared
from multirig.protocol.words import AlyxToken
from multirig.trust.certificate import Certificate


def proof_of(exchange: Exchange, rig: str) -> Certificate | None:
    """Return by which certificate a rig's PC has proved who it is; None: it has not."""
    address = exchange.addresses.get(rig)
    boot = exchange.node.peers.boot_of(address) if address is not None else None
    channel = exchange.node.door.channel_to(boot) if boot is not None else None
    return channel.standing.certificate if channel is not None else None


class TokenHolders(Container[str]):
    """The rigs that may be given an Alyx token: those that were named, and those whose links are sealed."""

    def __init__(self, names: Iterable[str], exchange: Exchange) -> None:
        self._names = frozenset(names)
        self._exchange = exchange

    def __contains__(self, rig: object) -> bool:
        return rig in self._names or (isinstance(rig, str) and proof_of(self._exchange, rig) is not None)


def share_token(
    exchange: Exchange, url: str | None, credentials: Mapping[str, Any], names: Iterable[str]
) -> None:
    """Have a token ready for when rigs ask: those that were named, and those whose links are sealed."""
    token = AlyxToken(url=url, credentials=dict(credentials))
    exchange.feed(TokenShared(token=token, rigs=TokenHolders(names, exchange)))
