"""A task's messages to all of its rigs: steps of the session where they are its next, else plain ones."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from multirig.conductor.conductor import Conductor
from multirig.conductor.proofs import TokenHolders
from multirig.conductor.session import Session
from multirig.errors import IllegalTransition, MultirigError, SessionFailed, Unconfirmed
from multirig.ibl.alyx import wire_token
from multirig.ibl.errors import AlyxTokenNotAllowed, NotAllAnswered
from multirig.ibl.net import arrays
from multirig.ibl.net.base import ExpMessage
from multirig.ibl.reminder import Reminder
from multirig.lifecycle.broadcast import Outcome
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.messages import Event

_STEPS = {
    Event.EXPINIT: "initialise",
    Event.EXPSTART: "start",
    Event.EXPEND: "stop",
    Event.EXPINTERRUPT: "interrupt",
    Event.EXPCLEANUP: "clean up",
}
_BEGINNINGS = frozenset({Event.EXPINIT, Event.EXPSTART})
NO_SESSION = "cannot set a marker while the session is idle: set it once the rigs have been started"


class Pushing:
    """Brings messages to all rigs of a conductor, one after the other; an interrupt overtakes them."""

    def __init__(self, may_have_token: Iterable[str], tell: Callable[[str], None]) -> None:
        self.reminder = Reminder(tell)
        """Tells the operator which rigs have not answered yet."""
        self.is_led_by_hand = False
        """Whether rigs were told to begin by plain messages, of which the session knows nothing."""
        self._may_have_token = frozenset(may_have_token)
        self._turn = asyncio.Lock()

    async def push(
        self, conductor: Conductor, event: Event, args: tuple[Any, ...], limit: float
    ) -> Mapping[str, Outcome]:
        """Send a message and return what became of it on each rig; a step that fails raises SessionFailed."""
        async with contextlib.nullcontext() if event is Event.EXPINTERRUPT else self._turn:
            with self.reminder.waiting(_STEPS.get(event, event.name), conductor.rigs):
                return await self._say(conductor, event, args, limit)

    def share_token(self, conductor: Conductor, alyx: Any, names: Iterable[str]) -> None:
        """Have the token of an AlyxClient ready for when one of these rigs asks for it."""
        self._may_have_token = frozenset(names)
        conductor.share_token(*wire_token(alyx), self._may_have_token)

    async def let_go(self, conductor: Conductor, limit: float) -> None:
        """End what still records: a session as such, by plain messages what was begun by plain messages."""
        if (session := conductor.current) is not None and session.state is SessionState.RUNNING:
            await session.end("the task let go of its rigs while they recorded")
        if self.is_led_by_hand:
            reason = {"error": "interrupted", "message": "the connection was closed"}
            await conductor.request(Event.EXPINTERRUPT, reason, limit=limit)
            await conductor.request(Event.EXPCLEANUP, None, limit=limit)

    async def _say(
        self, conductor: Conductor, event: Event, args: tuple[Any, ...], limit: float
    ) -> Mapping[str, Outcome]:
        if event is Event.ALYX and len(args) < 2:
            return await self._say_token(conductor, args[0] if args else None, limit)
        session = conductor.current
        if event is not Event.EXPINFO and session is not None and session.expects(event):
            try:
                return await _take_step(session, event, args)
            except SessionFailed as error:
                if any(isinstance(cause, Unconfirmed) for cause in error.causes.values()):
                    raise NotAllAnswered(error.step, error.causes, error.consequence) from None
                raise
        if event is Event.EXPINTERRUPT and session is not None and session.state is SessionState.STOPPED:
            return {}  # nobody records any more; iblrig's run says it too when the task fails
        if event in _BEGINNINGS:
            self.is_led_by_hand = True
        outcomes = await conductor.request(event, *args, limit=limit)
        if event is Event.EXPCLEANUP:
            self.is_led_by_hand = False
        return outcomes

    async def _say_token(self, conductor: Conductor, alyx: Any, limit: float) -> Mapping[str, Outcome]:
        """Share a token with the rigs that may have it in clear, or under a seal; or ask all for theirs."""
        url, token = wire_token(alyx)
        if not token:
            return await conductor.request(Event.ALYX, url, {}, limit=limit)
        conductor.share_token(url, token, self._may_have_token)
        may_have = TokenHolders(self._may_have_token, conductor.exchange)
        others = [name for name in conductor.rigs if name not in may_have]
        if others:
            raise AlyxTokenNotAllowed(
                f"{', '.join(others)}: the Alyx token would travel unencrypted; let that PC join the lab "
                "(multirig key join), or if that is fine on your network, name the rig in "
                "'allow_cleartext_token' of iblrig_settings"
            )
        return await conductor.request(Event.ALYX, url, token, limit=limit, needs_reply=False)


def read_event(message: Any) -> Event:
    """Return the one event that is meant, by us or by iblutil; TypeError or ValueError if there is none."""
    if isinstance(message, int) and not isinstance(message, bool):
        message = int(message)  # iblutil's enumeration as well
    return Event(int(ExpMessage.validate(message, allow_bitwise=False)))


def read_outcomes(event: Event, outcomes: Mapping[str, Outcome]) -> dict[str, list[Any]]:
    """Return each rig's response; SessionFailed, which may be a TimeoutError too, names what was not done."""
    causes: dict[str, Exception] = {
        name: outcome for name, outcome in outcomes.items() if isinstance(outcome, MultirigError)
    }
    if causes:
        is_silent = any(isinstance(cause, Unconfirmed) for cause in causes.values())
        raise (NotAllAnswered if is_silent else SessionFailed)(event.name, causes)
    return {
        name: arrays.content(outcome)
        for name, outcome in outcomes.items()
        if not isinstance(outcome, MultirigError)
    }


def set_marker(session: Session | None, text: str, data: Mapping[str, Any]) -> float:
    """Set a marker in the session, and return when; IllegalTransition if the rigs have not agreed on one."""
    if session is None:
        raise IllegalTransition(SessionState.IDLE, "mark", NO_SESSION)
    return session.mark(text, **data)


async def _take_step(session: Session, event: Event, args: tuple[Any, ...]) -> Mapping[str, Outcome]:
    """Take the session's next step by its event; the reference is the session's own."""
    data = _data(args)
    match event:
        case Event.EXPINIT:
            return await session.init(data)
        case Event.EXPSTART:
            return await session.start(_data(args[1:]))
        case Event.EXPEND:
            return await session.stop(data)
        case Event.EXPINTERRUPT:
            reason = str(data.pop("message", "") or data.get("error") or "interrupted by the task")
            return await session.interrupt(reason, **data)
        case _:
            return await session.cleanup(data)


def _data(args: tuple[Any, ...]) -> dict[str, Any]:
    """Return what goes along with a step, without the reference, which the conductor knows better."""
    found = next((part for part in args if isinstance(part, Mapping)), {})
    return {
        key: value for key, value in found.items() if key not in ("exp_ref", "date", "sequence", "subject")
    }
