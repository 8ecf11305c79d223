"""What a rig is doing, for a status line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from multirig.lifecycle.rig_states import MOVING, RigState
from multirig.protocol.exp_ref import ExpRef
from multirig.rig.adapter import Health


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a rig is doing, for a status line."""

    name: str
    state: RigState
    exp_ref: ExpRef | None
    failure: str | None
    health: Health
    disk_free: int
    """Bytes free where the data goes."""
    conductor: str | None
    """Name or address of whoever leads this rig now."""
    conductor_silent: float | None = None
    """Seconds for which it was not heard, where that is too long."""
    subject: str | None = None
    """Whom the rig is set up for; None: whoever a conductor asks for."""
    question: str | None = None
    """What the person at the rig is asked, and is to type yes or no to."""

    is_open: bool = False
    """Whether everybody may command it."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """How many messages of each IP address were refused, who was refused last at the end."""

    @property
    def is_left(self) -> bool:
        """Whether it is in a session that nobody ends any more, as far as it is heard here."""
        if self.conductor is not None:
            return self.conductor_silent is not None
        return self.state not in MOVING | {RigState.CONNECTED, RigState.RUNNING}
