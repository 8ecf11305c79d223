"""What two PCs make of a code: SPAKE2, a proof that both know it, then sealed words. No socket, no clock.

Nothing is given before the other side has proved that it knows the code. Whoever guesses one learns whether
it was right from the other side's answer alone, so each guess takes a try.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from enum import Enum
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from spake2 import SPAKE2_A, SPAKE2_B

from multirig.errors import TrustError

PROTOCOL = b"multirig join 1\n"
"""With which each side's first message begins."""
ELEMENT_BYTES = 33
"""Of SPAKE2's message: a letter for the side, and a point of Ed25519's curve."""
PROOF_BYTES = 32
IDENTITIES = (b"multirig join 1 new PC", b"multirig join 1 lab key")
"""SPAKE2's names for its two sides, A and B."""


class Side(Enum):
    """Which PC this is."""

    NEW = "new PC"
    """SPAKE2's A: it connects, and proves first that it knows the code."""
    LAB = "lab key"
    """SPAKE2's B: it listens."""

    @property
    def other(self) -> Side:
        """The one at the other end."""
        return Side.LAB if self is Side.NEW else Side.NEW


class WrongCode(TrustError):
    """The other side does not know the code."""


class Handshake:
    """One conversation; for another one another is made.

    Parameters
    ----------
    side : Side
        Which PC this is.
    code : str
        Six digits.
    """

    def __init__(self, side: Side, code: str) -> None:
        self._side = side
        make = SPAKE2_A if side is Side.NEW else SPAKE2_B
        self._spake = make(code.encode(), idA=IDENTITIES[0], idB=IDENTITIES[1])
        self.greeting: bytes = PROTOCOL + self._spake.start()
        """What is sent first."""
        self._shared = b""
        self._transcript = b""
        self._is_proved = False
        self._counts = dict.fromkeys(Side, 0)

    def take_greeting(self, greeting: bytes) -> None:
        """Take the other side's first message; TrustError where it is none, which tells nothing of a code."""
        element = greeting.removeprefix(PROTOCOL)
        if element == greeting or len(element) != ELEMENT_BYTES:
            raise TrustError("it speaks another language: both PCs need a multirig that speaks this one")
        try:
            self._shared = self._spake.finish(element)
        except Exception:  # noqa: BLE001  it has many kinds of its own for what is no point of the curve
            raise TrustError("its first message is none") from None
        first, second = (self.greeting, greeting) if self._side is Side.NEW else (greeting, self.greeting)
        self._transcript = sha256(first + second).digest()

    @property
    def proof(self) -> bytes:
        """What proves to the other side that this one knows the code; after `take_greeting`."""
        return self._prove(self._side)

    def check_proof(self, proof: bytes) -> None:
        """Raise WrongCode unless the other side knows the code."""
        if not hmac.compare_digest(self._prove(self._side.other), proof):
            raise WrongCode("the code does not fit")
        self._is_proved = True

    def _prove(self, side: Side) -> bytes:
        return hmac.digest(self._derive(f"proof of {side.value}"), self._transcript, "sha256")

    def _derive(self, what: str) -> bytes:
        if not self._shared:
            raise TrustError("nothing was agreed on yet")
        info = PROTOCOL + what.encode()
        return HKDF(SHA256(), 32, salt=self._transcript, info=info).derive(self._shared)

    def seal(self, word: Mapping[str, Any]) -> bytes:
        """Return what the other side alone can read. Raises TrustError before it has proved itself."""
        return self._cipher(self._side).encrypt(
            self._nonce(self._side), json.dumps(word, ensure_ascii=False).encode(), None
        )

    def open(self, sealed: bytes) -> dict[str, Any]:
        """Return the other side's next word. Raises TrustError: it is not from there, or not the next one."""
        side = self._side.other
        cipher = self._cipher(side)
        try:
            found = json.loads(cipher.decrypt(self._nonce(side), sealed, None))
        except (InvalidTag, ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise TrustError("what came is not from the PC that knows the code")
        return found

    def _cipher(self, side: Side) -> ChaCha20Poly1305:
        if not self._is_proved:
            raise TrustError("the other side has not proved yet that it knows the code")
        return ChaCha20Poly1305(self._derive(f"words of {side.value}"))

    def _nonce(self, side: Side) -> bytes:
        count = self._counts[side]
        self._counts[side] += 1
        return count.to_bytes(12, "big")
