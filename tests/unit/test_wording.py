"""Figures as people read them."""

from __future__ import annotations

import re
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig import wording


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4, "4 s"), (99, "99 s"), (100, "2 min"), (7200, "120 min"), (3 * 3600, "3 h"), (72 * 3600, "3 days")],
)
def test_a_stretch_of_time_to_plan_with_is_whole(seconds: float, text: str) -> None:
    assert wording.about(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00005, "50 µs"), (0.25, "250 ms"), (2.5, "2.50 s"), (61, "1 min 01 s")],
)
def test_how_long_something_took_fits_its_size(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


def test_a_short_time_has_the_digits_that_count_or_those_that_are_asked_for() -> None:
    assert [wording.span(one) for one in (0.00002, 0.002, -1.5)] == ["0.020 ms", "2.00 ms", "-1.50 s"]
    assert [wording.span(one, digits=1) for one in (0.07, 2.24)] == ["70.0 ms", "2.2 s"]


def test_a_time_that_is_not_known_is_nothing() -> None:
    assert (wording.since(None), wording.since(2), wording.since(0.5, digits=3)) == ("", "+2.0 s", "+0.500 s")
    assert (wording.time_of_day(None), wording.time_of_day("2026-01-31T12:01:03+00:00")) == ("?", "12:01:03")


def test_what_is_fresh_does_not_flicker() -> None:
    assert [wording.ago(one) for one in (2.9, 12)] == ["now", "12 s ago"]
    assert wording.ago(2, is_fresh=False) == "2 s ago"


def test_a_clock_is_told_at_a_glance_and_with_all_its_digits() -> None:
    assert wording.clock_offset(0.001234, 0.000012) == "+1.23 ms ± 12 µs"
    assert (wording.clock_offset(0.0, None), wording.clock_offset(7200, None)) == ("0 µs", "+2.0 h")
    assert (wording.ahead(-0.002), wording.ahead(3.0)) == ("2.0000 ms behind", "3.000000 s ahead")


def test_counts_and_sizes_and_lists_are_short() -> None:
    assert [wording.count(one, "rig") for one in (1, 2)] == ["1 rig", "2 rigs"]
    assert [wording.size(one) for one in (9, 2_500, 3e12)] == ["9 B", "2.5 kB", "3.0 TB"]
    assert wording.listed("abcde") == "a, b, c and 2 more"
    assert (wording.listed("ab"), wording.listed("a"), wording.listed("")) == ("a and b", "a", "")
    assert wording.stopwatch(4051) == "1:07:31"


# -- what nobody is to read -------------------------------------------------------------------------------

_PASSWORDS = st.text(string.ascii_letters + string.digits + string.punctuation + "äß€", min_size=4).map(
    lambda text: f"~{text}~"  # in none of the sentences by chance
)


@given(
    password=_PASSWORDS,
    user=st.sampled_from(["admin", "", "lab@example.org"]),
    path=st.sampled_from(["", "/", "/stream1", "/a/b?channel=1"]),
    sentence=st.sampled_from(["{}", "{} cannot be opened", "Failed to open '{}': refused", "a, {}, and b"]),
)
def test_the_password_of_an_address_is_not_shown_whatever_stands_in_it(
    password: str, user: str, path: str, sentence: str
) -> None:
    shown = wording.discreet(sentence.format(f"rtsp://{user}:{password}@camera.lab:554{path}"))
    assert password not in shown
    assert "rtsp://***@camera.lab:554" in shown


@given(password=_PASSWORDS.filter(lambda text: not re.search("[&?#]", text)))
def test_an_address_is_shown_without_what_its_query_asks(password: str) -> None:
    for query in (f"user=admin&pwd={password}", f"token={password}", f"usr=a&loginpas={password}", password):
        assert password not in wording.discreet_address(f"http://camera.lab/video?{query}")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:p@ss/w0rd@host", "rtsp://***@host"),
        ("rtsp://h/user=admin_password=SECRET_channel=1", "rtsp://h/user=admin_password=***"),
        ("tool --password SECRET --rate 3", "tool --password *** --rate 3"),
        ("['tool', '--token', 'SECRET']", "['tool', '--token', '***']"),
        ("tool --api-key=SECRET", "tool --api-key=***"),
        ("password='one two' is wrong", "password=*** is wrong"),
        ("Authorization: Basic SECRET", "Authorization: ***"),
        ("API_KEY=SECRET;X=3", "API_KEY=***;X=3"),
    ],
)
def test_a_secret_is_known_by_its_name(text: str, shown: str) -> None:
    assert wording.discreet(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://camera.lab:8080/video.mjpg answers nothing: check the address",
        "run multirig console --set-password again, with --tls-key and --tls-cert",
        "monkey=3 keyint=30 author=me",
        "limits.start is -3: give key: value pairs, such as {key: value}",
        "me@example.org and udp://cameras.lab:11001",
    ],
)
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert wording.discreet(text) == text


