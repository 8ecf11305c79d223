"""Who may see the console, and under which names it answers."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.config.conductor import ConsoleRules
from multirig.dashboard.door import access
from multirig.dashboard.door.access import (
    ALL_TRIES,
    FORGIVEN_AFTER,
    FREE_TRIES,
    LIFE,
    LONGEST_WAIT,
    MAX_ADDRESSES,
    ONCE_LIFE,
    WINDOW,
    Browsers,
    Limiter,
    Names,
    Pace,
    Sessions,
    Token,
    hash_password,
    is_password,
    is_same_origin,
    make_token,
    security_headers,
    to_own_path,
)
from multirig.dashboard.door.ended import keep_ended, read_ended
from multirig.errors import ConfigError

KEPT = hash_password("correct horse é")


# -- passwords -----------------------------------------------------------------------------------------------


def test_a_password_is_known_by_its_hash_and_no_other_is() -> None:
    assert is_password("correct horse é", KEPT)
    assert not is_password("correct horse e", KEPT)
    assert not is_password("", KEPT)
    assert not is_password("x" * 2000, KEPT)


def test_the_same_letters_from_another_keyboard_are_the_same_password() -> None:
    assert is_password(unicodedata.normalize("NFD", "correct horse é"), KEPT)


def test_the_same_password_has_another_hash_each_time_and_is_not_in_it() -> None:
    again = hash_password("correct horse é")
    assert again != KEPT
    assert "horse" not in KEPT
    assert is_password("correct horse é", again)


def test_a_hash_is_what_the_config_takes() -> None:
    assert ConsoleRules(password=KEPT).password == KEPT


@pytest.mark.parametrize("password", ["", "seven77", "x" * 1025])
def test_a_password_that_is_too_short_or_too_long_is_refused(password: str) -> None:
    with pytest.raises(ConfigError, match=f"has {len(password)} characters: take at least 8"):
        hash_password(password)


# -- tokens --------------------------------------------------------------------------------------------------


def test_a_token_is_this_installations_own_and_opens_as_often_as_it_is_said() -> None:
    token = make_token(b"s" * 32)
    lock = Token(token)
    assert token == make_token(b"s" * 32) != make_token(b"t" * 32)
    assert lock.opens(token, 0)
    assert lock.opens(token, 1e9)
    assert not lock.opens("", 0)
    assert not lock.opens(token[:-1], 0)
    assert not lock.opens("é", 0)


def test_what_a_browser_is_started_with_opens_one_time_and_not_for_long() -> None:
    lock = Token("secret")
    once, other = lock.make_once(0), lock.make_once(0)
    assert lock.opens(once, 1)
    assert not lock.opens(once, 1)
    assert not lock.opens(other, ONCE_LIFE)


# -- wrong passwords -----------------------------------------------------------------------------------------


def use_up(limiter: Limiter, address: str, now: float) -> None:
    for _ in range(FREE_TRIES):
        assert limiter.take(address, now) == 0


def test_after_some_wrong_passwords_an_address_waits_longer_each_time() -> None:
    limiter, now, waits = Limiter(), 1000.0, []
    use_up(limiter, "192.0.2.1", now)
    for _ in range(7):
        waits.append(limiter.take("192.0.2.1", now))
        now += waits[-1]
        assert limiter.take("192.0.2.1", now) == 0
    assert waits == [60, 120, 240, 480, LONGEST_WAIT, LONGEST_WAIT, LONGEST_WAIT]


def test_another_address_does_not_wait_with_it() -> None:
    limiter = Limiter()
    use_up(limiter, "192.0.2.1", 0)
    assert limiter.take("192.0.2.1", 1) == 59
    assert limiter.take("192.0.2.2", 1) == 0


def test_the_right_password_forgives_the_wrong_ones() -> None:
    limiter = Limiter()
    for _ in range(ALL_TRIES * 2):
        assert limiter.take("192.0.2.1", 0) == 0
        limiter.succeed("192.0.2.1")
    assert len(limiter) == 0


def test_wrong_passwords_are_forgotten_in_the_end() -> None:
    limiter = Limiter()
    use_up(limiter, "192.0.2.1", 0)
    use_up(limiter, "192.0.2.1", FORGIVEN_AFTER)


def test_many_addresses_that_guess_keep_nobody_else_out() -> None:
    limiter = Limiter()
    for number in range(ALL_TRIES * 10):
        assert limiter.take(f"10.0.{number // 250}.{number % 250}", 0) == 0
    assert limiter.is_rushed(1)
    assert limiter.take("10.0.9.1", 1) == 0
    assert not limiter.is_rushed(WINDOW + 1)


def test_a_browser_that_knew_the_password_is_not_kept_out_by_others_at_its_address() -> None:
    limiter = Limiter()
    browsers = Browsers(b"s" * 32)
    known = browsers.find(browsers.name())
    assert known is not None
    use_up(limiter, "192.0.2.1", 0)
    assert limiter.take("192.0.2.1", 1) == 59
    for _ in range(FREE_TRIES):
        assert limiter.take("192.0.2.1", 1, known) == 0
    assert limiter.take("192.0.2.1", 1, known) == 60
    limiter.succeed("192.0.2.1", known)
    assert limiter.take("192.0.2.1", 1, known) == 0
    assert limiter.take("192.0.2.1", 1) == 59


@pytest.mark.attack
def test_the_right_password_of_one_account_forgives_no_guess_at_another() -> None:
    limiter = Limiter()
    for _ in range(FREE_TRIES - 1):
        assert limiter.take("192.0.2.1", 0, account="ada") == 0
        assert limiter.take("192.0.2.1", 0, account="lou") == 0
        limiter.succeed("192.0.2.1", account="lou")
    assert limiter.take("192.0.2.1", 0, account="ada") == 0
    for account in ("ada", "lou", "", None):
        assert limiter.take("192.0.2.1", 1, account=account) == 59
    assert limiter.take("192.0.2.1", 60, account="lou") == 0
    limiter.succeed("192.0.2.1", account="lou")
    assert limiter.take("192.0.2.1", 60, account="lou") == 0  # who is known does not wait for others' guesses
    limiter.succeed("192.0.2.1", account="lou")
    assert limiter.take("192.0.2.1", 61, account="ada") == 0
    assert limiter.take("192.0.2.1", 62, account="ada") == 119


def test_guesses_at_many_accounts_count_together_and_are_forgiven_one_by_one() -> None:
    limiter = Limiter()
    for account in ("ada", "lou", None, ""):
        assert limiter.take("192.0.2.1", 0, account=account) == 0
    assert limiter.take("192.0.2.1", 0, account="eve") == 0
    assert limiter.take("192.0.2.1", 1, account="zoe") == 59
    assert len(limiter) == 1
    limiter.succeed("192.0.2.1", account="eve")
    assert len(limiter) == 1


@pytest.mark.attack
def test_a_browser_that_knew_one_account_is_a_stranger_to_the_others() -> None:
    browsers = Browsers(b"s" * 32)
    cookie = browsers.name("lou")
    assert browsers.find(cookie, "lou") is not None
    assert browsers.find(cookie, "ada") is None
    assert browsers.find(cookie) is None
    assert browsers.find(browsers.name(), "lou") is None
    name, _, signature = cookie.partition(".")
    for made in (f"{name}\nlou.{signature}", f"lou\n{name}.{signature}", f"lou{name}.{signature}"):
        for account in ("", "ada", "lou"):
            assert browsers.find(made, account) is None


@given(st.text(max_size=120))
def test_nobody_makes_up_a_browser_that_knew_the_password(cookie: str) -> None:
    assert Browsers(b"s" * 32).find(cookie) is None
    assert Browsers(b"s" * 32).find(Browsers(b"t" * 32).name()) is None
    assert Browsers(b"s" * 32).find(Sessions(b"s" * 32, KEPT).begin(0)) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8::1", "2001:db8::2:3"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("fe80::1%eth0", "fe80::2"),
        ("", "?"),
    ],
)
def test_what_one_computer_can_call_itself_counts_as_one_address(one: str, other: str) -> None:
    limiter = Limiter()
    use_up(limiter, one, 0)
    assert limiter.take(other, 0) > 0


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 100), st.booleans()), max_size=200))
def test_nobody_gets_more_tries_than_the_limits_and_what_is_said_of_the_wait_is_true(
    tries: list[tuple[int, float, bool]],
) -> None:
    limiter, now = Limiter(), 0.0
    begun: list[tuple[int, float]] = []
    for who, pause, patient in tries:
        now += pause
        wait = limiter.take(f"10.0.0.{who}", now)
        if wait and patient:
            assert limiter.take(f"10.0.0.{who}", now + wait * 0.99) > 0
            now += wait
            assert limiter.take(f"10.0.0.{who}", now + 1e-6) == 0
            wait = 0
        if not wait:
            begun.append((who, now))
    for _, at in begun:
        recent = [who for who, when in begun if at <= when < at + WINDOW - 1e-3]
        assert all(recent.count(who) <= FREE_TRIES for who in range(4))


def test_a_pace_lets_through_so_much_at_once_and_so_much_a_second() -> None:
    pace = Pace(5, 2)
    assert [pace.keeps("lou", 10) for _ in range(7)] == [True] * 5 + [False] * 2
    assert pace.keeps("ada", 10)
    assert [pace.keeps("lou", 10.5) for _ in range(2)] == [True, False]
    assert [pace.keeps("lou", 1000) for _ in range(6)] == [True] * 5 + [False]


def test_the_memory_of_wrong_passwords_is_bounded() -> None:
    limiter = Limiter()
    for number in range(MAX_ADDRESSES + 50):
        limiter.take(f"10.{number // 60000}.{number // 250}.{number % 250}", number * WINDOW)
    assert len(limiter) == MAX_ADDRESSES


# -- sessions ------------------------------------------------------------------------------------------------


def test_a_session_lasts_for_its_time() -> None:
    sessions = Sessions(b"s" * 32, KEPT)
    cookie = sessions.begin(1000)
    assert sessions.is_open(cookie, 1000)
    assert sessions.is_open(cookie, 1000 + LIFE - 1)
    assert not sessions.is_open(cookie, 1000 + LIFE)


def test_a_session_outlives_the_console_but_not_the_password() -> None:
    cookie = Sessions(b"s" * 32, KEPT).begin(1000)
    assert Sessions(b"s" * 32, KEPT).is_open(cookie, 1001)
    assert not Sessions(b"s" * 32, hash_password("another password")).is_open(cookie, 1001)
    assert not Sessions(b"t" * 32, KEPT).is_open(cookie, 1001)


def test_a_session_that_was_ended_is_over_and_the_others_go_on() -> None:
    sessions = Sessions(b"s" * 32, KEPT)
    one, other = sessions.begin(1000), sessions.begin(1000)
    sessions.end(one, 1001)
    assert not sessions.is_open(one, 1001)
    assert sessions.is_open(other, 1001)
    sessions.end("nonsense", 1001)


def test_what_was_ended_stays_so_when_the_console_is_started_again(tmp_path: Path) -> None:
    sessions = Sessions(b"s" * 32, KEPT)
    cookie, other = sessions.begin(1000), sessions.begin(1000)
    sessions.end(cookie, 1001)
    keep_ended(tmp_path, sessions.ended, 1001)
    again = Sessions(b"s" * 32, KEPT, read_ended(tmp_path))
    assert not again.is_open(cookie, 1002)
    assert again.is_open(other, 1002)
    keep_ended(tmp_path, {"another": 5000}, 1002)  # by another console of this user
    assert read_ended(tmp_path).keys() == {"another", *sessions.ended}
    keep_ended(tmp_path, {}, 1000 + LIFE)
    assert read_ended(tmp_path) == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ended": 3}', '{"format": 2, "ended": {}}'])
def test_what_was_ended_is_never_forgotten_in_silence(tmp_path: Path, content: str) -> None:
    (tmp_path / "ended.json").write_text(content)
    with pytest.raises(ConfigError, match=r"ended\.json"):
        read_ended(tmp_path)


def test_what_was_ended_is_not_kept_for_ever() -> None:
    sessions = Sessions(b"s" * 32, KEPT)
    for number in range(100):
        sessions.end(sessions.begin(number * LIFE), number * LIFE)
    assert len(sessions._ended) == 1


@given(st.text(max_size=120))
def test_nobody_makes_up_a_session(cookie: str) -> None:
    assert not Sessions(b"s" * 32, KEPT).is_open(cookie, 0)


@given(st.data())
def test_a_cookie_that_was_changed_anywhere_is_none(data: st.DataObject) -> None:
    sessions = Sessions(b"s" * 32, KEPT)
    cookie = sessions.begin(1000)
    place = data.draw(st.integers(0, len(cookie) - 1))
    letter = data.draw(st.sampled_from("aZ05.-_é"))
    changed = cookie[:place] + letter + cookie[place + 1 :]
    # the last letter of a signature carries two bits only
    assert changed == cookie or place == len(cookie) - 1 or not sessions.is_open(changed, 1000)


# -- names and origins ---------------------------------------------------------------------------------------

HERE = Names()
LAB = Names(names=access.LOOPBACK_NAMES | {"behaviour-pc", "behaviour-pc.local"}, any_ip=True)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8090", "localhost:8090", "LOCALHOST", "[::1]:8090", "localhost.:8090", "127.0.0.1"]
)
def test_a_console_on_loopback_answers_to_the_names_of_loopback(host: str) -> None:
    assert HERE.hold(host)
    assert LAB.hold(host)


@pytest.mark.parametrize(
    "host", ["192.168.1.20:8090", "[fe80::1]:8090", "behaviour-pc:8090", "Behaviour-PC.local"]
)
def test_a_console_for_the_lab_answers_to_the_names_and_addresses_of_its_pc(host: str) -> None:
    assert LAB.hold(host)
    assert not HERE.hold(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8090",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "behaviour-pc.evil.example",
        "localhost:8090, evil.example",
        "localhost:8090@evil.example",
        "user@localhost",
        "localhost:port",
        "localhost:8090;x",
        "[::1",
        "::1",
        "127.0.0.1\n",
    ],
)
def test_no_console_answers_to_another_name(host: str) -> None:
    assert not HERE.hold(host)
    assert not LAB.hold(host)


@pytest.mark.parametrize(
    ("origin", "is_ours"),
    [
        ("http://127.0.0.1:8090", True),
        ("https://127.0.0.1:8090", True),
        ("HTTP://127.0.0.1:8090", False),
        ("http://127.0.0.1:8091", False),
        ("http://127.0.0.1", False),
        ("http://localhost:8090", False),
        ("http://127.0.0.1:8090.evil.example", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
        ("file://", False),
        ("chrome-extension://127.0.0.1:8090", False),
    ],
)
def test_only_a_page_of_the_console_itself_is_of_its_origin(origin: str, is_ours: bool) -> None:
    assert is_same_origin(origin, "127.0.0.1:8090") is is_ours


@pytest.mark.parametrize("path", ["/", "/history", "/session/2024-05-01_1_SP_01?rig=cameras&kind=a%20b"])
def test_a_path_of_the_console_is_gone_to(path: str) -> None:
    assert to_own_path(path) == path


@pytest.mark.parametrize(
    "target",
    [
        "",
        "history",
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/\tevil",
        "/a\r\nx: y",
        "/a\\b",
    ],
)
def test_nobody_is_sent_anywhere_else(target: str) -> None:
    assert to_own_path(target) == "/"


def test_no_other_page_may_frame_the_console_or_load_anything_into_it() -> None:
    headers = security_headers("127.0.0.1:8090")
    policy = {words[0]: words[1:] for words in map(str.split, headers["content-security-policy"].split(";"))}
    assert policy["default-src"] == ["'self'"]
    assert policy["frame-ancestors"] == ["'none'"]
    assert policy["connect-src"] == ["'self'", "ws://127.0.0.1:8090", "wss://127.0.0.1:8090"]
    assert not [one for words in policy.values() for one in words if one in ("*", "http:", "https:")]
    assert headers["x-frame-options"] == "DENY"
