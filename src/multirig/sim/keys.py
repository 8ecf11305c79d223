"""The keys of a false lab: all of them follow from its seed, and so does what is random in handshakes."""

from __future__ import annotations

import datetime
import hashlib
import random
from collections.abc import Callable, Iterable

from multirig.keyring.door import Access
from multirig.trust.certificate import LabKey
from multirig.trust.keys import Keys, Membership, public_key
from multirig.trust.roles import Role

LAB = "false lab"
OPEN = Access(is_open=True)
"""Of a PC that lets in everybody, as all did once."""


class LabKeys:
    """Gives each PC of a lab its key, and each of its programs its own randomness.

    Parameters
    ----------
    seed : int
        Of the world.
    date : date
        When it begins, at midnight by the wall's clock.
    clock : callable
        Returns the time of the world; ns.
    """

    def __init__(self, seed: int, date: datetime.date, clock: Callable[[], int]) -> None:
        midnight = datetime.datetime.combine(date, datetime.time(tzinfo=datetime.timezone.utc))
        self._seed = seed
        self._begun = int(midnight.timestamp())
        self._clock = clock
        self._lab = LabKey(LAB, self._draw("lab"))

    @property
    def public(self) -> bytes:
        """The lab's public key, which is no secret."""
        return self._lab.lab.key

    def make_access(self, name: str, role: Role, *, allow_ibl: Iterable[str] = ()) -> Callable[[int], Access]:
        """Return what gives each program of a PC its access, by how many there were before.

        Parameters
        ----------
        name : str
            Of the PC.
        role : Role
            What its key is good for.
        allow_ibl : iterable of str
            Whom it hears without a key.
        """
        private = self._draw(f"key/{name}")
        certificate = self._lab.certify(public_key(private), name, role, now=self._begun)
        keys = Keys(private, (Membership(self._lab.lab, certificate),))
        named = tuple(allow_ibl)

        def make(life: int) -> Access:
            chance = random.Random(f"{self._seed}/seal/{name}/{life}")
            return Access(keys=lambda: keys, allow_ibl=named, random=chance.randbytes, wall=self._read_wall)

        return make

    def _draw(self, what: str) -> bytes:
        return hashlib.blake2b(f"{self._seed}/{what}".encode(), digest_size=32).digest()

    def _read_wall(self) -> int:
        return self._begun + self._clock() // 1_000_000_000


def be_open(life: int) -> Access:
    """Return the access of a program that lets in everybody."""
    return OPEN
