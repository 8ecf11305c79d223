"""The experiment reference: date, sequence and subject of one session."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from multirig.errors import LocalProtocolError

MAX_SEQUENCE = 999
"""Session folders are three digits wide."""

_REFERENCE = re.compile(r"(\d{4}-\d{2}-\d{2})_(\d{1,3})_(.+)", re.DOTALL)
_SUBJECT = re.compile(r"[^\W_][\w.\-]*")
"""Letters, digits, underscores, dots and hyphens: what every file system and Alyx accept in a folder name."""
_WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])(\..*)?", re.IGNORECASE | re.DOTALL)
"""Names that mean a device on Windows, with any extension."""


def is_windows_device(name: str) -> bool:
    """Return whether Windows takes a name for a device, and makes no file or folder of it."""
    return _WINDOWS_DEVICE.fullmatch(name) is not None


def check_subject(subject: object) -> str:
    """Return the subject if it can name a folder on every system, else raise LocalProtocolError."""
    if not isinstance(subject, str) or not subject:
        raise LocalProtocolError("the subject is missing: give the nickname of the animal")
    if not _SUBJECT.fullmatch(subject) or subject.endswith(".") or len(subject) > 64:
        raise LocalProtocolError(
            f"subject {subject!r:.80} cannot name a folder: use letters, digits, '_', '-' and '.', "
            "beginning with a letter or digit, at most 64"
        )
    if is_windows_device(subject):
        raise LocalProtocolError(f"subject {subject!r} cannot name a folder: it is a device on Windows")
    return subject


@dataclass(frozen=True, slots=True, order=True)
class ExpRef:
    """Experiment reference, compared by value: ``2024-05-06_2_x`` equals ``2024-05-06_002_x``."""

    date: datetime.date
    """Local date on the main sync's PC."""
    sequence: int
    """Number of the session on that day for that subject, 1 to 999."""
    subject: str
    """Nickname; may hold underscores."""

    def __post_init__(self) -> None:
        if isinstance(self.sequence, bool) or not 1 <= self.sequence <= MAX_SEQUENCE:
            raise LocalProtocolError(f"sequence {self.sequence} is outside 1 to {MAX_SEQUENCE}")
        check_subject(self.subject)

    @classmethod
    def parse(cls, value: object) -> ExpRef:
        """Read a reference from any of its forms.

        Parameters
        ----------
        value : ExpRef, str or mapping
            ``yyyy-mm-dd_n_subject``, padded or not, or ``{date, sequence, subject}``
            where the date may be a ``datetime.date`` or ISO text.

        Raises
        ------
        LocalProtocolError
            It is none of these.
        """
        if isinstance(value, ExpRef):
            return value
        try:
            if isinstance(value, str):
                return _parse_text(value)
            if isinstance(value, Mapping):
                day = value["date"]
                if isinstance(day, datetime.datetime):
                    day = day.date()
                if not isinstance(day, datetime.date):
                    day = datetime.date.fromisoformat(str(day)[:10])
                # by its text, since True and 2.5 are no sequences
                return cls(day, int(str(value["sequence"])), value["subject"])
        except (KeyError, TypeError, ValueError) as error:
            raise LocalProtocolError(f"{value!r:.80} is not an experiment reference: {error}") from None
        raise LocalProtocolError(f"{value!r:.80} is not an experiment reference (yyyy-mm-dd_n_subject)")

    def __str__(self) -> str:
        return f"{self.date.isoformat()}_{self.sequence}_{self.subject}"

    def folder_parts(self) -> tuple[str, str, str]:
        """Subject, date and zero-padded sequence, as IBL's folders are named."""
        return self.subject, self.date.isoformat(), f"{self.sequence:03d}"


@lru_cache(maxsize=64)
def _parse_text(text: str) -> ExpRef:
    """Read the text form; every message of a session names the same few references."""
    match = _REFERENCE.fullmatch(text.strip())
    if match is None:
        raise ValueError("it is not yyyy-mm-dd_n_subject")
    return ExpRef(datetime.date.fromisoformat(match[1]), int(match[2]), match[3])
