"""A folder of keys, and a clock that stands still."""

from __future__ import annotations

from pathlib import Path

import pytest

from multirig.keyring import Keyring
from multirig.trust.certificate import LabKey
from multirig.trust.roles import Role

NOW = 1_796_000_000


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    """Return a PC without a key."""
    return Keyring(tmp_path / "keys", lambda: NOW)


@pytest.fixture
def lab_pc(tmp_path: Path) -> tuple[Keyring, LabKey]:
    """Return a PC that has a lab's key, and the key."""
    ring = Keyring(tmp_path / "lab pc", lambda: NOW)
    ring.make_own_key("office")
    key = ring.make_lab_key("mylab")
    own = ring.read()
    assert own is not None
    ring.add(key.lab, ring.certify(key, own.public, "office", Role.LEAD))
    return ring, key
