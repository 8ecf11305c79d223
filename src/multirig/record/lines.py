"""What a line of a journal holds where an input holds words: IBL's arrays, as they crossed the wire. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from multirig.lifecycle.session_events import AgreeRequested
from multirig.lifecycle.watch import Notice, Noticed
from multirig.protocol.dialect import hear_leader, hear_rig, read_report, write
from multirig.protocol.events import Address, Received, Replied, Token
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import AskInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreeLine:
    """As a journal holds an `AgreeRequested`."""

    number: int
    subject: str
    date: datetime.date
    info: Mapping[str, Any]
    here: ExpRef | None = None
    takes_over: bool = False
    seconds: float | None = None
    utc_offset: float | None = None
    """Of the time zone; seconds."""
    by_task: bool = False

    @classmethod
    def of(cls, event: AgreeRequested) -> AgreeLine:
        """Return what is written of an input."""
        return cls(
            number=event.number,
            subject=event.subject,
            date=event.date,
            info=write(event.ask).args[1],
            here=event.here,
            takes_over=event.takes_over,
            by_task=event.by_task,
            seconds=event.seconds,
            utc_offset=None if event.zone is None else event.zone.utcoffset(None).total_seconds(),
        )

    def to_input(self) -> AgreeRequested:
        """Return the input."""
        ask = hear_leader(Message(Event.EXPINFO, (0, self.info)))
        return AgreeRequested(
            number=self.number,
            subject=self.subject,
            date=self.date,
            ask=ask if isinstance(ask, AskInfo) else AskInfo(),
            here=self.here,
            takes_over=self.takes_over,
            by_task=self.by_task,
            seconds=self.seconds,
            zone=None
            if self.utc_offset is None
            else datetime.timezone(datetime.timedelta(seconds=self.utc_offset)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedLine:
    """As a journal holds a `Received`."""

    address: Address
    message: Message
    token: Token

    @classmethod
    def of(cls, event: Received) -> ReceivedLine:
        """Return what is written of an input."""
        return cls(address=event.address, message=write(event.word), token=event.token)

    def to_input(self) -> Received:
        """Return the input."""
        return Received(address=self.address, word=hear_rig(self.message), token=self.token)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepliedLine:
    """As a journal holds a `Replied`."""

    address: Address
    key: Hashable
    message: Message

    @classmethod
    def of(cls, event: Replied) -> RepliedLine:
        """Return what is written of an input."""
        return cls(address=event.address, key=event.key, message=write(event.word))

    def to_input(self) -> Replied:
        """Return the input."""
        return Replied(address=self.address, key=self.key, word=hear_rig(self.message))


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticedLine:
    """As a journal holds a `Noticed`."""

    rig: str
    notice: Notice
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, event: Noticed) -> NoticedLine:
        """Return what is written of an input."""
        data: Mapping[str, Any] = {}
        if (report := event.report) is not None:
            doing = report.doing.value if report.doing is not None else None
            data = next(iter(write(report).args[1:]), {"state": doing})
        return cls(rig=event.rig, notice=event.notice, text=event.text, data=data)

    def to_input(self) -> Noticed:
        """Return the input."""
        report = read_report(self.data) if self.data else None
        return Noticed(rig=self.rig, notice=self.notice, text=self.text, report=report)


LINES: Mapping[str, Any] = {
    "AgreeRequested": AgreeLine,
    "Noticed": NoticedLine,
    "Received": ReceivedLine,
    "Replied": RepliedLine,
}
"""Inputs whose lines hold something else than their fields."""
