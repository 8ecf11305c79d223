from __future__ import annotations

import itertools
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.lifecycle.owners import find_clash, is_owned, may_meet
from multirig.protocol.dialect import hear_rig, write
from multirig.protocol.messages import Event, Message
from multirig.protocol.words import Info

LEFT = "raw_video_data/_iblrig_leftCamera.*"
RIGHT = "raw_video_data/_iblrig_rightCamera.*"
ALL = "raw_data/*"


def rig(*writes: str, folder: str | None = "one", name: str = "", adapter: str = "fake") -> Info:
    return Info(writes=writes, folder=folder, name=name or None, adapter=adapter)


def clash(**answers: Info) -> str:
    found = find_clash(answers)
    assert found is not None
    text = "{} and {} {}".format(*found)
    assert len(text.splitlines()) == 1
    return text


@pytest.mark.parametrize(
    ("path", "fits"),
    [
        ("raw_data/signal.csv", True),
        ("raw_data/deep/er/signal.csv", True),
        ("RAW_DATA/Signal.CSV", True),
        ("raw_data", False),
        ("raw_data2/signal.csv", False),
        ("raw.data/signal.csv", False),
    ],
)
def test_a_star_stands_for_anything_below(path: str, fits: bool) -> None:
    assert is_owned(path, [ALL]) is fits


def test_a_path_is_owned_if_it_fits_one_of_several_patterns() -> None:
    assert is_owned("a/x1.csv", ["b/*", "a/x?.csv"])
    assert not is_owned("a/x12.csv", ["b/*", "a/x?.csv"])


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (ALL, ALL, True),
        (ALL, "raw_data/sub/*", True),
        (ALL, "raw_data2/*", False),
        (LEFT, RIGHT, False),
        (LEFT, LEFT.replace("left", "LEFT"), True),
        (LEFT, "raw_video_data/*.npy", True),
        ("raw_data/a*", "raw_data/*b", True),
        ("raw_data/a*b", "raw_data/a*c", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("", "*", True),
        ("", "", True),
        ("a", "", False),
    ],
)
def test_two_patterns_meet_where_one_path_fits_both(one: str, other: str, meet: bool) -> None:
    assert may_meet(one, other) is meet
    assert may_meet(other, one) is meet


_PATTERNS = st.text("ab*?", max_size=5)


@given(_PATTERNS, _PATTERNS)
def test_patterns_meet_exactly_if_some_text_fits_both(one: str, other: str) -> None:
    longest = len(one) + len(other)
    lengths = range(min(longest, 6) + 1)
    texts = ("".join(letters) for n in lengths for letters in itertools.product("ab", repeat=n))
    both = any(is_owned(text, [one]) and is_owned(text, [other]) for text in texts)
    if both:
        assert may_meet(one, other)
    elif longest <= 6:
        assert not may_meet(one, other)


def test_rigs_that_write_into_collections_of_their_own_may_both_record() -> None:
    assert find_clash({"a": rig("raw_a/*"), "b": rig("raw_b/*"), "c": rig(LEFT), "d": rig(RIGHT)}) is None


def test_two_hundred_rigs_are_compared_before_anybody_notices() -> None:
    rigs = {f"box{number}": rig(LEFT.replace("left", f"box{number}")) for number in range(200)}
    began = time.process_time()
    assert find_clash(rigs) is None
    assert time.process_time() - began < 1


def test_two_rigs_that_take_a_whole_collection_are_named_with_the_keys_to_change() -> None:
    text = clash(photometry=rig(ALL, adapter="process"), ephys=rig(ALL, adapter="process"))
    assert re.search(r"^photometry and ephys both write raw_data/\* in one folder", text)
    assert "'collection'" in text
    assert "'writes'" in text


def test_two_cameras_of_one_label_are_refused_on_one_pc_and_on_two() -> None:
    one = rig(LEFT, adapter="camera")
    for other in (one, rig(LEFT.replace("left", "Left"), folder="two", adapter="camera")):
        text = clash(box1=one, box2=other)
        assert text.startswith("box1 and box2 both write ")
        assert "'label'" in text


def test_whole_collections_on_two_pcs_may_have_one_name() -> None:
    assert find_clash({"a": rig(ALL), "b": rig(ALL, folder="two")}) is None


def test_rigs_whose_folder_is_not_known_lie_in_two_folders() -> None:
    assert find_clash({"a": rig(ALL, folder=None), "b": rig(ALL, folder=None)}) is None


def test_two_rigs_of_one_name_are_refused_wherever_they_are() -> None:
    text = clash(left=rig("a/*", name="cameras"), right=rig("b/*", folder="two", name="Cameras"))
    assert text.startswith("left and right both are called cameras in their own configs")
    assert "'name'" in text


def test_rigs_that_say_nothing_of_it_disturb_nobody() -> None:
    assert find_clash({"a": Info(), "b": Info()}) is None


def test_what_a_rig_writes_comes_back_from_the_wire() -> None:
    said = rig(LEFT, RIGHT, name="cameras")
    heard = hear_rig(write(said))
    assert isinstance(heard, Info)
    assert (heard.writes, heard.folder) == (said.writes, said.folder)
    assert heard.more == {}


@pytest.mark.parametrize("value", ["raw_data/*", 5, None, {"a": 1}, [1, None, "x" * 1000]])
def test_what_cannot_be_patterns_is_none(value: Any) -> None:
    heard = hear_rig(Message(Event.EXPINFO, (0, {"writes": value})))
    assert isinstance(heard, Info)
    assert heard.writes == ()
