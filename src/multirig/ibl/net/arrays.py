"""IBL's message arrays ``[event, ...]`` and our messages; nothing else of this room looks into either."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from multirig.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from multirig.protocol import codec
from multirig.protocol.messages import Event, Message


def encode(data: Any) -> bytes:
    """Return data as it goes on the wire: JSON, but text and bytes as they are."""
    if isinstance(data, bytes | bytearray):
        return bytes(data)
    return (data if isinstance(data, str) else json.dumps(codec.plain(data))).encode()


def decode(data: bytes) -> Any:
    """Return what bytes hold; text where they are no JSON, RemoteProtocolError where they are no text."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"{data!r:.80} is no text in UTF-8") from error
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def read(data: Any) -> Message:
    """Return what a caller wants to say as a message; LocalProtocolError if it is none."""
    if isinstance(data, bytes | bytearray | str):
        data = decode(encode(data))
    if not isinstance(data, list | tuple) or not data:
        raise LocalProtocolError(f"{data!r:.80} is no message: give a list [event, ...]")
    event = data[0]
    if isinstance(event, int) and not isinstance(event, bool):
        event = int(event)
    try:
        return Message.parse([event, *codec.plain(data[1:], "message")])
    except RecursionError:
        raise LocalProtocolError("the message is nested too deeply, or holds itself") from None
    except ProtocolError as error:
        raise LocalProtocolError(str(error)) from None


def content(message: Message) -> list[Any]:
    """Return what a message holds besides its event, as IBL's callbacks and callers get it."""
    return list(message.args)


def first_mapping(message: Message) -> Mapping[str, Any]:
    """Return the first object that a message holds; an empty one if it holds none."""
    return next((part for part in message.args if isinstance(part, dict)), {})


def complaint(event: Event, reason: str) -> Message:
    """Return the message that tells a peer that what it said could not be handled here."""
    return Message(Event.ERROR, (reason, int(event)))


def brings_token(message: Message) -> bool:
    """Whether an Alyx token is in it: it holds more than the address of a database."""
    return message.event is Event.ALYX and (
        any(message.args[1:]) or any(isinstance(part, Mapping | list) and part for part in message.args)
    )


def size(message: Message) -> int:
    """Return how many bytes a message takes on wire 1.0."""
    return len(codec.encode_array(message))
