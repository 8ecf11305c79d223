"""A lab's keys for benchmarks, which ask for a key on loopback too."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

from multirig.keyring import Keyring
from multirig.protocol.door import Door
from multirig.protocol.rights import object_to
from multirig.protocol.sealing import Seals
from multirig.trust.admission import Admission
from multirig.trust.certificate import LabKey
from multirig.trust.keys import Keys, Membership, public_key
from multirig.trust.roles import Role

LAB = LabKey("bench", b"b" * 32)


def make_keys(name: str, role: Role) -> Keys:
    """Return the keys of a PC of the lab."""
    private = hashlib.blake2b(name.encode(), digest_size=32).digest()
    certificate = LAB.certify(public_key(private), name, role, now=int(time.time()))
    return Keys(private, (Membership(LAB.lab, certificate),))


def write_keys(folder: Path) -> None:
    """Write the keys of a PC that leads and is led: all computers of a field take it for their own."""
    ring = Keyring(folder)
    own, lab = ring.make_own_key("bench"), ring.make_lab_key(LAB.name)
    ring.add(lab.lab, ring.certify(lab, public_key(own.private), own.name, Role.LEAD))


def make_door(boot: str, role: Role) -> Door:
    """Return a door that lets in nobody without a key, whatever the address."""
    rights: Any = {"objects": object_to} if role is Role.RIG else {}
    return Door(
        lambda host: Admission.PROVED,
        name=boot,
        make_seals=lambda keys: Seals(
            keys, boot=boot, name=boot, random=os.urandom, wall=lambda: int(time.time())
        ),
        keys=make_keys(boot, role),
        **rights,
    )
