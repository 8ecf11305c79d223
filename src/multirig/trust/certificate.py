"""What a lab's key signs: a certificate for each PC, and the list of PCs that are shut out.

Signatures are Ed25519 (RFC 8032). What is signed is a line that says what it is, then JSON with sorted keys
and without spaces; whoever reads it checks the bytes as they came, and never writes the JSON anew.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from multirig.errors import TrustError
from multirig.trust.roles import Role

KEY_BYTES = 32
"""Of every key, private or public."""
SIGNATURE_BYTES = 64
MAX_NAME = 64
"""Characters of the name of a lab or a PC."""
MAX_NAME_BYTES = 128
"""Bytes of it in UTF-8: a certificate travels in one datagram."""
MAX_SHUT_OUT = 64
"""PCs that a list holds: it travels in one datagram too. A lab that has lost more makes itself a new key."""
YEARS = 5
"""For which a certificate holds unless something else is said."""
YEAR = 365 * 86_400
"""Seconds."""
_CERTIFICATE = b"multirig certificate 1\n"
_LIST = b"multirig shut out 1\n"
_MAX_TIME = 2**40


def key_id(key: bytes) -> str:
    """Return the name by which a public key is known: 16 hexadecimal digits of its BLAKE2b."""
    return hashlib.blake2b(key, digest_size=8).hexdigest()


def check_name(name: str) -> str:
    """Return the name of a PC or a lab if it can be one; TrustError says what is wrong with it."""
    if not name or name != name.strip() or not name.isprintable() or len(name) > MAX_NAME:
        raise TrustError(
            f"{name[:80]!r} is no name: write 1 to {MAX_NAME} characters, without spaces at its ends"
        )
    if len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        raise TrustError(f"{name!r} is too long: {MAX_NAME_BYTES} bytes in UTF-8 at most")
    return name


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab as all its PCs know it.

    Parameters
    ----------
    name : str
        For people.
    key : bytes
        32 bytes: the public key that its certificates are checked with.
    """

    name: str
    key: bytes

    @property
    def id(self) -> str:
        """Of its key."""
        return key_id(self.key)

    def _check(self, what: bytes, text: bytes, signature: bytes) -> None:
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, what + text)
        except (InvalidSignature, ValueError):
            raise TrustError(f"it is not signed by the key of the lab {self.name}") from None

    def check(self, certificate: Certificate) -> None:
        """Raise TrustError unless this lab has signed a certificate."""
        if certificate.by != self.id:
            raise TrustError(f"it is of another lab than {self.name}")
        self._check(_CERTIFICATE, certificate.text, certificate.signature)

    def check_list(self, shut_out: ShutOut) -> None:
        """Raise TrustError unless this lab has signed a list."""
        if shut_out.by != self.id:
            raise TrustError(f"it is of another lab than {self.name}")
        self._check(_LIST, shut_out.text, shut_out.signature)


@dataclass(frozen=True, slots=True)
class LabKey:
    """A lab's private key: whoever has it says who is of the lab.

    Parameters
    ----------
    name : str
        Of the lab.
    seed : bytes
        32 random bytes.
    """

    name: str
    seed: bytes

    def __repr__(self) -> str:  # never in a log
        return f"LabKey({self.name!r}, {self.lab.id})"

    @property
    def lab(self) -> Lab:
        """What all may know of it."""
        return Lab(self.name, self._key().public_key().public_bytes_raw())

    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    def certify(
        self, key: bytes, name: str, role: Role, *, now: int, until: int | None = None
    ) -> Certificate:
        """Sign that a PC is of the lab.

        Parameters
        ----------
        key : bytes
            32 bytes: the PC's public key.
        name : str
            Of the PC.
        role : Role
            What it may do.
        now : int
            Seconds since 1970.
        until : int, optional
            Until when it holds; without it, for five years.

        Raises
        ------
        TrustError
            The name cannot be one, or the key has another length.
        """
        if len(key) != KEY_BYTES:
            raise TrustError(f"a key has {KEY_BYTES} bytes, this one {len(key)}")
        text = _dump(
            {
                "by": self.lab.id,
                "key": key.hex(),
                "lab": check_name(self.name),
                "name": check_name(name),
                "role": role.value,
                "since": now,
                "until": now + YEARS * YEAR if until is None else until,
            }
        )
        return Certificate.parse(text, self._key().sign(_CERTIFICATE + text))

    def shut_out(self, keys: Iterable[str], *, number: int, now: int) -> ShutOut:
        """Sign which PCs are of the lab no more; see `ShutOut`."""
        listed = sorted(set(keys))
        if len(listed) > MAX_SHUT_OUT:
            raise TrustError(
                f"{len(listed)} PCs are shut out, and a list holds {MAX_SHUT_OUT}: make the lab a new key "
                "(multirig key new) and let the PCs that are left join it"
            )
        text = _dump({"at": now, "by": self.lab.id, "keys": "".join(listed), "number": number})
        return ShutOut.parse(text, self._key().sign(_LIST + text))