def test_values_are_searched_to_their_last_leaf() -> None:
    value = {"cameras": [{"source": "rtsp://a:b@h", "size": [3, 4]}], "fps": None}
    assert wording.discreet_values(value) == {
        "cameras": [{"source": "rtsp://***@h", "size": [3, 4]}],
        "fps": None,
    }


@pytest.mark.parametrize(
    "text",
    [
        "Error: bad frame " + "z" * 1_000_000,
        "z" * 40_000,
        "pass" * 50_000,
        "a://" * 50_000,
        "rtsp://a:" + "b@" * 50_000,
        "key=" * 50_000,
        ")" * 100_000,
        "x " * 500_000,
        "authorization: " * 30_000,
        "--token " * 50_000,
        "http://a?" + "b" * 100_000,
        "rtsp://a:b" * 30 + "/" * 900 + " " + "http://" * 140 + " " + "pass" * 250,
        " ".join(["a://" * 240 + ")" * 30] * 100),
    ],
    ids=lambda text: text[:20],
)
def test_an_endless_text_holds_nobody_up(text: str) -> None:
    """A regular expression that takes the square of its time makes a rig deaf, by one line of a program."""
    began = time.process_time()
    assert len(wording.discreet(text)) <= wording.LONG_TEXT + 200
    assert time.process_time() - began < 5  # 0.3 s; before, minutes


@pytest.mark.parametrize(
    ("long", "shown"),
    [
        ("z" * 2000, "z" * 100 + "… (2000 characters)"),
        ("rtsp://admin:SECRET" + "x" * 2000 + "@camera", "rtsp://***"),
        ("token=SECRET" + "x" * 2000, "token… (2012 characters)"),
        ("url='rtsp://admin:SECRET" + "x" * 2000, "url='rtsp://***"),
    ],
)
def test_a_word_that_nobody_reads_is_shortened_and_shows_no_secret(long: str, shown: str) -> None:
    assert wording.discreet(f"before {long} after") == f"before {shown} after"


def test_of_a_long_text_its_beginning_and_its_end_are_shown() -> None:
    shown = wording.discreet(" ".join(f"word{number}" for number in range(50_000)))
    assert shown.startswith("word0 word1 ")
    assert shown.endswith(" word49998 word49999")
    assert "… (488889 characters) …" in shown


HOSTILE = "\x1b[2J\u202egnp.exe\r\n2026-11-30 12:00:00.000 INFO multirig: all is well\0\ud800"


@pytest.mark.attack
def test_a_text_from_elsewhere_is_one_line_without_what_changes_the_text_around_it() -> None:
    cleaned = wording.clean(HOSTILE)
    assert cleaned == "�[2J�gnp.exe  2026-11-30 12:00:00.000 INFO multirig: all is well��"
    assert cleaned.isprintable()
    assert wording.clean("Äpfel µl, 日本, 👩‍🔬") == "Äpfel µl, 日本, 👩‍🔬"
    assert wording.clean("a" * 5000) == "a" * (wording.LONG_SENTENCE - 1) + "…"
    assert wording.clean("a\nb\x1bc", keep="\n") == "a\nb�c"


@pytest.mark.attack
def test_every_text_of_a_value_is_cleaned() -> None:
    value = {"a\n": [HOSTILE, 3, None], 1: {"b": "ok"}}
    assert wording.clean_values(value) == {"a ": [wording.clean(HOSTILE), 3, None], 1: {"b": "ok"}}


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''=1", "reward", "'tis", "", "a=b"]
)
@pytest.mark.attack
def test_no_text_in_a_table_is_a_formula_and_each_is_found_again(text: str) -> None:
    cell = wording.to_cell(text)
    assert cell[:1] not in set("=+-@\t\r")
    assert wording.from_cell(cell) == text
    assert (cell == text) is (text in ("reward", "'tis", "", "a=b"))


@given(st.text(alphabet="'=+-@\t\r x"))
def test_what_is_written_into_a_table_is_read_again(text: str) -> None:
    assert wording.from_cell(wording.to_cell(text)) == text
