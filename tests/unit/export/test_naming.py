"""Text and names that a file of NWB can hold, and that may be published."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.export.naming import object_name, plain, publishable


@given(st.text(), st.sets(st.text(min_size=1, max_size=4)))
def test_whatever_something_is_called_it_gets_a_name_that_hdf5_takes_and_nobody_has(
    name: str, taken: set[str]
) -> None:
    found = object_name(name, taken)
    assert found not in taken
    assert found
    assert not set("/:\\\0\n") & set(found)
    assert found not in (".", "..")
    found.encode()


@given(st.text(alphabet=st.characters()))
def test_any_text_becomes_one_that_is_written_as_utf_8_without_a_nul(text: str) -> None:
    assert b"\0" not in plain(text).encode()


@pytest.mark.parametrize(
    ("text", "published"),
    [
        (
            "top: none of its 2 files is here: copy Subjects/x of its PC (udp://192.168.1.20:11001) here",
            "top: none of its 2 files is here: copy Subjects/x of its PC here",
        ),
        ("leads left at udp://10.0.0.1:11001, right at tcp://pc:1", "leads left at …, right at …"),
        ("opens rtsp://user:secret@10.0.0.3/stream, again", "opens …, again"),
        ("the valve is stuck (twice)", "the valve is stuck (twice)"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_addresses_of_a_lab_are_not_published(text: str, published: str) -> None:
    assert publishable(text) == published
