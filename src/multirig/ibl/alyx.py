"""Alyx through ONE: tokens that rigs share, and instances of ONE that ask nobody anything.

ONE is loaded when a function needs it. All that is used of ONE beyond its public interface stands in
`_log_in`, `wire_token` and `local_one`.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as TooLate
from importlib import import_module
from pathlib import Path
from typing import Any

from multirig.errors import ConfigError, MultirigError
from multirig.ibl.patience import within
from multirig.ibl.settings import get_text

LOGIN_LIMIT = 20.0
"""Seconds for a log-in: an animal may be waiting."""

_PRINTABLE = re.compile(r"[!-~]+")
"""What may stand in a header of HTTP without being taken for something else."""
_ADDRESS = re.compile(r"https?://(\[[\da-fA-F:.]+\]|[\w.\-]+)(:\d{1,5})?(/[\w.~/\-]*)?", re.ASCII)
"""Scheme, host, port and path; no place for a user's password, which would be saved with it."""
_NAME = re.compile(r"[^\W_][\w.@+\-]*")
"""What Django, below Alyx, takes for the name of a user."""
_HEADER = re.compile(r"""(['"]Authorization['"]: *['"])[^'"]*""")

log = logging.getLogger("multirig.ibl")
_stand_in = threading.Lock()


class AlyxError(MultirigError, RuntimeError):
    """Alyx did not do what was asked; what was recorded is not touched."""


# -- tokens --------------------------------------------------------------------------------------------


def wire_token(alyx: Any) -> tuple[str | None, dict[str, Any]]:
    """Return what an ``ALYX`` message says of a client.

    Parameters
    ----------
    alyx : one.webclient.AlyxClient or None
        The client; it is asked nothing and need not be connected.

    Returns
    -------
    str or None
        Address of the database.
    dict
        ``{user: {"token": ...}}``; empty, which is a request for a token, if nobody is logged in.

    Raises
    ------
    ConfigError
        That is no client.
    """
    if alyx is None:
        return None, {}
    if not (hasattr(alyx, "is_logged_in") and hasattr(alyx, "base_url")):
        raise ConfigError(
            f"a token is taken from an AlyxClient, not from a {type(alyx).__name__}: give one.alyx"
        )
    url = alyx.base_url or None
    if not alyx.is_logged_in:
        return url, {}
    return url, {alyx.user: dict(alyx._token)}


def object_to_token(
    token: Mapping[str, Any],
    user: str | None,
    *,
    url: tuple[str | None, str | None] = (None, None),
    sender: str = "a rig",
) -> str | None:
    """Say why a token that a rig sent is not for this PC.

    Parameters
    ----------
    token : mapping
        ``{user: {"token": ...}}``.
    user : str or None
        Who this PC works as; None or empty takes anybody's.
    url : tuple of str or None
        The database of the token, and the one that this PC works with; where either is not known, they agree.
    sender : str
        Who sent it, in the operator's words.

    Returns
    -------
    str or None
        One line for the operator, without the token; None if it is fine.
    """
    sent = next(iter(token), None)
    if user and sent is not None and sent != user:
        # of what another PC sent, only a name is repeated
        name = sent if isinstance(sent, str) and _NAME.fullmatch(sent) else "without a proper name"
        return f"{sender} sent an Alyx token of user {name:.80}; this PC works as {user}: it is not used"
    theirs, ours = url
    if theirs and ours and _plain(theirs) != _plain(ours):
        return f"{sender} sent a token for another Alyx; this PC works with the one at {ours}: it is not used"
    return None


class SentToken:
    """The Alyx token that a rig has sent, until it is used."""

    def __init__(self) -> None:
        self._token: tuple[str, dict[str, Any]] | None = None

    def put(self, data: Sequence[Any], settings: Mapping[str, Any], sender: str) -> str | None:
        """Keep the token that a message holds, if any; return why it is not for this PC, for the operator."""
        url, token = [*data, None, None][:2]
        if not (isinstance(url, str) and isinstance(token, dict) and token):
            return None
        urls = (url, get_text(settings, "ALYX_URL"))
        objection = object_to_token(token, get_text(settings, "ALYX_USER"), url=urls, sender=sender)
        if objection is None:
            self._token = (url, token)
        return objection

    def use(self, one: Any) -> None:
        """Log an instance of ONE in with it, once."""
        if self._token is not None:
            token, self._token = self._token, None
            update_alyx_token(token, None, one=one)


