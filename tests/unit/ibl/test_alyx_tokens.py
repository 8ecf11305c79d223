"""Which Alyx token is this PC's, and what is said of the others."""

from __future__ import annotations

from typing import Any

import pytest

from multirig.errors import ConfigError
from multirig.ibl.alyx import install_alyx_token, object_to_token, update_alyx_token, wire_token

URL = "https://alyx.example.org"
TOKEN = {"sara": {"token": "s3cret"}}


class LoggedIn:
    """What is seen of a client that is logged in."""

    base_url = URL
    user = "sara"
    is_logged_in = True
    _token = TOKEN["sara"]


class LoggedOut:
    base_url = URL
    user = None
    is_logged_in = False
    _token = None


@pytest.mark.parametrize(
    ("client", "said"),
    [(LoggedIn(), (URL, TOKEN)), (LoggedOut(), (URL, {})), (None, (None, {}))],
    ids=["logged in", "logged out", "none"],
)
def test_a_client_goes_on_the_wire_as_address_and_token(client: Any, said: Any) -> None:
    assert wire_token(client) == said


def test_a_client_without_an_address_asks_for_any_token() -> None:
    client = LoggedOut()
    client.base_url = ""
    assert wire_token(client) == (None, {})


def test_what_goes_on_the_wire_is_a_copy() -> None:
    wire_token(LoggedIn())[1]["sara"]["token"] = "changed"
    assert wire_token(LoggedIn()) == (URL, TOKEN)


def test_what_is_no_client_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"from an AlyxClient, not from a str: give one\.alyx"):
        wire_token("sara")


# -- whose token it is -------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["sara", None, ""])
def test_a_token_of_this_user_or_where_no_user_is_set_is_fine(user: str | None) -> None:
    assert object_to_token(TOKEN, user) is None


def test_a_token_of_another_user_is_named_with_both_users() -> None:
    said = object_to_token(TOKEN, "olivier", sender="cameras")
    assert said == "cameras sent an Alyx token of user sara; this PC works as olivier: it is not used"


def test_a_token_of_another_database_is_named() -> None:
    theirs = "https://other.example.org"
    said = object_to_token(TOKEN, "sara", url=(theirs, URL), sender="cameras")
    assert (
        said == f"cameras sent a token for another Alyx; this PC works with the one at {URL}: it is not used"
    )


@pytest.mark.parametrize("url", [(URL, URL + "/"), (URL, None), (None, URL), (None, None)])
def test_an_unknown_database_is_no_objection_and_a_slash_at_the_end_no_difference(url: Any) -> None:
    assert object_to_token(TOKEN, "sara", url=url) is None


def test_no_objection_repeats_what_a_stranger_wrote() -> None:
    strange = {"x\nERROR everything burns": {"token": "s3cret"}}
    said = object_to_token(strange, "sara", url=("https://u:pw@h", URL)) or ""
    assert "\n" not in said
    assert "burns" not in said
    said = object_to_token(TOKEN, "sara", url=("https://u:pw@h", URL)) or ""
    assert "pw" not in said


# -- malformed ---------------------------------------------------------------------------------------------

MALFORMED: dict[str, Any] = {
    "no sequence": None,
    "text": "xy",
    "a number": 128,
    "one element": [URL],
    "three elements": [URL, TOKEN, None],
    "no address": [None, TOKEN],
    "an empty address": ["", TOKEN],
    "an address of another kind": ["ftp://alyx.example.org", TOKEN],
    "an address without a host": ["https://", TOKEN],
    "half an address": ["http://[::1", TOKEN],
    "an address with a password": ["https://sara:s3cret@alyx.example.org", TOKEN],
    "an address with a line end": [URL + "\n", TOKEN],
    "a token as text": [URL, "s3cret"],
    "a token as list": [URL, ["sara", "s3cret"]],
    "two users": [URL, {**TOKEN, "olivier": {"token": "s3cret"}}],
    "a user who is a number": [URL, {1: {"token": "s3cret"}}],
    "a user without a name": [URL, {"": {"token": "s3cret"}}],
    "a bare token": [URL, {"sara": "s3cret"}],
    "an empty token": [URL, {"sara": {"token": ""}}],
    "no token": [URL, {"sara": {}}],
    "a token that is a number": [URL, {"sara": {"token": 5}}],
    "a token with a header in it": [URL, {"sara": {"token": "s3cret\r\nX: y"}}],
    "more than a token": [URL, {"sara": {"token": "s3cret", "password": "s3cret"}}],
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_token_logs_nobody_in(data: Any) -> None:
    assert update_alyx_token(data, None, alyx=LoggedOut()) is False


@pytest.mark.parametrize(
    "data",
    [each for each in MALFORMED.values() if isinstance(each, list) and len(each) == 2],
    ids=[name for name, each in MALFORMED.items() if isinstance(each, list) and len(each) == 2],
)
def test_a_malformed_token_is_not_installed_and_the_error_does_not_hold_it(data: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        install_alyx_token(*data)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_request_for_a_token_logs_nobody_in() -> None:
    assert update_alyx_token([None, {}], None, alyx=LoggedOut()) is False


def test_without_anything_to_log_in_nothing_is_done() -> None:
    assert update_alyx_token([URL, TOKEN], None) is False
