"""The words of the experiment: events, statuses and one message."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from multirig.errors import RemoteProtocolError


class Event(enum.IntEnum):
    """What a message says; the numbers are IBL's, one bit each."""

    ERROR = 0
    """The other side could not do what was asked; never echoed."""
    EXPINIT = 1
    """Get ready for this experiment reference."""
    EXPSTART = 2
    """Record."""
    EXPEND = 4
    """Stop recording."""
    EXPCLEANUP = 8
    """Let go of programs and devices."""
    EXPINTERRUPT = 16
    """Stop recording now: something is wrong."""
    EXPSTATUS = 32
    """Which status are you in?"""
    EXPINFO = 64
    """Who are you, and which experiment are you in?"""
    ALYX = 128
    """An Alyx token, or the request for one."""

    @classmethod
    def parse(cls, value: object) -> Event:
        """Read an event from a number or a name in any case; RemoteProtocolError for anything else.

        A compound, negative, boolean or float number is refused: ``True`` is not EXPINIT.
        """
        if type(value) is int:
            event = _BY_NUMBER.get(value)
        elif isinstance(value, cls):
            event = value
        elif isinstance(value, str):
            event = cls.__members__.get(value.strip().upper())
        else:
            event = None
        if event is None:
            raise RemoteProtocolError(f"unknown event {value!r:.80}; known: {', '.join(cls.__members__)}")
        return event


_BY_NUMBER = {int(event): event for event in Event}


class Status(enum.IntEnum):
    """What a rig says that it is doing; the numbers are IBL's."""

    CONNECTED = 0
    INITIALIZED = 10
    RUNNING = 20
    STOPPED = 30

    @classmethod
    def parse(cls, value: object) -> Status:
        """Read a status from a number or a name in any case; RemoteProtocolError for anything else."""
        if isinstance(value, str) and value.strip().upper() in cls.__members__:
            return cls[value.strip().upper()]
        if isinstance(value, int) and not isinstance(value, bool) and value in cls._value2member_map_:
            return cls(value)
        raise RemoteProtocolError(f"unknown status {value!r:.80}; known: {', '.join(cls.__members__)}")


@dataclass(frozen=True, slots=True)
class Message:
    """One event with its arguments, as both wires carry it: ``[event, *args]``."""

    event: Event
    args: tuple[Any, ...] = ()

    @classmethod
    def parse(cls, array: object) -> Message:
        """Read a decoded JSON array; RemoteProtocolError if it is not a message.

        An array of one element is an event without arguments (``[32]`` asks for the status).
        """
        if not isinstance(array, list) or not array:
            raise RemoteProtocolError("a message is an array [event, ...]")
        return cls(Event.parse(array[0]), tuple(array[1:]))

    def to_array(self) -> list[Any]:
        """Return the array that goes on the wire."""
        return [int(self.event), *self.args]

    def __str__(self) -> str:
        return self.event.name
