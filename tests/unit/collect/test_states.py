"""What is to be done with a file, by what both disks say and the ledger remembers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.collect.states import (
    Compare,
    Copy,
    FileState,
    Here,
    Known,
    Settle,
    There,
    decide,
    differs,
)

COLLECTED = Known(state=FileState.COLLECTED, bytes=10, changed_at=5, blake2b="aa")
HERE = Here(bytes=10, changed_at=5)
LISTED = Here(bytes=10, changed_at=5, said=10)

sizes = st.integers(0, 12)
knowns = st.none() | st.builds(
    Known,
    state=st.sampled_from(FileState),
    bytes=sizes,
    changed_at=st.integers(0, 2),
    blake2b=st.none() | st.just("aa"),
)
heres = st.none() | st.builds(
    Here, bytes=sizes, changed_at=st.integers(0, 2), said=st.none() | st.integers(0, 12)
)
theres = st.builds(There, bytes=st.none() | sizes, part=st.none() | sizes)


@pytest.mark.parametrize(
    ("known", "here", "there", "step"),
    [
        (None, HERE, There(), Copy(start=0)),
        (None, HERE, There(part=4), Copy(start=4)),
        (None, HERE, There(part=11), Copy(start=0)),
        (None, HERE, There(bytes=10), Compare()),
        (COLLECTED, HERE, There(bytes=10), Settle(state=FileState.COLLECTED)),
        (COLLECTED, HERE, There(), Copy(start=0)),
        (COLLECTED, Here(bytes=10, changed_at=6), There(bytes=10), Compare()),
        (COLLECTED, Here(bytes=12, changed_at=6), There(bytes=10, part=3), Copy(start=0, replaces=True)),
        (COLLECTED, None, There(bytes=10), Settle(state=FileState.CLEARED)),
    ],
)
def test_what_is_to_be_done(known: Known | None, here: Here | None, there: There, step: object) -> None:
    assert decide(known, here, there) == step


@pytest.mark.parametrize(
    ("known", "here", "there", "state"),
    [
        (None, None, There(bytes=10), FileState.MISSING),
        (COLLECTED, None, There(bytes=9), FileState.MISSING),
        (COLLECTED, None, There(), FileState.MISSING),
        (None, Here(bytes=9, changed_at=5, said=10), There(), FileState.CHANGED),
        (None, HERE, There(bytes=9), FileState.COLLIDES),
        (COLLECTED, Here(bytes=12, changed_at=5, said=12), There(bytes=10), FileState.COLLIDES),
    ],
)
def test_what_a_person_has_to_look_at(
    known: Known | None, here: Here | None, there: There, state: FileState
) -> None:
    step = decide(known, here, there)
    assert isinstance(step, Settle)
    assert step.state is state
    assert step.why


@given(knowns, heres, theres)
def test_nothing_is_said_to_be_there_that_is_not(
    known: Known | None, here: Here | None, there: There
) -> None:
    step = decide(known, here, there)
    if not isinstance(step, Settle) or not step.state.is_there:
        return
    assert known is not None
    assert known.state.is_there
    assert there.bytes == known.bytes
    if here is None:
        assert step.state is FileState.CLEARED
    else:
        assert (here.bytes, here.changed_at) == (known.bytes, known.changed_at)


@given(knowns, heres, theres)
def test_only_what_we_have_brought_is_replaced(known: Known | None, here: Here | None, there: There) -> None:
    step = decide(known, here, there)
    if isinstance(step, Copy) and there.bytes is not None:
        assert step == Copy(start=0, replaces=True)
        assert known is not None
        assert (known.bytes, known.blake2b) == (there.bytes, "aa")
        assert here is not None
        assert here.said is None


@given(knowns, heres, theres)
def test_a_copy_goes_on_from_what_is_there_at_most(
    known: Known | None, here: Here | None, there: There
) -> None:
    step = decide(known, here, there)
    if isinstance(step, Copy):
        assert here is not None
        assert step.start in (0, there.part)
        assert step.start <= here.bytes


@given(knowns, heres, theres)
def test_where_nothing_is_to_be_done_it_is_there_or_it_is_said_why(
    known: Known | None, here: Here | None, there: There
) -> None:
    step = decide(known, here, there)
    if isinstance(step, Settle) and not step.state.is_there:
        assert step.why
        assert step.state.needs_help


@pytest.mark.parametrize(
    ("here", "there", "said", "was_there", "state"),
    [
        ("a", "a", None, False, None),
        ("a", "a", "a", True, None),
        ("a", "a", "b", False, FileState.CHANGED),
        ("a", "b", "b", False, FileState.CHANGED),
        ("a", "b", "a", False, FileState.FAILED),
        ("a", "b", None, True, FileState.COLLIDES),
    ],
)
def test_checksums_that_differ(
    here: str, there: str, said: str | None, was_there: bool, state: FileState | None
) -> None:
    found = differs(here, there, said, was_there=was_there)
    assert (found and found.state) == state