def install_alyx_token(base_url: str, token: Mapping[str, Mapping[str, str]]) -> bool:
    """Save a token that another PC sent among ONE's parameters of that database.

    Parameters
    ----------
    base_url : str
        Address of the database.
    token : mapping
        ``{user: {"token": ...}}``.

    Returns
    -------
    bool
        Whether no token of this user was there yet.

    Raises
    ------
    ConfigError
        It is not one token of one user, ONE is not installed, or its parameters cannot be read or written.
        Nothing has been changed.
    """
    url, user, text = _read_token((base_url, token))
    params = _load_one().params
    try:
        there = params.get(url, silent=True).as_dict()
        known = there.get("TOKEN") or {}
        there["TOKEN"] = {**known, user: {"token": text}}
        # a token is looked up by the login, which for a new database is blank or a shared account's
        if there.get("ALYX_LOGIN") in (None, "", params.default().ALYX_LOGIN):
            there["ALYX_LOGIN"] = user
        params.save(there, url)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"ONE's parameters in {params.get_params_dir()} cannot be read or written ({error}): "
            "correct or remove the file, then ask for the token again"
        ) from error
    return user not in known


def update_alyx_token(data: Sequence[Any], _: Any, alyx: Any = None, one: Any = None) -> bool:
    """Log a client or an instance of ONE in with a token that came over the wire; made to be a callback.

    Nobody is asked anything, nothing is sent and nothing is written: that the database refuses a token shows
    when it is used.

    Parameters
    ----------
    data : sequence
        Address of the database and ``{user: {"token": ...}}``.
    _ : tuple
        Address of the sender.
    alyx : one.webclient.AlyxClient, optional
        The client to log in.
    one : one.api.OneAlyx, optional
        The instance to log in; with ``alyx`` it uses that client from then on. A plain ``One`` has no client.

    Returns
    -------
    bool
        Whether somebody is logged in now. False changes nothing: no or a malformed token, or nothing that can
        be logged in.

    Raises
    ------
    ConfigError
        ONE is not installed.
    """
    if alyx is None and one is None:
        return False
    if isinstance(data, Sequence) and len(data) == 2 and not data[1]:
        return False  # a request for a token
    try:
        read = _read_token(data)
    except ConfigError as error:
        log.warning("an Alyx token is not used: %s", error)
        return False
    loaded = _load_one()
    if one is not None and not isinstance(one, loaded.OneAlyx):
        log.warning("an Alyx token is not used: %s has no Alyx, a OneAlyx is needed", type(one).__name__)
        return False
    client = alyx if one is None or alyx is not None else one.alyx
    if not isinstance(client, loaded.AlyxClient):
        return False
    _log_in(loaded.params, client, one, *read)
    return bool(client.is_logged_in)


def _log_in(params: Any, client: Any, one: Any, url: str, user: str, text: str) -> None:
    """Log in as ONE does with a token among its parameters, which neither sends nor writes."""
    is_other = _plain(client.base_url or "") != url
    parameters = client._par.as_dict()
    if is_other or parameters.get("ALYX_LOGIN") != user:
        # ONE would offer that password, which is another user's or another database's
        parameters.pop("ALYX_PWD", None)
    # what logs in to one database must not be sent to another
    known = {} if is_other else parameters.get("TOKEN") or {}
    fresh = {"ALYX_URL": url, "ALYX_LOGIN": user, "TOKEN": {**known, user: {"token": text}}}
    client._par = _parameters(params, {**parameters, **fresh})
    client.silent = True
    if is_other:
        client.base_url = url
        client.cache_mode = None  # ONE keeps answers by their path alone: they are the other database's
        client._rest_schemes = None
    client.authenticate(user)
    if one is not None:
        if one.alyx is not client:
            one._web_client = client
        one.mode = "remote"


def _read_token(data: Any) -> tuple[str, str, str]:
    """Return address, user and token, or raise ConfigError; what it says never holds the token."""
    if isinstance(data, str) or not isinstance(data, Sequence) or len(data) != 2:
        raise ConfigError("an address and a token are needed, and nothing else")
    url, token = data
    if not isinstance(url, str) or not _ADDRESS.fullmatch(url):
        raise ConfigError("the address of the Alyx database must be https:// and a host, without a password")
    if not isinstance(token, Mapping) or len(token) != 1:
        raise ConfigError("one token of one user is needed, as {user: {'token': ...}}")
    [(user, inside)] = token.items()
    if not isinstance(user, str) or not _NAME.fullmatch(user):
        raise ConfigError(
            "the user of the Alyx token has no name of letters, digits, '_', '-', '.', '@' and '+'"
        )
    if not isinstance(inside, Mapping) or set(inside) != {"token"}:
        raise ConfigError(f"the Alyx token of {user} must be given as {{'token': ...}}")
    text = inside["token"]
    if not isinstance(text, str) or not _PRINTABLE.fullmatch(text):
        raise ConfigError(f"the Alyx token of {user} is empty or holds spaces")
    return _plain(url), user, text


