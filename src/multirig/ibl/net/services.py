"""Several rigs at once, by the verbs of one."""

from __future__ import annotations

import asyncio
import functools
from collections import UserDict
from collections.abc import Awaitable, Callable, Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from multirig.errors import SessionFailed, Unconfirmed
from multirig.ibl.errors import AlyxTokenNotAllowed, NotAllAnswered
from multirig.ibl.net import base
from multirig.ibl.net.echo import EchoProtocol
from multirig.ibl.net.exchange import reply_to_this
from multirig.ibl.net.listeners import check_callback

if TYPE_CHECKING:
    _Mapping = UserDict[str, Any]
else:
    _Mapping = UserDict


class Services(base.Service, _Mapping):
    """Rigs by name, told and heard together.

    Parameters
    ----------
    remote_rigs : iterable of Service
        Communicators, in the order in which they are started.
    timeout : float
        Seconds that each may take to reply; 0 waits for ever.

    Raises
    ------
    TypeError
        Something in it is no service.
    """

    __slots__ = ("server", "timeout")

    def __init__(self, remote_rigs: Iterable[Any], timeout: float = 10.0) -> None:
        super().__init__()
        rigs = list(remote_rigs)
        for rig in rigs:
            if not isinstance(rig, base.Service):
                raise TypeError(
                    f"{rig!r} is no service: give communicators, as EchoProtocol.client returns them"
                )
        self.data = MappingProxyType({rig.name: rig for rig in rigs})  # type: ignore[assignment]
        self.timeout = timeout

    @property
    def is_connected(self) -> bool:
        """Whether there are rigs, and each is connected."""
        return bool(self.data) and all(rig.is_connected for rig in self.values())

    def assign_callback(self, event: Any, callback: Any, return_service: bool = False) -> None:
        """Call back whenever one of the rigs says something; see `Communicator.assign_callback`.

        Parameters
        ----------
        event : ExpMessage, str or int
            What to listen for.
        callback : callable or asyncio.Future
            Gets ``(data, addr)``; a future is resolved by the first rig.
        return_service : bool
            Also hand over the communicator, as the last argument.
        """
        check_callback(callback)
        for rig in self.values():
            if return_service:
                rig.assign_callback(event, _WithService(callback, rig))
            else:
                rig.assign_callback(event, callback)

    def clear_callbacks(self, event: Any, callback: Any = None) -> dict[str, int]:
        """Take back a callback, or all of an event, on every rig; return how many on each."""
        return {name: rig.clear_callbacks(event, callback=callback) for name, rig in self.items()}

    async def await_all(self, event: Any) -> dict[str, Any]:
        """Wait until every rig has said an event.

        Returns
        -------
        dict of str to list
            What each said.

        Raises
        ------
        NotAllAnswered
            Names those that were silent for the timeout; it is a TimeoutError too.
        """
        event = base.ExpMessage.validate(event)

        async def hear(rig: Any) -> Any:
            return (await rig.on_event(event))[0]

        return await self._gather(event, {name: hear(rig) for name, rig in self.items()})

    def close(self) -> None:
        """Close every communicator."""
        for rig in self.values():
            rig.close()

    async def init(self, data: Any = None, concurrent: bool = True) -> dict[str, Any]:
        """Say EXPINIT to all and return their replies; see `_signal`."""
        return await self._signal(base.ExpMessage.EXPINIT, "init", data=data, concurrent=concurrent)

    async def cleanup(self, data: Any = None, concurrent: bool = True) -> dict[str, Any]:
        """Say EXPCLEANUP to all, the last first, and return their replies; see `_signal`."""
        event = base.ExpMessage.EXPCLEANUP
        return await self._signal(event, "cleanup", data=data, reverse=True, concurrent=concurrent)

    async def start(self, exp_ref: Any, data: Any = None, concurrent: bool = True) -> dict[str, Any]:
        """Say EXPSTART to all and return their replies; see `_signal`."""
        return await self._signal(
            base.ExpMessage.EXPSTART, "start", exp_ref, data=data, concurrent=concurrent
        )

    async def stop(self, data: Any = None, immediately: bool = False, **kwargs: Any) -> dict[str, Any]:
        """Say EXPEND or EXPINTERRUPT to all, the last first, and return their replies; see `_signal`."""
        event = base.ExpMessage.EXPINTERRUPT if immediately else base.ExpMessage.EXPEND
        return await self._signal(event, "stop", data=data, immediately=immediately, reverse=True, **kwargs)

    async def status(self, status: Any, **kwargs: Any) -> dict[str, Any]:
        """Say EXPSTATUS to all and return their replies; see `_signal`."""
        return await self._signal(base.ExpMessage.EXPSTATUS, "status", status, **kwargs)

    async def info(self, status: Any, data: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Say EXPINFO to all and return their replies; see `_signal`."""
        return await self._signal(base.ExpMessage.EXPINFO, "info", status, data=data, **kwargs)

    async def alyx(self, alyx: Any) -> None:
        """Send the token of an AlyxClient to all, or ask all for theirs; each one's callbacks get it.

        Raises
        ------
        AlyxTokenNotAllowed
            A rig may not have it in clear; nobody was sent it.
        """
        if super().alyx(alyx)[-1]:
            for rig in self.values():
                if not isinstance(rig, EchoProtocol):
                    raise AlyxTokenNotAllowed(
                        f"{rig.name}: it is not known who listens: no token is sent there"
                    )
                rig.check_token_may_go()
        await self._gather(base.ExpMessage.ALYX, {name: rig.alyx(alyx) for name, rig in self.items()})

    async def _signal(
        self,
        event: Any,
        method: str,
        *args: Any,
        concurrent: bool = True,
        reverse: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Call a method of every rig and wait for the replies.

        Parameters
        ----------
        event : ExpMessage
            What the replies are known by.
        method : str
            Of the communicators; gets the other arguments.
        concurrent : bool
            Tell all at once; else each when the one before has replied.
        reverse : bool
            The last first.

        Returns
        -------
        dict of str to list
            What each reply holds besides its event.

        Raises
        ------
        NotAllAnswered
            Some did not echo or reply in time; it is a TimeoutError too.
        SessionFailed
            Some could not be told, or say that they failed. Both name each rig and its cause.
        """
        event = base.ExpMessage.validate(event, allow_bitwise=False)
        names = list(reversed(self.data)) if reverse else list(self.data)
        asking = {
            name: functools.partial(_ask, self.data[name], event, method or event.name.lower(), args, kwargs)
            for name in names
        }
        if concurrent:
            replies = await self._gather(event, {name: ask() for name, ask in asking.items()})
        else:
            replies = {}
            for name, ask in asking.items():
                replies |= await self._gather(event, {name: ask()})
        return {name: replies[name] for name in self.data}

    async def _gather(self, event: Any, work: dict[str, Awaitable[Any]]) -> dict[str, Any]:
        """Wait for all, each within the timeout, and return what each brought or raise what went wrong."""
        tasks = {name: asyncio.ensure_future(one) for name, one in work.items()}
        if not tasks:
            return {}
        try:
            await asyncio.wait(tasks.values(), timeout=self.timeout or None)
        finally:
            late = [one for one in tasks.values() if not one.done()]
            for one in late:
                one.cancel()
            if late:
                await asyncio.wait(late)
        causes: dict[str, Exception] = {}
        for name, one in tasks.items():
            if one.cancelled():
                causes[name] = Unconfirmed(
                    f"did not answer {event.name} within {self.timeout:g} s; what it did is unknown: "
                    "look at its screen"
                )
            elif (error := one.exception()) is not None:
                if not isinstance(error, Exception):
                    raise error
                causes[name] = error
        if causes:
            silent = any(isinstance(one, TimeoutError | asyncio.TimeoutError) for one in causes.values())
            raise (NotAllAnswered if silent else SessionFailed)(str(event.name), causes)
        return {name: one.result() for name, one in tasks.items()}


class _WithService:
    """A callback that also gets the communicator; known by the callback that it wraps."""

    def __init__(self, callback: Any, service: Any) -> None:
        self._callback, self._service = callback, service
        self.id = getattr(callback, "id", None) or hash(callback)
        self.__qualname__ = getattr(callback, "__qualname__", repr(callback))

    def __call__(self, *args: Any) -> None:
        if asyncio.isfuture(self._callback):
            if not self._callback.done():
                self._callback.set_result((*args, self._service))
        else:
            self._callback(*args, self._service)


async def _ask(rig: Any, event: Any, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Say something to one rig and return its reply; a late reply to something else is none."""
    say = functools.partial(getattr(rig, method), *args, **kwargs)
    if not issubclass(type(rig), EchoProtocol):  # a device with a protocol of its own, or a test's mock
        return await _ask_by_event(rig, event, say)
    reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    mark = reply_to_this.set(reply)
    try:
        await say()
        return await reply
    finally:
        reply_to_this.reset(mark)
        reply.cancel()


async def _ask_by_event(rig: Any, event: Any, say: Callable[[], Awaitable[Any]]) -> Any:
    """Take for the reply whatever a rig says next with an event, as iblutil does."""
    reply = asyncio.ensure_future(rig.on_event(event))
    try:
        await asyncio.sleep(0)  # it listens from here on
        await say()
        return (await reply)[0]
    finally:
        reply.cancel()
