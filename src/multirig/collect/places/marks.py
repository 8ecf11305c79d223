"""The mark by which a destination is known again: what stands in it, and what it means if it is not there."""

from __future__ import annotations

import json
import secrets

from multirig.collect.places.base import MARK_NAME, Destination, DestinationAway

FORMAT = 1
"""Of the mark."""


def new_mark() -> tuple[str, bytes]:
    """Return a mark for a place that has none, and what is written there."""
    mark = secrets.token_hex(8)
    return mark, json.dumps({"format": FORMAT, "mark": mark}).encode() + b"\n"


def parse_mark(data: bytes, where: object) -> str:
    """Return the mark that stands in a file. Raises DestinationAway: it is damaged."""
    try:
        told = json.loads(data)
    except ValueError:
        told = None
    found = told.get("mark") if isinstance(told, dict) else None
    if not isinstance(found, str) or not 8 <= len(found) <= 64:
        raise DestinationAway(f"{where} is damaged: delete it if this is the right place")
    return found


def read_mark(place: Destination) -> str | None:
    """Return the mark of a destination, as it is now; None: there is none.

    Raises
    ------
    DestinationError
        It cannot be read.
    """
    data = place.read(MARK_NAME)
    return None if data is None else parse_mark(data, f"{MARK_NAME} at {place.text}")


def check_mark(found: str | None, mark: str | None, text: str) -> str:
    """Return the mark that was found, if it is the one by which the place is known.

    Parameters
    ----------
    found : str or None
        None: there is none.
    mark : str or None
        By which it is known; None: it was never used from here.
    text : str
        What the person calls it.

    Raises
    ------
    DestinationAway
        It is another place.
    """
    if found is None or (mark is not None and found != mark):
        what = "has no mark of multirig any more" if found is None else "is another folder"
        raise DestinationAway(
            f"{text} {what}, though sessions were collected there from this PC: is the share or the "
            "disk connected? If it was really replaced, run multirig collect --new-destination once"
        )
    return found