def _plain(url: str) -> str:
    return url.rstrip("/")


# -- ONE -----------------------------------------------------------------------------------------------


class _Loaded:
    """What is used of ONE's modules."""

    def __init__(self) -> None:
        api = import_module("one.api")
        webclient = import_module("one.webclient")
        self.params: Any = import_module("one.params")
        self.OneAlyx: Any = api.OneAlyx
        self.AlyxClient: Any = webclient.AlyxClient
        # at DEBUG, ONE logs the headers of every request
        logging.getLogger(webclient.__name__).addFilter(_hide_token)


def _load_one() -> _Loaded:
    try:
        return _Loaded()
    except ImportError as error:
        raise ConfigError(f'ONE cannot be loaded ({error}): pip install "multirig[ibl]"') from error


def _hide_token(record: logging.LogRecord) -> bool:
    """Take the token out of what ONE logs."""
    text = record.getMessage()
    if "Authorization" in text:
        record.msg, record.args = _HEADER.sub(r"\1(not logged)", text), ()
    return True


def _parameters(params: Any, values: Mapping[str, Any]) -> Any:
    """Return values as ONE keeps its parameters."""
    made = params.default()
    for key, value in values.items():
        made = made.set(key, value)
    return made


def local_one(cache_dir: str | Path | None = None) -> Any:
    """Return an instance of ONE that needs no set-up and no network, and asks nobody anything.

    It is a ``OneAlyx`` in local mode with nobody logged in, so that `update_alyx_token` can log it in later.
    The parameters in the user's home folder are neither read nor written.

    Parameters
    ----------
    cache_dir : str or pathlib.Path, optional
        Folder of data and of ONE's tables; it need not exist. Without it a temporary one, which is removed
        together with the instance.

    Returns
    -------
    one.api.OneAlyx
        ``one.mode`` is ``local``.

    Raises
    ------
    ConfigError
        ONE is not installed.
    """
    loaded = _load_one()
    folder = Path(tempfile.mkdtemp(prefix="multirig-one-") if cache_dir is None else cache_dir)
    has_tables = any(folder.glob("*.pqt"))
    nobody = {"ALYX_URL": "", "ALYX_LOGIN": "", "CACHE_DIR": str(folder)}
    with _in_place_of_files(loaded.params, _parameters(loaded.params, nobody)):
        # in local mode ONE looks for tables at once, and warns that there are none
        mode = "local" if has_tables else "remote"
        one = loaded.OneAlyx(mode=mode, cache_dir=folder, silent=True, cache_rest=None)
    one.mode = "local"
    if cache_dir is None:
        weakref.finalize(one, shutil.rmtree, folder, ignore_errors=True)
    return one


def remote_one(url: str, user: str | None, *, limit: float = LOGIN_LIMIT) -> Any:
    """Return an instance of ONE that is logged in at a database, as the user has set it up.

    Parameters
    ----------
    url : str
        Address of the database.
    user : str or None
        Who works with it; None: whom ONE knows there.
    limit : float
        Seconds to wait: ONE itself waits without end.

    Raises
    ------
    AlyxError
        It is out of reach, or knows nobody of that name; one line says why.
    ConfigError
        ONE is not installed.
    """
    _load_one()
    make = import_module("one.api").ONE
    try:
        return within(limit, lambda: make(base_url=url, username=user, mode="remote", silent=True))
    except Exception as error:
        why = f"no answer within {limit:g} s" if isinstance(error, TooLate) else error
        raise AlyxError(
            f"cannot log in to Alyx at {_plain(url)} as {user} ({' '.join(str(why).split())}): "
            "look at the network, or log in once: ONE.setup"
        ) from error


@contextlib.contextmanager
def _in_place_of_files(params: Any, given: Any) -> Iterator[None]:
    """Give these parameters to an AlyxClient that this thread makes.

    The client has no argument for them: it reads the files in the home folder, and writes them, folders for
    downloads included, where there are none.
    """
    with _stand_in:
        from_files, here = params.get, threading.get_ident()

        def get(*args: Any, **kwargs: Any) -> Any:
            return given if threading.get_ident() == here else from_files(*args, **kwargs)

        params.get = get
        try:
            yield
        finally:
            params.get = from_files
