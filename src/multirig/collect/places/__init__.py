"""Where files are collected: one way to speak with a folder, a share, or whatever rclone knows."""

from multirig.collect.places.base import (
    MARK_NAME,
    Destination,
    DestinationAway,
    DestinationError,
    DestinationFull,
    Digests,
    NameTaken,
    catch,
)
from multirig.collect.places.opening import open_destination

__all__ = [
    "MARK_NAME",
    "Destination",
    "DestinationAway",
    "DestinationError",
    "DestinationFull",
    "Digests",
    "NameTaken",
    "catch",
    "open_destination",
]
