"""The small live pictures that a rig has sent of its cameras."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from multirig.lifecycle.rig_events import PICTURES
from multirig.protocol.messages import Message

REQUEST = {PICTURES: True}
"""What an EXPSTATUS holds that asks for them; after the status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What a camera saw a moment ago."""

    label: str
    """Which of the rig's cameras."""
    jpeg: bytes
    """A JPEG file, some 240 pixels wide."""
    age: float | None = None
    """Seconds for which the frame was old when the rig answered; None: the rig cannot tell."""


def read_pictures(answer: Message) -> list[Picture]:
    """Return the pictures in the answer to `REQUEST`; what cannot be shown as one is left out."""
    report = answer.args[1] if len(answer.args) > 1 else None
    listed = report.get(PICTURES) if isinstance(report, dict) else None
    found = (_read(one) for one in listed) if isinstance(listed, list) else ()
    return [one for one in found if one is not None]


def _read(entry: Any) -> Picture | None:
    match entry:
        case {"label": str(label), "jpeg": str(text), **rest}:
            age = rest.get("age")
            try:
                jpeg = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                return None
            if not jpeg.startswith(_JPEG):
                return None
            return Picture(label=label, jpeg=jpeg, age=float(age) if isinstance(age, int | float) else None)
    return None


_JPEG = b"\xff\xd8\xff"
"""How each JPEG file begins: nothing else is handed to a browser as one."""
