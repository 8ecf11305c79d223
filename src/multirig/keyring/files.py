"""The files in the folder of keys: what each holds, and in which format.

===========================  ===============================================================================
``pc.json``                  this PC's name and private key
``lab-<id>.json``            a lab that it belongs to: its public key, this PC's certificate, the newest list
``labkey-<id>.json``         on one PC of a lab: the lab's private key
``register-<id>.json``       beside it: all certificates that it has signed, and the newest list
===========================  ===============================================================================

What is wrong with one is said without a word of what stands in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from multirig.errors import ConfigError, TrustError, why_not
from multirig.formats import KEY, check_format
from multirig.keyring.place import check_folder, check_private, key_folder, shut
from multirig.trust.certificate import KEY_BYTES, Certificate, Lab, LabKey, ShutOut, check_name
from multirig.trust.keys import Keys, Membership
from multirig.version import __version__
from multirig.writing import patiently, write_whole

FORMAT = 1
"""Of each of these files."""
MAX_BYTES = 4_000_000
"""Of a file: a register of a thousand PCs has a tenth of it."""
PC_NAME = "pc.json"

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A PC's own key.

    Parameters
    ----------
    name : str
        How the PC calls itself.
    private : bytes
        32 bytes, X25519.
    """

    name: str
    private: bytes

    def __repr__(self) -> str:  # never in a log
        return f"OwnKey({self.name!r})"


@dataclass(frozen=True, slots=True)
class Register:
    """What a lab's key has signed.

    Parameters
    ----------
    certificates : tuple of Certificate
        In the order in which they were signed; of one PC the last one counts.
    shut_out : ShutOut, optional
        The newest list.
    """

    certificates: tuple[Certificate, ...] = ()
    shut_out: ShutOut | None = None

    def newest(self) -> dict[str, Certificate]:
        """Return the newest certificate of each PC by the id of its key."""
        return {one.id: one for one in self.certificates}


def lab_path(folder: Path, lab: str) -> Path:
    """Return the file of a lab that a PC belongs to, by the id of its key."""
    return folder / f"lab-{lab}.json"


def lab_key_path(folder: Path, lab: str) -> Path:
    """Return the file of a lab's private key."""
    return folder / f"labkey-{lab}.json"


def register_path(folder: Path, lab: str) -> Path:
    """Return the file of what that key has signed."""
    return folder / f"register-{lab}.json"


# -- reading -------------------------------------------------------------------------------------------------


def read_keys(folder: Path | None = None) -> Keys | None:
    """Return this PC's keys.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Where they lie; without it ``MULTIRIG_KEYS``, or the user's own folder.

    Returns
    -------
    Keys or None
        None: this PC has no key.

    Raises
    ------
    ConfigError
        A file is damaged, of a newer multirig, or lies where others can read it.
    """
    folder = key_folder() if folder is None else folder
    own = read_own_key(folder)
    if own is None:
        return None
    memberships = (read_membership(path) for path in list_files(folder, "lab"))
    keys = Keys(own.private, tuple(memberships))
    for one in keys.memberships:
        if one.certificate.key != keys.public:
            raise ConfigError(
                f"{lab_path(folder, one.lab.id)}: its certificate is not of this PC's key: let this PC "
                f"join the lab {one.lab.name} again (multirig key join)"
            )
    return keys


def list_files(folder: Path, kind: str) -> list[Path]:
    """Return the files of a kind (lab, labkey, register), by name. Raises ConfigError."""
    try:
        return sorted(one for one in folder.iterdir() if one.match(f"{kind}-*.json") and one.name[0] != ".")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be read ({why_not(error)}): check its rights") from None


def read_own_key(folder: Path) -> OwnKey | None:
    """Return this PC's own key, or None if it has none. Raises ConfigError."""
    path = folder / PC_NAME
    try:
        if not path.exists():
            return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({why_not(error)}): check its rights") from None
    check_folder(folder)
    check_private(path)
    cure = "restore it, or remove it and let this PC join its lab again (multirig key join)"
    return read_file(path, cure, lambda told: OwnKey(check_name(told["name"]), _take_key(told["private"])))


def read_membership(path: Path) -> Membership:
    """Return a lab that this PC belongs to; its certificate and list are checked. Raises ConfigError."""

    def take(told: Mapping[str, Any]) -> Membership:
        lab = _take_lab(told["lab"])
        certificate, shut_out = take_certificate(told["certificate"]), take_list(told.get("shut_out"))
        lab.check(certificate)
        if shut_out is not None:
            lab.check_list(shut_out)
        if path.name != lab_path(path.parent, lab.id).name:
            raise ValueError
        return Membership(lab, certificate, shut_out)

    return read_file(path, "remove it, and let this PC join that lab again (multirig key join)", take)


def read_lab_key(path: Path) -> LabKey:
    """Return a lab's private key. Raises ConfigError."""
    check_folder(path.parent)
    check_private(path)

    def take(told: Mapping[str, Any]) -> LabKey:
        key = LabKey(check_name(told["name"]), _take_key(told["private"]))
        if path.name != lab_key_path(path.parent, key.lab.id).name:
            raise ValueError
        return key

    return read_file(path, "restore it, or type it from paper (multirig key new --from-paper)", take)


