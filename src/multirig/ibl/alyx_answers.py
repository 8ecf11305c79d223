"""What Alyx answers, or fails to, as one line for the operator; a token is never in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import TimeoutError as TooLate
from typing import Any

from multirig.ibl.alyx import AlyxError, wire_token
from multirig.ibl.patience import within

ANSWER_LIMIT = 60.0
"""Seconds to wait for Alyx: ONE itself waits without end for a server that has stopped answering."""
NOT_FOUND = 404
SERVER_ERROR = 500
"""The first status by which a server tells of a fault of its own."""

_MAX_REASON = 200
"""Characters of a server's answer in a line for the operator; a server in trouble sends whole pages."""


def ask(
    alyx: Any,
    work: Callable[[], Any],
    *,
    undone: str,
    refused: str,
    again: str,
    meanwhile: str = "",
    limit: float = ANSWER_LIMIT,
) -> Any:
    """Let a logged-in client do something with Alyx, and return the answer.

    Parameters
    ----------
    alyx : one.webclient.AlyxClient
        The client.
    work : callable
        What it does; it goes on in its own thread when the time is over.
    undone : str
        What has not happened when it fails, as ``session 2 of SP_01 is not registered``.
    refused : str
        What Alyx refuses when it does, as ``session 2 of SP_01``.
    again : str
        What to do when the cause is gone, as ``register it``.
    meanwhile : str
        What is true as long as Alyx is away, as ``the data are safe, ``.
    limit : float
        Seconds to wait.

    Raises
    ------
    AlyxError
        Alyx is out of reach or refuses; one line says why.
    """
    # before it is asked: a token that is refused is forgotten
    token, later = token_of(alyx), f"{meanwhile}{again} later"
    try:
        return within(limit, work)
    except AlyxError:
        raise
    except TooLate as error:
        raise AlyxError(
            f"Alyx at {alyx.base_url} did not answer within {limit:g} s: {undone}; {later}"
        ) from error
    except Exception as error:
        where = f"Alyx at {alyx.base_url}"
        if not alyx.is_logged_in:
            text = f"{where} does not accept the token any more: {undone}; log in again, then {again}"
        elif isinstance(error, json.JSONDecodeError):
            text = f"{where} does not answer as Alyx does: look at ALYX_URL; {undone}; {later}"
        elif (status(error) or 0) >= SERVER_ERROR:
            why = f"{status(error)}, {reason(error, token)}"
            text = f"{where} has a fault of its own ({why}): {undone}; {later}"
        elif status(error) is None:
            text = f"{where} cannot be asked ({reason(error, token)}): {undone}; {later}"
        else:
            why = f"{status(error)}, {reason(error, token)}"
            text = f"{where} refuses {refused} ({why}): correct that, then {again}"
        raise AlyxError(text) from error


def token_of(alyx: Any) -> str:
    """Return the token of a client, which nobody may see; empty where nobody is logged in."""
    return "".join(entry["token"] for entry in wire_token(alyx)[1].values())


def status(error: BaseException) -> int | None:
    """Return the status with which Alyx has refused something; None: it did not."""
    code = getattr(getattr(error, "response", None), "status_code", None)
    return code if isinstance(code, int) else None


def reason(error: BaseException, token: str = "") -> str:
    """Return why something failed, in a few words, without the token."""
    response = getattr(error, "response", None)
    text = str(error) if response is None else _say(response)
    return " ".join((text.replace(token, "(token)") if token else text).split())[:_MAX_REASON]


def _say(response: Any) -> str:
    """Return what an answer says, in words."""
    try:
        body = response.json()
    except ValueError:
        return str(response.reason)
    if not isinstance(body, dict):
        return str(body)
    said = {key: value for key, value in body.items() if key != "status_code"}
    return "; ".join(
        f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in said.items()
    )
