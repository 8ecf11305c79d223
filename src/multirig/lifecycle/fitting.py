"""Which live pictures fit into an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from multirig.lifecycle.picture_turns import PictureTurns
from multirig.protocol import codec
from multirig.protocol.dialect import write, write_picture
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import Picture, Report


def fit_pictures(report: Report, pictures: Sequence[Picture], turns: PictureTurns, asker: str) -> Report:
    """Return a report with the pictures that fit into a message; the others have their turn next time."""
    around = len(codec.encode_text(write(replace(report, pictures=())))) + codec.FRAME_ROOM
    sizes = [
        len(codec.encode_text(Message(Event.EXPSTATUS, (write_picture(picture),)))) for picture in pictures
    ]
    chosen = turns.choose(asker, sizes, codec.MAX_DATAGRAM - around)
    return replace(report, pictures=tuple(pictures[which] for which in chosen))
