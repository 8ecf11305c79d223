"""A PC's keys, to be changed: by one program at a time, each file whole."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from multirig.errors import ConfigError, TrustError, why_not
from multirig.keyring import files
from multirig.keyring.files import OwnKey, Register
from multirig.keyring.place import key_folder, make_folder
from multirig.trust.certificate import KEY_BYTES, Certificate, Lab, LabKey, ShutOut, check_name, key_id
from multirig.trust.keys import SOON, Keys, Membership
from multirig.trust.roles import Role

LOCK_LIMIT = 10.0
"""Seconds that another program may take to change the keys."""

_One = TypeVar("_One")


class Keyring:
    """The keys in a folder.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Where they lie; without it ``MULTIRIG_KEYS``, or the user's own folder. It is made when needed.
    clock : callable
        Seconds since 1970.
    """

    def __init__(self, folder: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self.folder = key_folder() if folder is None else folder
        self._clock = clock

    # -- what is there ---------------------------------------------------------------------------------------

    def read(self) -> Keys | None:
        """Return this PC's keys; see `multirig.keyring.read_keys`."""
        return files.read_keys(self.folder)

    @property
    def name(self) -> str | None:
        """How this PC calls itself; None: it has no key yet."""
        own = files.read_own_key(self.folder)
        return None if own is None else own.name

    def lab_keys(self) -> list[LabKey]:
        """Return the labs whose private keys lie here; on most PCs none."""
        found = [files.read_lab_key(path) for path in files.list_files(self.folder, "labkey")]
        return sorted(found, key=lambda one: one.name)

    def find_lab_key(self, wanted: str | None = None) -> LabKey:
        """Return the private key of a lab by its name or id; without one the only one. Raises ConfigError."""
        keys = self.lab_keys()
        own = self.read() if not keys else None
        if own is not None and own.memberships:
            raise ConfigError(
                f"this PC does not hold a lab's key: that of the lab {own.memberships[0].lab.name} lies on "
                "the PC where it was made (multirig key new); do that there"
            )
        if not keys:
            raise ConfigError(
                "this PC does not hold a lab's key: do that on the PC that does, or make one here "
                "(multirig key new)"
            )
        return _choose(keys, wanted, lambda one: one.lab)

    def find_membership(self, wanted: str | None = None) -> Membership:
        """Return how this PC belongs to a lab, by the lab's name or id. Raises ConfigError."""
        keys = self.read()
        if keys is None or not keys.memberships:
            raise ConfigError("this PC is of no lab: let it join one (multirig key join)")
        return _choose(list(keys.memberships), wanted, lambda one: one.lab)

    def register(self, lab: Lab) -> Register:
        """Return what a lab's key has signed, as far as this PC knows, and the newest list that it knows."""
        found = files.read_register(self.folder, lab)
        return replace(found, shut_out=_newer(found.shut_out, self._own_list(lab)))

    def _own_list(self, lab: Lab) -> ShutOut | None:
        path = files.lab_path(self.folder, lab.id)
        return files.read_membership(path).shut_out if path.exists() else None

    def is_known(self, lab: Lab) -> bool:
        """Whether this PC belongs to a lab already, with that very key."""
        return files.lab_path(self.folder, lab.id).exists()

    # -- this PC's own ---------------------------------------------------------------------------------------

    def make_own_key(self, name: str, *, is_new: bool = False) -> OwnKey:
        """Return this PC's key, which is made if there is none; it is called as given from now on.

        Parameters
        ----------
        name : str
            Of this PC.
        is_new : bool
            Make another key, whatever there is: then it is of no lab any more.

        Raises
        ------
        ConfigError
            The folder cannot be used, or what lies there is damaged.
        TrustError
            The name cannot be one.
        """
        check_name(name)
        with self._changing():
            own = None if is_new else files.read_own_key(self.folder)
            if is_new:
                _remove(files.list_files(self.folder, "lab"))
            if own is None or own.name != name:
                own = OwnKey(name, secrets.token_bytes(KEY_BYTES) if own is None else own.private)
                files.write_own_key(self.folder, own)
            return own

    def add(self, lab: Lab, certificate: Certificate, shut_out: ShutOut | None = None) -> Membership:
        """Keep that this PC is of a lab. Raises TrustError where the lab has not signed that; ConfigError."""
        lab.check(certificate)
        if shut_out is not None:
            lab.check_list(shut_out)
        with self._changing():
            keys = self.read()
            if keys is None or certificate.key != keys.public:
                raise TrustError("it is for the key of another PC")
            before = keys.of(lab.id)
            newest = _newer(shut_out, None if before is None else before.shut_out)
            membership = Membership(lab, certificate, newest)
            files.write_membership(self.folder, membership)
            return membership

    def keep_list(self, shut_out: ShutOut) -> bool:
        """Keep a list of those that are shut out, and return whether it is a newer one.

        Raises
        ------
        TrustError
            It is of none of this PC's labs, or not signed by it.
        ConfigError
            It cannot be kept.
        """
        with self._changing():
            keys = self.read()
            changed = None if keys is None else keys.with_list(shut_out)
            membership = None if changed is None else changed.of(shut_out.by)
            if membership is not None:
                files.write_membership(self.folder, membership)
            return membership is not None

    def forget(self, lab: Lab) -> list[Path]:
        """Leave a lab, with its private key where that lies here; return the files that were removed."""
        paths = (files.lab_path, files.lab_key_path, files.register_path)
        with self._changing():
            there = [path for each in paths if (path := each(self.folder, lab.id)).exists()]
            _remove(there)
            return there

    # -- the lab's key ---------------------------------------------------------------------------------------

    def make_lab_key(self, name: str, seed: bytes | None = None) -> LabKey:
        """Make a lab's key, or keep one that was written down. Raises ConfigError, TrustError."""
        key = LabKey(check_name(name), secrets.token_bytes(KEY_BYTES) if seed is None else seed)
        with self._changing():
            files.write_lab_key(self.folder, key)
        return key

    def check_may_join(self, lab: Lab, key: bytes, name: str) -> None:
        """Raise TrustError where a PC's key was shut out of the lab, before anybody is asked about it."""
        _check_not_shut_out(lab, self.register(lab), key, name)

    def certify(self, lab_key: LabKey, key: bytes, name: str, role: Role) -> Certificate:
        """Sign that a PC is of the lab, and enter it in the register. Raises TrustError, ConfigError."""
        lab = lab_key.lab
        with self._changing():
            register = self.register(lab)
            _check_not_shut_out(lab, register, key, name)
            certificate = lab_key.certify(key, name, role, now=self._now())
            certificates = [one for one in register.certificates if one.id != certificate.id]
            register = replace(register, certificates=(*certificates, certificate))
            files.write_register(self.folder, lab, register)
        return certificate

    def shut_out(self, lab_key: LabKey, ids: Iterable[str]) -> ShutOut:
        """Sign a list with some more PCs, by the ids of their keys. Raises TrustError, ConfigError."""
        lab = lab_key.lab
        with self._changing():
            register = self.register(lab)
            last = register.shut_out
            keys = {*ids, *(last.keys if last is not None else ())}
            # The time as its number: whoever makes the key anew from paper knows of no numbers.
            number = max(self._now(), 1 if last is None else last.number + 1)
            made = lab_key.shut_out(keys, number=number, now=self._now())
            files.write_register(self.folder, lab, replace(register, shut_out=made))
            path = files.lab_path(self.folder, lab.id)
            if path.exists():
                membership = files.read_membership(path)
                files.write_membership(self.folder, replace(membership, shut_out=made))
        return made

    def find_nearly_over(self, lab: Lab, within: int = SOON) -> list[Certificate]:
        """Return the newest certificates of PCs that are of the lab, and soon no more."""
        register = self.register(lab)
        lost = register.shut_out.keys if register.shut_out is not None else frozenset()
        newest = register.newest()
        return [one for id_, one in newest.items() if id_ not in lost and one.until <= self._now() + within]

    def _now(self) -> int:
        return int(self._clock())

    @contextmanager
    def _changing(self) -> Iterator[None]:
        make_folder(self.folder)
        lock = FileLock(self.folder / "keys.lock", timeout=LOCK_LIMIT)
        try:
            lock.acquire()
        except Timeout:
            raise ConfigError(
                f"{self.folder}: another program has held keys.lock for {LOCK_LIMIT:.0f} s: close "
                "it, and try again"
            ) from None
        except OSError as error:
            raise ConfigError(
                f"{self.folder}: cannot be changed ({why_not(error)}): check its rights"
            ) from None
        try:
            yield
        finally:
            lock.release()


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.unlink()
        except OSError as error:
            raise ConfigError(f"{path} cannot be removed: {why_not(error)}") from None


def _newer(one: ShutOut | None, other: ShutOut | None) -> ShutOut | None:
    if one is None or other is None:
        return one or other
    return one if one.number >= other.number else other


def _choose(found: Sequence[_One], wanted: str | None, lab_of: Callable[[_One], Lab]) -> _One:
    chosen = [one for one in found if wanted is None or wanted in (lab_of(one).name, lab_of(one).id)]
    if len(chosen) == 1:
        return chosen[0]
    known = ", ".join(f"{lab_of(one).name} ({lab_of(one).id})" for one in found)
    if not chosen:
        raise ConfigError(f"this PC knows of no lab {wanted!r}, only of {known}")
    raise ConfigError(f"this PC knows of several labs, {known}: say which by that number")


def _check_not_shut_out(lab: Lab, register: Register, key: bytes, name: str) -> None:
    if register.shut_out is not None and key_id(key) in register.shut_out.keys:
        raise TrustError(
            f"{name} has a key that was shut out of the lab {lab.name}: let it make a new one "
            "(multirig key join --new-key)"
        )
