"""The door of a program on this PC: who is let in, by its keys and its config."""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from multirig.keyring.watch import KeyWatch
from multirig.protocol.door import Door
from multirig.protocol.rights import object_to_led
from multirig.protocol.sealing import Seals, needs_a_rig
from multirig.protocol.words import Word
from multirig.trust.admission import Admission, Doors
from multirig.trust.channel import Standing
from multirig.trust.keys import Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """By what a program on this PC tells who is of its lab, and whom it lets in besides."""

    keys: Callable[[], Keys | None] = lambda: None
    """Returns this PC's keys as they are now."""
    watch: KeyWatch | None = None
    """Tells when they change; None: they do not."""
    allow_ibl: tuple[str, ...] = ()
    """IP addresses and networks whose computers speak IBL's wire."""
    is_open: bool = False
    """Whether everybody may say everything."""
    random: Callable[[int], bytes] = os.urandom
    wall: Callable[[], int] = lambda: int(time.time())
    """Seconds since 1970."""
    is_here: Callable[[str], bool] = lambda host: False
    """Whether an IP address is one of this PC's own."""

    @classmethod
    def of_this_pc(cls, *, allow_ibl: tuple[str, ...] = (), is_open: bool = False) -> Access:
        """Return this PC's, with the keys that lie in its user's folder.

        Raises
        ------
        ConfigError
            They cannot be read; TrustError: they are not this PC's.
        """
        watch = KeyWatch()
        return cls(
            keys=lambda: watch.keys,
            watch=watch,
            allow_ibl=allow_ibl,
            is_open=is_open,
            is_here=is_own_address,
        )


def make_rig_door(access: Access, *, boot: str, name: str, objects: Callable[[Standing, Word], str]) -> Door:
    """Return the door of a program that is led: without a key it serves its own PC."""
    return Door(
        Doors(access.allow_ibl, is_open=access.is_open).admit,
        name=name,
        make_seals=lambda keys: Seals(keys, boot=boot, name=name, random=access.random, wall=access.wall),
        keys=access.keys(),
        objects=objects,
        is_here=access.is_here,
    )


def make_leading_door(access: Access, *, boot: str, name: str) -> Door:
    """Return the door of a program that speaks to rigs which its user has named.

    Without a key it speaks to them as they come: what they say is not proved, and screens say so.
    """
    return Door(
        Doors(access.allow_ibl, is_open=access.is_open).admit,
        name=name,
        make_seals=lambda keys: Seals(
            keys, boot=boot, name=name, random=access.random, wall=access.wall, objects=needs_a_rig
        ),
        keys=access.keys(),
        without_key=Admission.OPEN,
        objects=object_to_led,
        is_here=access.is_here,
    )


def is_own_address(host: str) -> bool:
    """Whether an IP address is one of this PC's own, in whichever network: a socket can be bound to it."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if address.is_unspecified or address.is_multicast:
        return False
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as tried:
            tried.bind((host, 0))
    except OSError:
        return False
    return True
