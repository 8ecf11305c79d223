"""What the parts of a rig's service have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from multirig.config import RigConfig
from multirig.lifecycle.rig import RigMachine
from multirig.rig.adapter import Adapter
from multirig.rig.computer import Computer
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
