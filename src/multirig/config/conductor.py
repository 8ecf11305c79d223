"""What the leading PC's own file says: ``multirig.yaml``, beside the rigs file. All of it is optional."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from multirig.config.duration import Duration
from multirig.config.explaining import explain, show_value
from multirig.config.reading import parse_yaml, read_text
from multirig.errors import ConfigError
from multirig.lifecycle.clock_gate import ClockGate, Reaction
from multirig.protocol.events import SECOND

FILE_NAME = "multirig.yaml"
"""Beside the rigs file."""
_DEFAULT = ClockGate()


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ClockRules(_Frozen):
    """What follows when something is wrong with a rig's clock at a start: ignore, flag or refuse."""

    unknown: Reaction = _DEFAULT.unknown
    """Nothing is known of it: the rig speaks IBL's wire, or nothing has come through yet."""
    wide: Reaction = _DEFAULT.wide
    """It is known, but not within max_bound."""
    max_bound: Duration = _DEFAULT.max_bound / SECOND
    """By how much it may be wrong, either way."""
    stepped: Reaction = _DEFAULT.stepped
    """It has jumped since the rigs agreed."""
    midnight: Reaction = _DEFAULT.midnight
    """It is another day there, or has become one here since the rigs agreed."""

    def to_gate(self) -> ClockGate:
        """Return the rules as a session takes them."""
        return ClockGate(
            unknown=self.unknown,
            wide=self.wide,
            max_bound=round(self.max_bound * SECOND),
            stepped=self.stepped,
            midnight=self.midnight,
        )


class ConductorConfig(_Frozen):
    """The configuration of the leading PC."""

    clock: ClockRules = ClockRules()
    """When clocks are good enough to start."""


def load_conductor_config(rigs_file: Path) -> ConductorConfig:
    """Read and check the file beside a rigs file; what it does not say, or if there is none, is as usual.

    Raises
    ------
    ConfigError
        The file cannot be read or something in it is wrong; one line with the file, the key and what to do.
    """
    path = rigs_file.with_name(FILE_NAME)
    if not path.is_file():
        return ConductorConfig()
    content = parse_yaml(read_text(path), path)
    if content is None:
        return ConductorConfig()
    if not isinstance(content, Mapping):
        raise ConfigError(
            f"{path}: the file holds {show_value(content)}: write key: value lines, such as "
            "clock: {wide: refuse, max_bound: 1 ms}"
        )
    try:
        return ConductorConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(explain(error, path, model=ConductorConfig)) from error


def conductor_config_schema() -> dict[str, Any]:
    """Return the JSON schema of the file."""
    return ConductorConfig.model_json_schema()
