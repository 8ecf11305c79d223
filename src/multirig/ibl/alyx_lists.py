"""What Alyx offers to choose from when a session is begun: animals, projects, procedures and users."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from multirig.errors import ConfigError
from multirig.ibl import alyx
from multirig.ibl.alyx_answers import ask
from multirig.ibl.settings import load_iblrig_settings

LIST_LIMIT = 20.0
"""Seconds to wait for a list: somebody waits for it at the screen."""
_WRONG_CREDENTIALS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What may be chosen for a session, as Alyx has it."""

    user: str
    """Who has asked."""
    subjects: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    procedures: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


def find_alyx() -> tuple[str, str] | None:
    """Return address and user of this PC's Alyx, as ``iblrig_settings.yaml`` says; None: there is none.

    Raises
    ------
    ConfigError
        The file holds something wrong.
    """
    settings = load_iblrig_settings()
    url = settings["ALYX_URL"]
    return (str(url), str(settings["ALYX_USER"] or "")) if url else None


def ask_for_choices(user: str, password: str | None = None, *, remembers: bool = False) -> Choices:
    """Log in at this PC's Alyx, and return what it offers to choose from.

    Parameters
    ----------
    user : str
        Who logs in; empty: ``ALYX_USER``.
    password, remembers
        See `log_in`.

    Raises
    ------
    AlyxError
        Alyx is out of reach or refuses; one line says why.
    ConfigError
        ``iblrig_settings.yaml`` names no Alyx, or nobody is named.
    """
    settings = load_iblrig_settings()
    if not settings["ALYX_URL"]:
        raise ConfigError("iblrig_settings.yaml names no ALYX_URL: write the address of your Alyx into it")
    one = log_in(
        str(settings["ALYX_URL"]), user or settings["ALYX_USER"] or "", password or None, remembers=remembers
    )
    return Choices(
        user=one.alyx.user,
        subjects=tuple(list_subjects(one, settings["ALYX_LAB"])),
        projects=tuple(list_projects(one)),
        procedures=tuple(list_procedures(one)),
        users=tuple(list_users(one)),
    )


def log_in(
    url: str,
    user: str,
    password: str | None = None,
    *,
    remembers: bool = False,
    limit: float = alyx.LOGIN_LIMIT,
) -> Any:
    """Log in at a database and return an instance of ONE.

    Parameters
    ----------
    url : str
        Address of the database.
    user : str
        Who logs in.
    password : str, optional
        It is sent to the database once, and kept nowhere. Without it, the token that ONE has saved on this PC
        is used.
    remembers : bool
        Save the token, never the password, among ONE's parameters: tasks on this PC are logged in by it.
    limit : float
        Seconds to wait.

    Returns
    -------
    one.api.OneAlyx
        Logged in.

    Raises
    ------
    AlyxError
        The database is out of reach, or knows nobody with that name and password.
    ConfigError
        The address is none, no name is given, or ONE is not installed.
    """
    if not user.strip():
        raise ConfigError("who logs in at Alyx? Give a user's name")
    if password is None:
        return alyx.remote_one(url, user, limit=limit)
    one = alyx.local_one()
    token = {user: {"token": _fetch_token(url.rstrip("/"), user, password, limit)}}
    if not alyx.update_alyx_token([url, token], None, one=one):
        raise alyx.AlyxError(f"Alyx at {url} has sent what is no token for {user}: look at ALYX_URL")
    if remembers:
        alyx.install_alyx_token(url, token)
    return one


def _fetch_token(url: str, user: str, password: str, limit: float) -> str:
    requests = import_module("requests")
    try:
        answer = requests.post(
            f"{url}/auth-token", data={"username": user, "password": password}, timeout=limit
        )
    except requests.exceptions.RequestException as error:
        # what it says may hold what was sent
        raise alyx.AlyxError(
            f"Alyx at {url} cannot be reached ({type(error).__name__}): look at the network and at ALYX_URL"
        ) from None
    if answer.status_code == _WRONG_CREDENTIALS:
        raise alyx.AlyxError(f"Alyx at {url} knows no user {user} with that password: type both again")
    try:
        return str(answer.json()["token"])
    except (ValueError, KeyError, TypeError):
        raise alyx.AlyxError(
            f"Alyx at {url} does not answer as Alyx does ({answer.status_code}): look at ALYX_URL"
        ) from None


def list_subjects(one: Any, lab: str | None = None, *, limit: float = LIST_LIMIT) -> list[str]:
    """Return the nicknames of a lab's animals that are alive and no stock, of all labs without one.

    Parameters
    ----------
    one : one.api.OneAlyx
        Somebody must be logged in.
    lab : str, optional
        The lab's name in Alyx.
    limit : float
        Seconds to wait.

    Raises
    ------
    AlyxError
        Alyx is out of reach or refuses; one line says why.
    """
    of_lab = {"lab": lab} if lab else {}
    return _names(_list(one, "subjects", limit, alive=True, stock=False, **of_lab), "nickname")


def list_projects(one: Any, *, limit: float = LIST_LIMIT) -> list[str]:
    """Return the projects of who is logged in, and those that are everybody's; see `list_subjects`."""
    user = one.alyx.user
    rows = _list(one, "projects", limit)
    return _names((row for row in rows if not row.get("users") or user in row["users"]), "name")


def list_procedures(one: Any, *, limit: float = LIST_LIMIT) -> list[str]:
    """Return the procedures that Alyx knows; see `list_subjects`."""
    return _names(_list(one, "procedures", limit), "name")


def list_users(one: Any, *, limit: float = LIST_LIMIT) -> list[str]:
    """Return the names of all users; see `list_subjects`."""
    return _names(_list(one, "users", limit), "username")


def _list(one: Any, table: str, limit: float, **filters: Any) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = ask(
        one.alyx,
        lambda: _rows(one.alyx, one.alyx.rest(table, "list", no_cache=True, **filters)),
        undone=f"its {table} are not listed",
        refused=f"to list its {table}",
        meanwhile="names can be typed; ",
        again="ask again",
        limit=limit,
    )
    return rows


def _rows(client: Any, answer: Any) -> list[Mapping[str, Any]]:
    rows = [] if isinstance(answer, str) else list(answer)
    if isinstance(answer, str) or not all(isinstance(row, Mapping) for row in rows):
        raise alyx.AlyxError(f"Alyx at {client.base_url} does not answer as Alyx does: look at ALYX_URL")
    return rows


def _names(rows: Iterable[Mapping[str, Any]], key: str) -> list[str]:
    return sorted({str(row[key]) for row in rows if row.get(key)})
