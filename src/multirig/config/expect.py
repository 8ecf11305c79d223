"""What somebody expects of what a device records, as the key ``expect`` says it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from multirig.config.duration import Duration
from multirig.config.explaining import show_value
from multirig.errors import ConfigError
from multirig.protocol.words import Expected

_PERCENT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*%", re.ASCII)


def parse_share(value: object) -> float:
    """Return the share that a number from 0 to 1, or a text such as ``"0.5 %"``, means.

    Raises
    ------
    ConfigError
        It is neither.
    """
    share = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        share = float(value)
    elif isinstance(value, str) and (found := _PERCENT.fullmatch(value.strip())):
        share = float(found[1]) / 100
    if share is None or not 0 <= share <= 1:
        raise ConfigError(f"{show_value(value)} is no share: write a number from 0 to 1, or 0.5 %")
    return share


Share = Annotated[
    float,
    BeforeValidator(parse_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^\s*(\d+(\.\d*)?|\.\d+)\s*%\s*$"},
            ],
            "examples": [0.001, "0.5 %"],
        }
    ),
]
"""A share from 0 to 1, as a field of a pydantic model; a file may say ``0.5 %``."""


class Expect(BaseModel):
    """What is expected of each camera or table: what is worse makes a session DEGRADED."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, defer_build=True)

    fps: Annotated[float, Field(gt=0, le=1_000_000, strict=True)] | None = None
    """Frames, samples or rows a second; 3 % less or more is told."""
    longest_gap: Duration | None = None
    """How long it may be from one to the next: 100 ms, or 10 min where it is triggered from outside."""
    missing: Share | None = None
    """Share that may be missing by its own numbers, such as 0.1 %."""
    damaged: Share | None = None
    """Share of the pictures that may come damaged, such as 1 %."""

    def to_expected(self) -> Expected:
        """Return it as the verdict knows it."""
        return Expected(**self.model_dump())
