"""The small live pictures that a rig has sent of its cameras."""

from __future__ import annotations

from multirig.protocol.dialect import hear_rig
from multirig.protocol.messages import Message
from multirig.protocol.words import Picture, Report

REQUEST = {"pictures": True}
"""What an EXPSTATUS holds that asks for them; after the status."""


def read_pictures(answer: Message) -> list[Picture]:
    """Return the pictures in the answer to `REQUEST`; what cannot be shown as one is left out."""
    word = hear_rig(answer)
    return [*(word.pictures or ())] if isinstance(word, Report) else []
