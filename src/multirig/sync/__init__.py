"""Times of one session, brought onto one clock after the fact.

A rig's own time stamps go through what was read of its clock (`to_session_time`); a device that multirig
cannot ask goes through the pulses that it recorded (`read_pulses`, `align`).
"""

from multirig.sync.alignment import Alignment, align
from multirig.sync.offsets import OFFSETS_NAME, offset_bounds, to_session_time
from multirig.sync.pulses import PULSES_NAME, Pulse, read_pulses

__all__ = [
    "OFFSETS_NAME",
    "PULSES_NAME",
    "Alignment",
    "Pulse",
    "align",
    "offset_bounds",
    "read_pulses",
    "to_session_time",
]
