"""Who may use the console by name: accounts with a role, in a file that only this user can read."""

from __future__ import annotations

import enum
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from multirig import formats
from multirig.config.conductor import is_hash
from multirig.dashboard.door.access import hash_password
from multirig.errors import ConfigError, why_not
from multirig.pc.exposed import find_exposure, say_lock
from multirig.writing import patiently, write_whole

FILE_NAME = "accounts.json"
FORMAT = 1
MAX_ACCOUNTS = 200
"""A lab has no more; each name that can be guessed at is counted by address."""
LOCK_LIMIT = 10.0
"""Seconds that another program may take to change the file."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,39}")

log = logging.getLogger("multirig.dashboard")


class Role(str, enum.Enum):
    """What somebody may do on the page."""

    OPERATE = "operate"
    """All that can be done there."""
    LOOK = "look"
    """See the lab, sessions, pictures and the history, and change nothing."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who sits before a page."""

    name: str | None = None
    """Of the account; None: whoever has the console's one password, or sits at this PC."""
    role: Role = Role.OPERATE

    @property
    def operates(self) -> bool:
        """Whether this person may change something."""
        return self.role is Role.OPERATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What is kept of somebody who logs in by name."""

    name: str
    role: Role
    password: str
    """Its hash."""

    @property
    def person(self) -> Person:
        """Who has this account."""
        return Person(name=self.name, role=self.role)

    @property
    def stamp(self) -> str:
        """What changes with whatever is changed of it: sessions that were begun before are over then."""
        return f"{self.name}\n{self.role}\n{self.password}"


Accounts = Mapping[str, Account]
"""By `key_of` each name."""


def key_of(name: str) -> str:
    """Return by what an account is found: a phone begins a name with a capital letter."""
    return name.strip().lower()


def read_accounts(folder: Path) -> dict[str, Account]:
    """Return the accounts that are kept in a folder, by `key_of` their names, in the order of the file.

    Raises
    ------
    ConfigError
        The file is of a newer multirig, or damaged, or others can change it.
    """
    path = folder / FILE_NAME
    try:
        content = json.loads(patiently(path.read_bytes))
        number, listed = content.get(formats.KEY), content["accounts"]
        if type(number) is not int:
            raise ValueError
        accounts = [] if number != FORMAT else [_read(one) for one in listed]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = why_not(error) if isinstance(error, OSError) else "it is damaged"
        raise ConfigError(
            f"{path}: the console's accounts cannot be read ({why}): restore it, or delete it and make them "
            "anew with multirig password NAME"
        ) from None
    formats.check_format(number, FORMAT, path)
    if (exposure := find_exposure(path)) is not None:
        raise ConfigError(f"{path}: others can change it ({exposure}): {say_lock(path)}")
    return {key_of(one.name): one for one in accounts}


def _read(one: Mapping[str, Any]) -> Account:
    name, password = one["name"], one["password"]
    if not (isinstance(name, str) and _NAME.fullmatch(name) and isinstance(password, str)):
        raise ValueError
    if not is_hash(password):
        raise ValueError
    return Account(name=name, role=Role(one["role"]), password=password)


def check_name(name: str) -> str:
    """Return the name for an account, without what stands around it.

    Raises
    ------
    ConfigError
        It is none.
    """
    if _NAME.fullmatch(name.strip()) is None:
        raise ConfigError(
            f"{name!r:.60} is no name for an account: take up to 40 letters (a to z), digits and . _ - @, "
            "a letter or digit first"
        )
    return name.strip()


def keep_account(
    folder: Path, name: str, *, password: str | None = None, role: Role | None = None
) -> tuple[Account, bool]:
    """Make an account, or change one; return it, and whether it is new.

    Parameters
    ----------
    folder : pathlib.Path
        Where the console keeps what is its own.
    name : str
        Of who logs in by it.
    password : str, optional
        As it is typed; None: the one that the account has.
    role : Role, optional
        None: the one that it has; one that is new may look only.

    Raises
    ------
    ConfigError
        The name or the password is no good, a new account has no password, or the file cannot be changed.
    """
    name = check_name(name)
    kept = None if password is None else hash_password(password)
    with _changing(folder) as accounts:
        known = accounts.get(key_of(name))
        if known is None and kept is None:
            raise ConfigError(f"there is no account {name}: give it a password to make it")
        if known is None and len(accounts) >= MAX_ACCOUNTS:
            raise ConfigError(f"there are {MAX_ACCOUNTS} accounts: remove one first")
        made = Account(
            name=name if known is None else known.name,
            role=role or (Role.LOOK if known is None else known.role),
            password=kept or (known.password if known is not None else ""),
        )
        accounts[key_of(name)] = made
    return made, known is None


def remove_account(folder: Path, name: str) -> Account:
    """Take an account away, and return it. Raises ConfigError where there is none, or it cannot be done."""
    with _changing(folder) as accounts:
        known = accounts.pop(key_of(name), None)
        if known is None:
            names = ", ".join(one.name for one in accounts.values())
            raise ConfigError(
                f"there is no account {name!r:.60}: {f'there are {names}' if names else 'none'}"
            )
    return known


@contextmanager
def _changing(folder: Path) -> Iterator[dict[str, Account]]:
    """Give the accounts to change, and write what they have become; one program at a time."""
    path = folder / FILE_NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=LOCK_LIMIT):
            accounts = read_accounts(folder)
            before = dict(accounts)
            yield accounts
            if accounts != before:
                write_whole(path, _write(accounts), is_private=True)
    except Timeout:
        raise ConfigError(f"{path}: another program holds it: close that, and try again") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({why_not(error)}): check its rights") from error


def _write(accounts: Accounts) -> bytes:
    listed = [
        {"name": one.name, "role": one.role.value, "password": one.password} for one in accounts.values()
    ]
    return (json.dumps({formats.KEY: FORMAT, "accounts": listed}, indent=1) + "\n").encode()


class People:
    """The accounts as they are now: who is changed or removed while the console runs is so at once.

    Parameters
    ----------
    folder : pathlib.Path
        Where they are kept.

    Raises
    ------
    ConfigError
        They cannot be read.
    """

    def __init__(self, folder: Path, read: Callable[[Path], dict[str, Account]] = read_accounts) -> None:
        self._folder = folder
        self._read = read
        self._stamp = self._look()
        self._accounts: Accounts = read(folder)

    @property
    def accounts(self) -> Accounts:
        """The accounts; none where the file cannot be read any more, which is logged."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._accounts = self._read(self._folder)
            except ConfigError as error:
                log.error("nobody is let in by name: %s", error)
                self._accounts = {}
        return self._accounts

    def find(self, name: str) -> Account | None:
        """Return the account of that name."""
        return self.accounts.get(key_of(name))

    def _look(self) -> tuple[int, int, int]:
        try:
            found = (self._folder / FILE_NAME).stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_size, found.st_ino)
