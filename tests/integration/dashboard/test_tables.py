from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.dashboard.pages.tables import Cell, Heading, write_table
from multirig.dashboard.view.tones import Tone


class Reader(HTMLParser):
    """Collects the tags, their attributes and the text of a piece of HTML."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


def test_headings_and_names_of_rows_say_what_they_stand_for():
    text = write_table(
        "Files", [Heading("File"), Heading("Size", is_number=True)], [[Cell("a", is_heading=True)]]
    )
    assert '<th scope="col" role="columnheader">File</th>' in text
    assert '<th scope="col" role="columnheader" class="number">Size</th>' in text
    assert '<th role="rowheader" scope="row">a</th>' in text
    assert "<caption" in text


def test_a_tone_has_an_icon_that_nobody_reads_aloud():
    text = write_table("x", [], [[Cell("3", tone=Tone.WARNING, icon="warning", is_number=True)]])
    assert 'class="number toned tone-warning"' in text
    assert 'aria-hidden="true">warning</i>3</td>' in text


def test_a_row_with_a_link_is_one_and_a_row_that_names_others_too():
    text = write_table(
        "x", [], [[Cell("a", link="/b?c=1&d", label="a of b")], [Cell("left", is_part=True, span=3)]]
    )
    assert (
        '<tr role="row" class="link"><td role="cell"><a href="/b?c=1&amp;d" aria-label="a of b">a</a>' in text
    )
    assert '<tr role="row" class="part"><th role="rowheader" scope="row" colspan="3">left</th>' in text


@given(st.text(alphabet=st.sampled_from("<>&\"'/ab= \n"), min_size=1))
def test_whatever_is_shown_is_text_and_nothing_else(evil):
    cell = Cell(evil, link=evil, label=evil, icon=evil, name=evil)
    found = Reader(write_table(evil, [Heading(evil)], [[cell]]))
    assert found.tags == ["table", "caption", "thead", "tr", "th", "tbody", "tr", "td", "a", "i"]
    assert not any(name.startswith("on") for name, _ in found.attributes)
    assert "".join(found.texts) == evil * 4


@pytest.mark.attack
def test_what_turns_the_text_around_it_is_shown_as_what_it_is():
    read = Reader(write_table("x", [], [[Cell("a\u202egnp.exe\x1b[2J\u2066"), Cell("b", link="/\u202e")]]))
    assert "a\ufffdgnp.exe\ufffd[2J\ufffd" in read.texts
