"""IBL's message arrays ``[event, ...]`` and our messages; nothing else of this room looks into either."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from multirig.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from multirig.protocol import codec
from multirig.protocol.dialect import write
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import Complaint, Verbatim, Word


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


def read(data: Any) -> Verbatim:
    """Return what a caller wants to say as a message; LocalProtocolError if it is none."""
    if isinstance(data, bytes | bytearray | str):
        data = decode(encode(data))
    if not isinstance(data, list | tuple) or not data:
        raise LocalProtocolError(f"{data!r:.80} is no message: give a list [event, ...]")
    event = data[0]
    if isinstance(event, int) and not isinstance(event, bool):
        event = int(event)
    try:
        message = Message.parse([event, *codec.plain(data[1:], "message")])
    except RecursionError:
        raise LocalProtocolError("the message is nested too deeply, or holds itself") from None
    except ProtocolError as error:
        raise LocalProtocolError(str(error)) from None
    return Verbatim(message.event, message.args)


def content(word: Word) -> list[Any]:
    """Return what a message holds besides its event, as IBL's callbacks and callers get it."""
    return list(write(word).args)


def complaint(event: Event, reason: str) -> Complaint:
    """Return what tells a peer that what it said could not be handled here."""
    return Complaint(text=reason, about=event)


def brings_token(message: Verbatim) -> bool:
    """Whether an Alyx token is in it: it holds more than the address of a database."""
    return message.event is Event.ALYX and (
        any(message.args[1:]) or any(isinstance(part, Mapping | list) and part for part in message.args)
    )


def size(word: Word) -> int:
    """Return how many bytes a message takes on wire 1.0."""
    return len(codec.encode_array(write(word)))
