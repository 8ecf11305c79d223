"""What the parts of a rig's service have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from multirig.config import RigConfig
from multirig.lifecycle.rig import RigMachine
from multirig.rig.adapter import Adapter
from multirig.rig.computer import Computer
from multirig.rig.pipeline import Pipeline
from multirig.rig.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A rig as its service is made of it."""

    config: RigConfig
    """Names, folders, limits."""
    adapter: Adapter
    """Which records."""
    machine: RigMachine
    """The rules; the parts only read them."""
    computer: Computer
    """The PC."""
    storage: Storage
    """Where the rig keeps what must last."""
    feed: Callable[[Any], None]
    """Takes what the rules are to be told."""
    warn: Callable[[str], None]
    """Is given a line for whoever sits at this PC."""
    pipeline: Pipeline = field(init=False)
    """What IBL's pipeline looks for beside the data."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "pipeline", Pipeline(self.config, self.adapter, self.warn))