def read_register(folder: Path, lab: Lab) -> Register:
    """Return what a lab's key has signed; nothing where there is no register. Raises ConfigError."""
    path = register_path(folder, lab.id)
    if not path.exists():
        return Register()

    def take(told: Mapping[str, Any]) -> Register:
        found = Register(tuple(map(take_certificate, told["certificates"])), take_list(told.get("shut_out")))
        for one in found.certificates:
            lab.check(one)
        if found.shut_out is not None:
            lab.check_list(found.shut_out)
        return found

    return read_file(path, "restore it; without it multirig no more knows who is of the lab", take)


def read_file(path: Path, cure: str, take: Callable[[Mapping[str, Any]], _Found]) -> _Found:
    """Return what is taken from a file of ours; what is wrong with it is said without what stands in it.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    cure : str
        What to do where it is damaged.
    take : callable
        Makes of its JSON what is meant, or raises whatever it likes.

    Raises
    ------
    ConfigError
        It cannot be read, is damaged, or of a newer multirig.
    """
    told = read_json(path)
    try:
        return take(told)
    except (ConfigError, TrustError, LookupError, TypeError, ValueError, AttributeError):
        raise ConfigError(f"{path} is damaged: {cure}") from None


def read_json(path: Path) -> Mapping[str, Any]:
    """Return what stands in a file of JSON with a format that is known. Raises ConfigError."""
    try:
        with path.open("rb") as stream:
            text = patiently(lambda: stream.read(MAX_BYTES + 1))
        told = json.loads(text) if len(text) <= MAX_BYTES else None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({why_not(error)}): check its rights") from None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise ConfigError(f"{path} is damaged: it holds nothing that multirig has written")
    check_format(told.get(KEY), FORMAT, path, told.get("version"))
    return told


def _take_key(text: Any) -> bytes:
    key = bytes.fromhex(text)
    if len(key) != KEY_BYTES:
        raise ValueError
    return key


def _take_lab(told: Mapping[str, Any]) -> Lab:
    return Lab(check_name(told["name"]), _take_key(told["key"]))


def take_lab(told: Any) -> Lab:
    """Return a lab as it is written into JSON. Raises TrustError."""
    return take_safely(_take_lab, told)


def take_certificate(told: Any) -> Certificate:
    """Return a certificate as it is written into JSON; not checked. Raises TrustError."""
    return take_safely(
        lambda one: Certificate.parse(one["text"].encode(), bytes.fromhex(one["signature"])), told
    )


def take_list(told: Any) -> ShutOut | None:
    """Return a list as it is written into JSON, None for none; not checked. Raises TrustError."""
    if told is None:
        return None
    return take_safely(lambda one: ShutOut.parse(one["text"].encode(), bytes.fromhex(one["signature"])), told)


def take_safely(take: Callable[[Any], _Found], told: Any) -> _Found:
    """Return what is taken from JSON that anybody may have written. Raises TrustError."""
    try:
        return take(told)
    except TrustError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError):
        raise TrustError("it holds nothing that multirig has written") from None


# -- writing -------------------------------------------------------------------------------------------------


def write_own_key(folder: Path, key: OwnKey) -> None:
    """Keep this PC's own key. Raises ConfigError."""
    write_json(folder / PC_NAME, {"name": key.name, "private": key.private.hex()})


def write_membership(folder: Path, membership: Membership) -> None:
    """Keep that this PC is of a lab. Raises ConfigError."""
    lab = membership.lab
    content = {
        "lab": give_lab(lab),
        "certificate": give_signed(membership.certificate),
        "shut_out": give_signed(membership.shut_out),
    }
    write_json(lab_path(folder, lab.id), content)


def write_lab_key(folder: Path, key: LabKey) -> None:
    """Keep a lab's private key. Raises ConfigError."""
    write_json(lab_key_path(folder, key.lab.id), {"name": key.name, "private": key.seed.hex()})


def write_register(folder: Path, lab: Lab, register: Register) -> None:
    """Keep what a lab's key has signed. Raises ConfigError."""
    content = {
        "certificates": [give_signed(one) for one in register.certificates],
        "shut_out": give_signed(register.shut_out),
    }
    write_json(register_path(folder, lab.id), content)


def give_lab(lab: Lab) -> dict[str, Any]:
    """Return a lab as it is written into JSON."""
    return {"name": lab.name, "key": lab.key.hex()}


def give_signed(signed: Certificate | ShutOut | None) -> dict[str, Any] | None:
    """Return a certificate or a list as it is written into JSON."""
    return None if signed is None else {"text": signed.text.decode(), "signature": signed.signature.hex()}


def write_json(path: Path, content: Mapping[str, Any], *, is_private: bool = True) -> None:
    """Write a file of ours, whole. Raises ConfigError."""
    whole = {KEY: FORMAT, "version": __version__, **content}
    try:
        data = (json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode()
        write_whole(path, data, is_private=is_private)
        if is_private:
            shut(path)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({why_not(error)}): check the rights and the space of its folder"
        ) from None
