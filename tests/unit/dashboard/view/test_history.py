import datetime
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.dashboard.view.history import (
    MAX_ASKED,
    SHOWN,
    Search,
    find_session,
    history_address,
    judge_word,
    read_search,
    session_address,
    view_history,
)
from multirig.dashboard.view.tones import Tone
from multirig.errors import ConfigError
from multirig.record.catalogue import NO_VERDICT, NOT_OVER, WORDS, Listed
from multirig.record.verdict import Word

SUBJECTS = Path("/data/mylab/Subjects")
DAY = datetime.date(2026, 11, 26)
NOON = datetime.datetime(2026, 11, 26, 12, 5, tzinfo=datetime.timezone.utc)


def listed(**known):
    return Listed(
        **{
            "folder": SUBJECTS / "SP_01" / "2026-11-26" / "002",
            "exp_ref": "2026-11-26_2_SP_01",
            "subject": "SP_01",
            "date": DAY,
            "number": 2,
            "verdict": Word.GOOD,
            "word": "GOOD",
            **known,
        }
    )


def view(*found, total=None, **search):
    return view_history(
        found,
        total=len(found) if total is None else total,
        search=Search(**search),
        folder=SUBJECTS,
        zone=datetime.timezone.utc,
    )


def test_a_session_is_a_row_with_a_link_to_its_page():
    shown = view(
        listed(
            began_at=NOON.timestamp(),
            seconds=451.0,
            rigs=("left", "right", "ephys"),
            files=3,
            bytes=2_500_000,
            task="_iblrig_tasks_x",
        )
    )
    (row,) = shown.rows
    assert row.link == "/session/SP_01/2026-11-26/002"
    assert (row.word, row.tone, row.icon) == ("GOOD", Tone.GOOD, "check_circle")
    assert (row.when, row.number, row.length) == ("2026-11-26 12:05", "2", "07:31")
    assert (row.rigs, row.size, row.task) == ("left, right and ephys", "2.5 MB", "_iblrig_tasks_x")
    assert shown.has_tasks
    assert (shown.summary, shown.nothing, shown.more, shown.trouble) == ("1 session", None, None, None)


def test_what_is_not_known_of_a_session_is_left_empty():
    shown = view(listed(word=NO_VERDICT, verdict=None, reason="recorded without rigs"))
    (row,) = shown.rows
    assert (row.when, row.length, row.rigs, row.size) == ("2026-11-26", "", "", "")
    assert (row.word, row.tone, row.reason) == (NO_VERDICT, Tone.PLAIN, "recorded without rigs")
    assert not shown.has_tasks


@pytest.mark.parametrize("word", WORDS)
def test_each_verdict_has_a_tone_and_a_meaning(word):
    tone, meaning = judge_word(word)
    assert isinstance(tone, Tone)
    assert meaning
    assert (tone is Tone.GOOD) == (word == "GOOD")


def test_a_session_that_goes_on_is_no_verdict():
    (row,) = view(listed(word=NOT_OVER)).rows
    assert (row.tone, row.icon) == (Tone.BUSY, "hourglass_top")


def test_many_sessions_are_shown_a_hundred_at_a_time():
    shown = view(*[listed()] * SHOWN, total=1234)
    assert shown.summary == "the newest 100 of 1\u202f234 sessions"
    assert shown.more == "Show 100 more of 1\u202f134"
    assert view(*[listed()] * 100, total=107, text="x").more == "Show 7 more of 7"
    assert view(*[listed()] * 100, total=107, text="x").summary == "the newest 100 of 107 sessions found"
    assert view(listed(), listed(), text="x").summary == "2 sessions found"


def test_an_empty_list_says_why_and_what_to_do():
    assert view().nothing == f"no session was recorded in {SUBJECTS} yet: they begin on the page Lab"
    assert view(subject="nobody").nothing == (
        "no session is like that: ask for less, or press Clear to see all"
    )


def test_days_the_wrong_way_round_are_told():
    shown = view(since=DAY, until=DAY - datetime.timedelta(days=1))
    assert shown.trouble == "the first day is after the last one: change one of them"
    assert view(since=DAY, until=DAY).trouble is None


def test_what_makes_no_sense_in_an_address_is_left_out():
    assert read_search({}) == Search()
    assert read_search({}).is_empty
    assert read_search({"since": "yesterday", "until": "2026-02-30", "verdict": "nice", "x": "y"}).is_empty
    assert read_search({"verdict": "good "}).verdict == "GOOD"
    assert len(read_search({"text": "x" * 10_000}).text) == MAX_ASKED


texts = st.text(max_size=MAX_ASKED).map(str.strip)


@given(
    search=st.builds(
        Search,
        subject=texts,
        since=st.none() | st.dates(),
        until=st.none() | st.dates(),
        verdict=st.none() | st.sampled_from(WORDS),
        text=texts,
    )
)
def test_the_address_keeps_what_is_asked_for(search):
    address = history_address(search)
    try:
        address.encode("ascii")
        search.text.encode()
    except UnicodeEncodeError:  # half a letter, which no browser sends
        return
    parts = urlsplit(address)
    assert parts.path == "/history"
    assert read_search(dict(parse_qsl(parts.query))) == search


def test_an_empty_search_has_a_plain_address():
    assert history_address(Search()) == "/history"
    assert history_address(Search(subject="SP 01", since=DAY)) == "/history?subject=SP+01&since=2026-11-26"


def test_a_search_says_all_to_the_catalogue():
    asked = Search(subject="a", since=DAY, until=DAY, verdict="GOOD", text="b").to_catalogue()
    assert asked == {"subject": "a", "since": DAY, "until": DAY, "verdict": "GOOD", "text": "b"}


@pytest.mark.parametrize("subject", ["SP_01", "a-mouse.2", "mouse (old)", "Mäuschen", "100%", "a#b?c"])
def test_the_link_of_a_session_leads_to_its_folder(subject):
    folder = SUBJECTS / subject / "2026-11-26" / "002"
    _, first, *parts = session_address(folder).split("/")
    assert first == "session"
    assert find_session(SUBJECTS, *map(unquote, parts)) == folder


@pytest.mark.parametrize(
    ("subject", "date", "number"),
    [
        ("..", "2026-11-26", "001"),
        ("../../etc", "2026-11-26", "001"),
        ("..\\x", "2026-11-26", "001"),
        ("SP_01/../../x", "2026-11-26", "001"),
        ("SP_01\\..\\..\\x", "2026-11-26", "001"),
        ("C:", "2026-11-26", "001"),
        ("", "2026-11-26", "001"),
        (".hidden", "2026-11-26", "001"),
        ("a\x00b", "2026-11-26", "001"),
        ("a" * 256, "2026-11-26", "001"),
        ("SP_01", "..", "001"),
        ("SP_01", "2026-02-30", "001"),
        ("SP_01", "20261126", "001"),
        ("SP_01", "2026-11-26", ".."),
        ("SP_01", "2026-11-26", "0001"),
        ("SP_01", "2026-11-26", ""),
        ("SP_01", "2026-11-26", "²"),
    ],
)
def test_an_address_that_is_none_of_a_session_is_refused(subject, date, number):
    with pytest.raises(ConfigError, match="this address names no session: look for it in the history"):
        find_session(SUBJECTS, subject, date, number)


@given(subject=st.text(), date=st.text() | st.just("2026-11-26"), number=st.text() | st.just("001"))
def test_no_address_leads_out_of_the_subjects_folder(subject, date, number):
    try:
        found = find_session(SUBJECTS, subject, date, number)
    except ConfigError:
        return
    assert found.parent.parent.parent == SUBJECTS
    assert ".." not in found.parts
