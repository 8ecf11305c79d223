"""What is left out of a word that would be too long for its reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from multirig.protocol import codec
from multirig.protocol.dialect import greet, write
from multirig.protocol.words import CleanedUp, Greeting, Info, Stopped, Word

MAX_GREETED_NAME = 200
"""Bytes of a name in a greeting: it labels a line on the peer's screen."""
_LONG_TEXT = 60
"""Characters that are left of a text that may be cut: a line of a table."""
_SPARE: tuple[Callable[[Info], Info], ...] = (
    lambda info: replace(info, preflight=None),
    lambda info: replace(info, experiment_description=None),
    lambda info: replace(info, device=None),
    lambda info: replace(info, more={}),
    lambda info: replace(info, failure=_cut(info.failure), led_by=_cut(info.led_by)),
    lambda info: replace(info, collection=None, adapter=None, name=_cut(info.name)),
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
    greeting = Greeting(wire=2, boot="0" * 16, name=greeted_name(name))
    info = replace(info, writes=(), folder=None)  # no foreign peer knows them
    for spare in _SPARE:
        if len(codec.encode_array(greet(write(info), greeting))) > room:
            info = spare(info)
    return info


def greeted_name(name: str) -> str:
    """Return as much of a name as a greeting has room for."""
    while len(codec.dump(name)) > MAX_GREETED_NAME:
        name = name[: len(name) * 3 // 4]
    return name


def abridge(word: Word, fits: Callable[[Word], bool]) -> Word:
    """Return a word of which the first files are named only, as many as fit; their number is said anyhow.

    Parameters
    ----------
    word : Word
        Which does not fit.
    fits : callable
        Whether a word does.
    """
    match word:
        case Stopped(recorded=recorded) if recorded is not None and recorded.files:
            files = recorded.files
            return _most(
                lambda count: replace(word, recorded=replace(recorded, files=files[:count])), fits, len(files)
            )
        case CleanedUp(digests=digests) if digests is not None:
            made = [*digests.items()]
            return _most(lambda count: replace(word, digests=dict(made[:count])), fits, len(made))
    return word


def _most(make: Callable[[int], Word], fits: Callable[[Word], bool], count: int) -> Word:
    """Return what is made of the largest number that fits."""
    least, most = 0, count
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if fits(make(middle)) else (least, middle - 1)
    return make(least)


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:_LONG_TEXT]
