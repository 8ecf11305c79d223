"""The only event loop: runs a node on a real network and hands its effects to whoever performs them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from multirig.errors import ConfigError
from multirig.keyring import Keyring, KeyWatch
from multirig.protocol.events import Address
from multirig.protocol.node import Node
from multirig.protocol.sealing import ListHeard
from multirig.transports.base import Network, Transport
from multirig.transports.tcp import TcpTransport
from multirig.transports.udp import UdpTransport
from multirig.trust.admission import Admission
from multirig.trust.budget import Bucket
from multirig.trust.certificate import ShutOut

LOOK_EVERY = 2.0
"""Seconds between two looks at the files of this PC's keys."""
FAULTS = (0.1, 5)
"""Faults of ours in what came that are told: a second, and at once; each is a page in the log."""
BURST = 32
"""Datagrams sent before the loop may receive again: a thousand rigs must not answer into a full buffer."""


log = logging.getLogger("multirig")


class Runtime:
    """Joins a node to the network.

    Parameters
    ----------
    node : Node
        The computer, as a pure value.
    perform : callable
        Takes each effect; called in the event loop, must not block.
    clock : callable
        Integer nanoseconds, never going back.
    network : Network, optional
        Carries the addresses of its scheme instead of the system's sockets.
    watch : KeyWatch, optional
        Tells when the keys of this PC change.
    """

    def __init__(
        self,
        node: Node,
        perform: Callable[[Any], None],
        *,
        clock: Callable[[], int] = time.perf_counter_ns,
        network: Network | None = None,
        watch: KeyWatch | None = None,
    ) -> None:
        self.node = node
        self.clock = clock
        self._perform = perform
        self._transports: dict[str, Transport] = {"udp": UdpTransport(self), "tcp": TcpTransport(self)}
        if network is not None:
            self._transports[network.scheme] = network.make_transport(self)
        self._inbox: list[tuple[bytes, Address, int]] = []
        self._outbox: list[tuple[Address, bytes]] = []
        self._flushing = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at: int | None = None
        self.unfound: dict[Address, str] = {}
        """Addresses that stand for peers that were not found, and why not."""
        self._watch = watch
        self._look: asyncio.TimerHandle | None = None
        self._faults = Bucket(*FAULTS)
        self._closed = False
        self._pumping = False
        self._stirred = False

    async def listen(self, scheme: str, host: str, port: int) -> list[Address]:
        """Take messages at a local address; return the addresses really used."""
        self._watch_keys()
        return await self._transport(scheme).listen(host, port)

    async def connect(self, scheme: str, host: str, port: int) -> Address:
        """Return the address of a peer; RigUnreachable if its name is unknown."""
        self._watch_keys()
        return await self._transport(scheme).connect(host, port)

    def feed(self, event: Any) -> None:
        """Tell the node's machine something that happened on this PC."""
        self.node.handle(event, self.clock())
        self.pump()

    async def close(self) -> None:
        """Send what waits, then end every conversation."""
        self._closed = True
        for alarm in (self._alarm, self._look):
            if alarm is not None:
                alarm.cancel()
        for address, data in self._outbox:
            self._send(address, data)
        self._outbox.clear()
        for transport in self._transports.values():
            await transport.close()

    # -- what transports bring ----------------------------------------------------------------------------

    def received(self, data: bytes, address: Address) -> bool:
        """Take one whole message from a transport: stamp it now, handle it when all that wait are stamped.

        Returns
        -------
        bool
            Whether it is worth something: what strangers send is dropped at once.
        """
        now = self.clock()
        try:
            if self.node.drops(data, address, now):
                return False
        except Exception as error:  # noqa: BLE001  the event loop is told
            self._tell_failed(address, error)
            return False
        self._inbox.append((data, address, now))
        if len(self._inbox) == 1:
            asyncio.get_running_loop().call_soon(self._handle_inbox)
        return True

    def lets_in(self, address: Address) -> bool:
        """Whether what comes from an address is taken as it comes, or has been proved."""
        is_open = self.node.door.admit(address) in (Admission.OPEN, Admission.IBL)
        return is_open or self.node.peers.speaks_wire_2(address)

    def refused(self) -> dict[str, int]:
        """Return how many messages of each IP address were refused lately; the last was told of last."""
        return self.node.door.refusals.recent(self.clock())

    def unreachable(self, address: Address, reason: str, *, is_refusal: bool = True) -> None:
        """Take a transport's word that nothing listens at an address, or that there is no way to it."""
        if not self._closed:
            self.node.peer_unreachable(address, reason, self.clock(), is_refusal=is_refusal)
            self.pump()

    # -- inside -------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Perform effects, send what is due and arm the timer."""
        self._stirred = True
        if self._pumping:  # an effect or a send has stirred the node: the round that runs goes on with it
            return
        self._pumping = True
        try:
            while self._stirred:
                self._stirred = False
                while (effect := self.node.next_event()) is not None:
                    if isinstance(effect, ListHeard):
                        self._keep_list(effect.shut_out)
                    self._perform(effect)
                if self._closed:
                    return
                self._outbox += self.node.datagrams_to_send(self.clock())
                if self._outbox and not self._flushing:
                    self._flush()
            self._arm()
        finally:
            self._pumping = False

    def _handle_inbox(self) -> None:
        inbox, self._inbox = self._inbox, []
        if not self._closed:
            for data, address, at in inbox:
                try:
                    self.node.receive_datagram(data, address, at)
                except Exception as error:  # noqa: BLE001  it costs this datagram, and no other
                    self._tell_failed(address, error)
            self.pump()

    def _tell_failed(self, address: Address, error: Exception) -> None:
        """Tell the event loop of a fault of ours; not of each, since strangers may cause many."""
        if self._faults.take(self.clock()):
            message = f"a message from {address} could not be handled"
            asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})

    def _flush(self) -> None:
        outbox = self._outbox
        if len(outbox) <= BURST:
            self._outbox = []
            self._flushing = False
        else:
            self._outbox = outbox[BURST:]
            outbox = outbox[:BURST]
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)
        for address, data in outbox:
            self._send(address, data)

    def _send(self, address: Address, data: bytes) -> None:
        if (why := self.unfound.get(address)) is not None:
            asyncio.get_running_loop().call_soon(self.unreachable, address, why)
            return
        transport = self._transports.get(address.scheme)
        if transport is not None:
            transport.send(data, address)

    def _arm(self) -> None:
        """Make sure to wake in time; an alarm that rings too early is cheaper than a new one."""
        at = self.node.get_timer()
        if at is None or (self._alarm_at is not None and self._alarm_at <= at):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        delay = max(0, at - self.clock()) / 1e9
        self._alarm = asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        self._alarm = self._alarm_at = None
        self.node.handle_timer(self.clock())
        self.pump()

    # -- keys ---------------------------------------------------------------------------------------------

    def _watch_keys(self) -> None:
        if self._watch is not None and self._look is None and not self._closed:
            self._look = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look_at_keys)

    def _look_at_keys(self) -> None:
        """Go on with the keys as they are by now; those that cannot be read change nothing."""
        self._look = None
        if self._watch is not None and self._watch.has_changed():
            self.node.change_keys(self._watch.keys, self.clock())
            self.pump()
        self._watch_keys()

    def _keep_list(self, shut_out: ShutOut) -> None:
        """Keep a list that has come from another PC, for the programs that begin later."""
        if self._watch is not None:
            keeping = asyncio.get_running_loop().run_in_executor(None, _keep_list, shut_out)
            keeping.add_done_callback(_log_trouble)

    def _transport(self, scheme: str) -> Transport:
        try:
            return self._transports[scheme]
        except KeyError:
            known = ", ".join(self._transports)
            raise ConfigError(f"unknown scheme {scheme!r} in an address; known: {known}") from None


def _keep_list(shut_out: ShutOut) -> None:
    Keyring().keep_list(shut_out)


def _log_trouble(keeping: asyncio.Future[None]) -> None:
    if not keeping.cancelled() and (error := keeping.exception()) is not None:
        log.warning("who is shut out of the lab could not be kept on this PC: %s", error)
