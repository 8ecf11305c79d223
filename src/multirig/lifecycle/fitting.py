"""What is left out of an answer that would be too long for its reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from multirig.lifecycle.picture_turns import PictureTurns
from multirig.protocol import codec
from multirig.protocol.dialect import greet, write, write_picture
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import Greeting, Info, Picture, Report

FRAME_ROOM = 1_024
"""Bytes that are kept free for what wire 2 writes around a message."""
_SPARE: tuple[Callable[[Info], Info], ...] = (
    lambda info: replace(info, preflight=None),
    lambda info: replace(info, experiment_description=None),
    lambda info: replace(info, device=None),
)
"""What is left out, the first one first."""


def shorten(info: Info, name: str, room: int) -> Info:
    """Leave out what is good to know, until the message fits with the greeting that is still to come.

    Parameters
    ----------
    info : Info
    name : str
        Of the rig, for its greeting.
    room : int
        Bytes that the message may have.
    """
    greeting = Greeting(wire=2, boot="0" * 16, name=name)
    info = replace(info, writes=(), folder=None)  # no foreign peer knows them
    for spare in _SPARE:
        if len(codec.encode_array(greet(write(info), greeting))) > room:
            info = spare(info)
    return info


def fit_pictures(report: Report, pictures: Sequence[Picture], turns: PictureTurns, asker: str) -> Report:
    """Return a report with the pictures that fit into a message; the others have their turn next time."""
    around = len(codec.encode_text(write(replace(report, pictures=())))) + FRAME_ROOM
    sizes = [
        len(codec.encode_text(Message(Event.EXPSTATUS, (write_picture(picture),)))) for picture in pictures
    ]
    chosen = turns.choose(asker, sizes, codec.MAX_DATAGRAM - around)
    return replace(report, pictures=tuple(pictures[which] for which in chosen))
