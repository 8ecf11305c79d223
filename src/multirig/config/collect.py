"""What a PC is told of collecting: ``collect`` in ``multirig.yaml``."""

from __future__ import annotations

import datetime
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from multirig.errors import ConfigError

AFTER_SESSION = "after_session"
_AT = re.compile(r"at ([01]?[0-9]|2[0-3]):([0-5][0-9])")
_RATE = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?) ?(?P<unit>[kMG]?)B(?:/s|ps)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}


def _check_when(text: str) -> str:
    if text != AFTER_SESSION and _AT.fullmatch(text) is None:
        raise ConfigError(f"{text!r:.40} is no time to collect: write after_session, or as in 'at 20:00'")
    return text


def parse_rate(text: object) -> object:
    """Return bytes a second, of a text such as 50 MB/s.

    Raises
    ------
    ConfigError
        It is none.
    """
    if not isinstance(text, str):
        return text
    found = _RATE.fullmatch(text.strip())
    if found is None or float(found["number"]) <= 0:
        raise ConfigError(f"{text!r:.40} is no rate: write it as in 50 MB/s")
    return float(found["number"]) * _UNITS[found["unit"].lower()]


def _check_place(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ConfigError(
            "this is no destination: a folder, as in /mnt/lab or Z:\\lab, or a remote of rclone"
        )
    return text


Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number", "exclusiveMinimum": 0}]}),
]


class CollectRules(BaseModel):
    """Where what is recorded is copied, and when."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, defer_build=True)

    to: Annotated[str, AfterValidator(_check_place)]
    """The destination: a folder or a share, as in Z:\\lab, or a remote of rclone, as in labserver:data."""
    when: Annotated[str, AfterValidator(_check_when)] = AFTER_SESSION
    """after_session, or once a day, as in 'at 20:00'."""
    rate: Rate | None = None
    """How much of the network a copy may use, as in 50 MB/s; without it as much as there is."""

    def next_time(self, now: datetime.datetime) -> datetime.datetime | None:
        """Return when it is collected next; None: after each session."""
        found = _AT.fullmatch(self.when)
        if found is None:
            return None
        at = now.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
        return at if at > now else at + datetime.timedelta(days=1)
