"""The handshake of two programs: ``Noise_XX_25519_ChaChaPoly_BLAKE2s``.

Source: Trevor Perrin, "The Noise Protocol Framework", revision 34. Both sides give a key that is drawn for
this handshake alone and, sealed already, their lasting ones; what comes out are a key for each direction that
no one else can have, and that nobody can find later who steals the lasting keys.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from multirig.errors import TrustError

NAME = b"Noise_XX_25519_ChaChaPoly_BLAKE2s"
KEY = 32
"""Bytes of a key."""
TAG = 16
"""Bytes by which what is sealed is longer."""
_MESSAGES = (("e",), ("e", "ee", "s", "es"), ("s", "se"))


def nonce(number: int) -> bytes:
    """Return the nonce of the message with a number, as Noise makes it for ChaChaPoly."""
    return struct.pack("<4xQ", number)


def derive(key: bytes, text: bytes, count: int) -> list[bytes]:
    """Return keys of 32 bytes that are made of another one: Noise's HKDF over BLAKE2s."""
    secret = hmac.new(key, text, hashlib.blake2s).digest()
    keys, last = [], b""
    for number in range(1, count + 1):
        last = hmac.new(secret, last + bytes([number]), hashlib.blake2s).digest()
        keys.append(last)
    return keys


class Handshake:
    """One side of a handshake of three messages.

    Parameters
    ----------
    initiates : bool
        Whether this side sends the first message.
    private : bytes
        32 bytes: this PC's lasting private key.
    ephemeral : bytes
        32 random bytes, for this handshake alone.
    prologue : bytes
        What both sides must agree on beside it.
    """

    def __init__(self, *, initiates: bool, private: bytes, ephemeral: bytes, prologue: bytes = b"") -> None:
        self._initiates = initiates
        self._mine = {
            "s": X25519PrivateKey.from_private_bytes(private),
            "e": X25519PrivateKey.from_private_bytes(ephemeral),
        }
        self._theirs: dict[str, X25519PublicKey] = {}
        self._hash = self._chain = hashlib.blake2s(NAME).digest()
        self._cipher: ChaCha20Poly1305 | None = None
        self._number = 0
        self._done = 0
        """Messages that were written or read."""
        self._mix_hash(prologue)

    @property
    def is_done(self) -> bool:
        """Whether all three messages have passed."""
        return self._done == len(_MESSAGES)

    @property
    def theirs(self) -> bytes:
        """The other side's lasting public key; 32 bytes. TrustError: it has not said it yet."""
        if "s" not in self._theirs:
            raise TrustError("the other side has not said who it is yet")
        return self._theirs["s"].public_bytes_raw()

    def write(self, payload: bytes = b"") -> bytes:
        """Return the next message, with a payload; the first one is not sealed."""
        out = b""
        for token in self._next(writes=True):
            if token in self._mine:
                public = self._mine[token].public_key().public_bytes_raw()
                if token == "e":
                    self._mix_hash(public)
                    out += public
                else:
                    out += self._seal(public)
            else:
                self._mix_key(token)
        self._done += 1
        return out + self._seal(payload)

    def read(self, message: bytes) -> bytes:
        """Take the other side's next message; return its payload.

        Raises
        ------
        TrustError
            It is not what it must be; nothing has changed, and another one may come.
        """
        tried = self.fork()
        payload = tried._read(message)
        self.__dict__.update(tried.__dict__)
        return payload

    def fork(self) -> Handshake:
        """Return the same handshake as far as it is, to try a message that may turn out to be nobody's."""
        tried = copy.copy(self)
        tried._theirs = dict(self._theirs)
        return tried

    def split(self) -> tuple[bytes, bytes]:
        """Return the keys to send and to receive with, once all messages have passed; 32 bytes each."""
        first, second = derive(self._chain, b"", 2)
        return (first, second) if self._initiates else (second, first)

    def export(self, purpose: bytes) -> tuple[bytes, bytes]:
        """Return keys for something beside: to send and to receive with; 32 bytes each."""
        first, second = derive(self._chain, purpose, 2)
        return (first, second) if self._initiates else (second, first)

    # -- inside -----------------------------------------------------------------------------------------

    def _next(self, *, writes: bool) -> tuple[str, ...]:
        if self.is_done or (self._done % 2 == 0) != (writes == self._initiates):
            raise TrustError("a message of a handshake that is not due")
        return _MESSAGES[self._done]

    def _read(self, message: bytes) -> bytes:
        for token in self._next(writes=False):
            if token in self._mine:
                length = KEY + TAG if token == "s" else KEY
                part, message = message[:length], message[length:]
                if len(part) < length:
                    raise TrustError("a message of a handshake that ends too early")
                if token == "e":
                    self._mix_hash(part)
                self._theirs[token] = X25519PublicKey.from_public_bytes(
                    part if token == "e" else self._open(part)
                )
            else:
                self._mix_key(token)
        payload = self._open(message)
        self._done += 1
        return payload

    def _mix_hash(self, data: bytes) -> None:
        self._hash = hashlib.blake2s(self._hash + data).digest()

    def _mix_key(self, token: str) -> None:
        """Take a shared secret in: ``es`` is of the initiator's ephemeral key and the other's lasting one."""
        first, second = token[0], token[1]
        ours, theirs = (first, second) if self._initiates else (second, first)
        try:
            secret = self._mine[ours].exchange(self._theirs[theirs])
        except ValueError:  # a point of low order
            raise TrustError("it sends a key that is none") from None
        self._chain, key = derive(self._chain, secret, 2)
        self._cipher, self._number = ChaCha20Poly1305(key), 0

    def _seal(self, text: bytes) -> bytes:
        if self._cipher is not None:
            text = self._cipher.encrypt(nonce(self._number), text, self._hash)
            self._number += 1
        self._mix_hash(text)
        return text

    def _open(self, sealed: bytes) -> bytes:
        text = sealed
        if self._cipher is not None:
            try:
                text = self._cipher.decrypt(nonce(self._number), sealed, self._hash)
            except InvalidTag:
                raise TrustError("a message of a handshake that was not made for it") from None
            self._number += 1
        self._mix_hash(sealed)
        return text
