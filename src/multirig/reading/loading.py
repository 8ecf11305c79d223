"""Which session is meant: a reference, a folder, or several folders of one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from multirig.errors import ConfigError, LocalProtocolError
from multirig.protocol.exp_ref import ExpRef
from multirig.reading.parts import look
from multirig.reading.places import Place, find_folders, find_roots, read_reference
from multirig.reading.session import LoadedSession
from multirig.record.account import Account, read_account
from multirig.wording import listed


def load(
    session: Place | ExpRef | Iterable[Place], *, place: Place | Iterable[Place] | None = None
) -> LoadedSession:
    """Return a session that was recorded.

    Parameters
    ----------
    session : str, path, ExpRef or iterable of path
        Its reference, ``2026-01-31_1_SP_01``; its folder; or several folders of one session, as that of the
        PC that led and those of its rigs.
    place : path or iterable of path, optional
        Where to look for a reference: a data folder, a server, a cache of ONE, or several; without it,
        wherever a session was begun on this PC.

    Returns
    -------
    LoadedSession

    Raises
    ------
    ConfigError
        There is no such session, or several; or a folder is none of a session.
    """
    folders = _find_folders(session, place)
    accounts: list[tuple[Path, Account]] = []
    problem = ""
    for folder in folders:
        try:
            told = read_account(folder)
        except ConfigError as error:
            problem = problem or str(error)
        else:
            accounts += [] if told is None else [(folder, told)]
    if not accounts:
        found = LoadedSession(folders, None, problem)
        _check_is_session(found)
        return found
    folder, told = accounts[0]
    _check_is_one(folders, accounts)
    return LoadedSession([folder, *(one for one in folders if one != folder)], told)


def _find_folders(
    session: Place | ExpRef | Iterable[Place], place: Place | Iterable[Place] | None
) -> list[Path]:
    if not isinstance(session, str | os.PathLike | ExpRef):
        folders = [Path(one).expanduser() for one in session]
    elif isinstance(session, ExpRef):
        return find_folders(session, find_roots(place))
    else:
        folders = [Path(session).expanduser()]
        if not folders[0].is_dir():
            try:
                exp_ref = ExpRef.parse(os.fspath(session))
            except LocalProtocolError:
                exp_ref = None
            if exp_ref is not None:
                return find_folders(exp_ref, find_roots(place))
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(
                f"{folder}: there is no such folder, and it is no reference (yyyy-mm-dd_n_subject): "
                "multirig history lists the sessions"
            )
    if not folders:
        raise ConfigError("no folder is given: give a session's reference, or its folder")
    return folders


def _check_is_session(found: LoadedSession) -> None:
    folder = found.folder
    if len({read_reference(one) for one in found.folders}) > 1:
        raise ConfigError(f"{folder} and {found.folders[1]} are of two sessions: give those of one")
    if read_reference(folder) is None and not found.collected.parts:
        raise ConfigError(
            f"{folder}: is no session folder: give …/<subject>/<yyyy-mm-dd>/<NNN>, in which a journal or a "
            "rig's manifest lies"
        )


def _check_is_one(folders: Sequence[Path], accounts: Sequence[tuple[Path, Account]]) -> None:
    """Refuse folders of several sessions: two labs may use one reference."""
    first = accounts[0][1]
    ones = {(one.exp_ref, one.began, one.began_at) for _, one in accounts}
    strangers = [name for name in look(folders, None).parts if name not in first.rigs and len(folders) > 1]
    if len(ones) > 1 or strangers:
        among = "".join(f"\n  {one}" for one in folders)
        more = f"; {listed(strangers)} took no part in the first one" if strangers else ""
        raise ConfigError(f"these folders are of several sessions{more}: give the folder of one:{among}")
