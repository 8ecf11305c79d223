"""The page that asks for the password."""

from __future__ import annotations

import re

import pytest

from multirig.dashboard.door.login import login_page, say_wait


def test_the_page_has_one_form_and_fetches_nothing() -> None:
    page = login_page("/history?text=a&b=1")
    assert page.count("<form") == 1
    assert 'value="/history?text=a&amp;b=1"' in page
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert 'role="alert"' not in page


def test_what_was_wrong_is_said_and_cannot_be_a_part_of_the_page() -> None:
    page = login_page('"><b>', "<b>wrong</b>")
    assert '<p role="alert">&lt;b&gt;wrong&lt;/b&gt;</p>' in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (59.6, "60 s"), (90, "90 s"), (91, "2 min"), (600, "10 min"), (601, "11 min")],
)
def test_a_wait_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert say_wait(seconds) == said
