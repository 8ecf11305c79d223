"""Where rigs are: names are resolved, and again where a PC is not heard, since it may have moved."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from multirig.config import Uri
from multirig.errors import ConfigError, MultirigError
from multirig.protocol.events import Address

FIND_LIMIT = 5.0
"""Seconds for a name to be resolved."""
FIND_AGAIN = 10.0
"""Seconds until a name is looked up again, where it was not found or its PC is not heard."""

log = logging.getLogger("multirig.conductor")


class Whereabouts:
    """Knows the address of each rig, or why there is none: then `resolve` has raised a `MultirigError`."""

    def __init__(
        self,
        resolve: Callable[[Uri], Awaitable[Address]],
        is_heard: Callable[[Address], bool],
        on_found: Callable[[str], None],
    ) -> None:
        self._resolve = resolve
        self._is_heard = is_heard
        self._on_found = on_found
        self.uris: Mapping[str, Uri] = {}
        """Where each rig was said to listen."""
        self.addresses: dict[str, Address] = {}
        """Where each rig was found."""
        self.problems: dict[str, str] = {}
        """Why a rig was not found, in words that follow its name."""

    def follow(self, rigs: Mapping[str, Uri]) -> list[str]:
        """Take which rigs there are now; return those that are to be found."""
        changed = [name for name, uri in rigs.items() if self.uris.get(name) != uri]
        for name in [*changed, *(self.uris.keys() - rigs.keys())]:
            self.addresses.pop(name, None)
            self.problems.pop(name, None)
        self.uris = dict(rigs)
        return changed

    def check(self, name: str) -> None:
        """Raise `ConfigError` where no rig of that name is followed."""
        if name not in self.uris:
            raise ConfigError(f"there is no rig {name}: add it to the rigs file")

    def names_at(self, address: Address) -> list[str]:
        """Return which rigs are at an address."""
        return [name for name, known in self.addresses.items() if known == address]

    def move(self, address: Address, now_at: Address) -> None:
        """Take that the rigs at an address are at another one now."""
        self.addresses |= dict.fromkeys(self.names_at(address), now_at)

    async def keep_finding(self) -> None:
        """Look again for names that are not known, and for PCs that are not heard."""
        while True:
            await asyncio.sleep(FIND_AGAIN)
            await asyncio.gather(*(self.find(name) for name in self.uris if self._is_missing(name)))

    def _is_missing(self, name: str) -> bool:
        address = self.addresses.get(name)
        return address is None or not self._is_heard(address)

    async def find(self, name: str) -> None:
        """Find where a rig is."""
        if (uri := self.uris.get(name)) is None:
            return
        address, problem = None, f"is not found: the name {uri.host!r} takes too long; use the IP address"
        try:
            address = await asyncio.wait_for(self._resolve(uri), FIND_LIMIT)
        except MultirigError as error:
            problem = f"is not found: {error}"
        except asyncio.TimeoutError:
            log.debug("%s takes too long to be found", uri.host)
        if self.uris.get(name) != uri:
            return  # meanwhile it is not followed any more
        if address is not None and address != self.addresses.get(name):
            self.addresses[name] = address
            self.problems.pop(name, None)
            self._on_found(name)
        elif name not in self.addresses and problem != self.problems.get(name):
            self.problems[name] = problem
            self._on_found(name)
