"""Files on a stick, by which a PC joins without a network: a request, and the lab's answer.

Neither is secret. A request is one PC's name and public key; an answer holds certificates, and the list of
PCs that are shut out. Whoever has had the stick may have put another key into a request, or another lab into
an answer: so both screens show the key, for a person to compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multirig.errors import ConfigError, TrustError
from multirig.keyring.files import (
    give_lab,
    give_signed,
    read_file,
    take_certificate,
    take_lab,
    take_list,
    write_json,
)
from multirig.trust.certificate import KEY_BYTES, Certificate, Lab, ShutOut, check_name, key_id

REQUEST, ANSWER = "request", "answer"
MOST = 10_000
"""Certificates in an answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """A PC that wants to join a lab."""

    name: str
    key: bytes
    """32 bytes: its public key."""

    @property
    def id(self) -> str:
        """Of its key."""
        return key_id(self.key)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a lab gives its PCs."""

    lab: Lab
    certificates: tuple[Certificate, ...]
    shut_out: ShutOut | None

    def of(self, key: bytes) -> Certificate | None:
        """Return the certificate of a PC by its public key."""
        return next((one for one in self.certificates if one.key == key), None)


def write_request(path: Path, name: str, key: bytes) -> None:
    """Write a PC's name and public key. Raises ConfigError, also where another file is there already."""
    _check_free(path, REQUEST)
    write_json(path, {"kind": REQUEST, "name": name, "key": key.hex()}, is_private=False)


def read_request(path: Path) -> Request:
    """Return what a PC asks for. Raises ConfigError."""

    def take(told: Mapping[str, Any]) -> Request:
        request = Request(check_name(told["name"]), bytes.fromhex(told["key"]))
        if told["kind"] != REQUEST or len(request.key) != KEY_BYTES:
            raise ValueError
        return request

    return read_file(path, "it is no request of a PC; write it anew there (multirig key ask FILE)", take)


def write_answer(path: Path, lab: Lab, certificates: Iterable[Certificate], shut_out: ShutOut | None) -> None:
    """Write what a lab gives its PCs. Raises ConfigError, also where another file is there already."""
    _check_free(path, ANSWER, REQUEST)
    content = {
        "kind": ANSWER,
        "lab": give_lab(lab),
        "certificates": [give_signed(one) for one in certificates],
        "shut_out": give_signed(shut_out),
    }
    write_json(path, content, is_private=False)


def read_answer(path: Path) -> Answer:
    """Return what a lab gives its PCs; its signatures are right. Raises ConfigError."""

    def take(told: Mapping[str, Any]) -> Answer:
        if told["kind"] != ANSWER or len(told["certificates"]) > MOST:
            raise ValueError
        lab, shut_out = take_lab(told["lab"]), take_list(told.get("shut_out"))
        certificates = tuple(map(take_certificate, told["certificates"]))
        for one in certificates:
            lab.check(one)
        if shut_out is not None:
            lab.check_list(shut_out)
        return Answer(lab, certificates, shut_out)

    return read_file(path, "it is no answer of a lab; write it anew there (multirig key sign FILE)", take)


def _check_free(path: Path, *kinds: str) -> None:
    """Raise ConfigError where a file is there that is none of ours: nobody's data are written over."""
    if not path.exists():
        return
    try:
        if read_file(path, "", lambda told: told["kind"]) in kinds:
            return
    except (ConfigError, TrustError):
        pass
    raise ConfigError(f"{path} is there already, and is something else: give another file")