@dataclass(frozen=True, slots=True)
class Certificate:
    """A lab's word that the holder of a key is one of its PCs; not checked until `Lab.check` has."""

    by: str
    """Id of the lab's key."""
    lab: str
    """The lab's name."""
    key: bytes
    """The PC's public key, X25519; 32 bytes."""
    name: str
    """Of the PC."""
    role: Role
    since: int
    """When it was made; seconds since 1970."""
    until: int
    """Until when it holds; seconds since 1970."""
    text: bytes
    """As it was signed."""
    signature: bytes

    @property
    def id(self) -> str:
        """Of the PC's key."""
        return key_id(self.key)

    @classmethod
    def parse(cls, text: bytes, signature: bytes) -> Certificate:
        """Read one; TrustError if it is none."""
        found = _load(text, "a certificate")
        try:
            name, lab = check_name(found["name"]), check_name(found["lab"])
            key, role = bytes.fromhex(found["key"]), Role(found["role"])
            by, since, until = found["by"], found["since"], found["until"]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise TrustError("a certificate that is none") from None
        is_whole = len(key) == KEY_BYTES and len(signature) == SIGNATURE_BYTES and isinstance(by, str)
        if not is_whole or not (_is_time(since) and _is_time(until)):
            raise TrustError("a certificate that is none")
        return cls(by, lab, key, name, role, since, until, text, signature)

    def pack(self) -> bytes:
        """Return it as it travels: two bytes of length, the text, the signature."""
        return struct.pack(">H", len(self.text)) + self.text + self.signature

    @classmethod
    def unpack(cls, data: bytes) -> tuple[Certificate, bytes]:
        """Return the certificate that stands at the beginning, and what follows it; or raise TrustError."""
        text, signature, rest = _unpack(data)
        return cls.parse(text, signature), rest


@dataclass(frozen=True, slots=True)
class ShutOut:
    """Which PCs are of the lab no more; the list with the highest number counts."""

    by: str
    """Id of the lab's key."""
    number: int
    at: int
    """When it was made; seconds since 1970."""
    keys: frozenset[str]
    """Ids of the keys that are worth nothing any more."""
    text: bytes
    """As it was signed."""
    signature: bytes

    @classmethod
    def parse(cls, text: bytes, signature: bytes) -> ShutOut:
        """Read one; TrustError if it is none."""
        found = _load(text, "a list of PCs that are shut out")
        by, number, at, keys = (found.get(one) for one in ("by", "number", "at", "keys"))
        if not isinstance(by, str) or not isinstance(keys, str) or len(keys) > 16 * MAX_SHUT_OUT:
            raise TrustError("a list of PCs that are shut out that is none")
        if not _is_time(number) or not _is_time(at) or len(signature) != SIGNATURE_BYTES:
            raise TrustError("a list of PCs that are shut out that is none")
        ids = frozenset(keys[at : at + 16] for at in range(0, len(keys), 16))
        return cls(by, number, at, ids, text, signature)

    def pack(self) -> bytes:
        """Return it as it travels: two bytes of length, the text, the signature."""
        return struct.pack(">H", len(self.text)) + self.text + self.signature

    @classmethod
    def unpack(cls, data: bytes) -> tuple[ShutOut, bytes]:
        """Return the list that stands at the beginning, and what follows it; TrustError if there is none."""
        text, signature, rest = _unpack(data)
        return cls.parse(text, signature), rest


def _dump(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _load(text: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise TrustError(f"{what} that is none") from None
    if not isinstance(found, dict):
        raise TrustError(f"{what} that is none")
    return found


def _is_time(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= _MAX_TIME


def _unpack(data: bytes) -> tuple[bytes, bytes, bytes]:
    length = int.from_bytes(data[:2], "big")
    end = 2 + length + SIGNATURE_BYTES
    if len(data) < end or not length:
        raise TrustError("it ends too early")
    return data[2 : 2 + length], data[2 + length : end], data[end:]
