"""Files that lose what they held: made-up sizes."""

from __future__ import annotations

import pytest

from multirig.protocol.events import SECOND
from multirig.rig.evidence.losses import Loss, Losses

MB = 1_000_000


def record(*moments: dict[str, int]) -> list[Loss]:
    """Return what is found lost of files that had these sizes, a quarter of a second after each other."""
    losses = Losses()
    for look in range(24):  # they grow to what the first moment says
        losses.look({path: size * (look + 1) // 24 for path, size in moments[0].items()}, look * SECOND // 4)
    for look, sizes in enumerate(moments[1:-1]):
        losses.look(sizes, (24 + look) * SECOND // 4)
    return losses.conclude(moments[-1], (24 + len(moments)) * SECOND // 4)


VIDEO = {"v.avi": 6 * MB}


@pytest.mark.parametrize("after", [1000, 0, 3 * MB])
def test_a_file_that_is_cut_off_is_told(after: int) -> None:
    (loss,) = record(VIDEO, {"v.avi": after})
    assert (loss.path, loss.before, loss.after, loss.taken_over_by) == ("v.avi", 6 * MB, after, None)


def test_a_file_that_is_gone_is_told_though_a_small_one_is_left() -> None:
    (loss,) = record({**VIDEO, "notes.csv": 5000}, {"notes.csv": 5000})
    assert (loss.path, loss.before, loss.after, loss.taken_over_by) == ("v.avi", 6 * MB, None, None)


def test_two_files_that_are_cut_off_do_not_excuse_each_other() -> None:
    assert len(record({**VIDEO, "w.avi": 6 * MB}, {"v.avi": 10, "w.avi": 10})) == 2


def test_a_file_that_is_emptied_in_the_middle_is_told_though_it_grows_as_large_again() -> None:
    steps = [{"v.avi": look * MB // 4} for look in range(40)]
    (loss,) = record(VIDEO, *steps)
    assert (loss.before, loss.after) == (6 * MB, 0)


def test_all_of_a_small_rig_is_told() -> None:
    (loss,) = record({"table.csv": 20_000}, {"table.csv": 0}, {"table.csv": 900})
    assert loss.before == 20_000


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param(({"v.avi.tmp": 6 * MB}, {"v.avi": 6 * MB}), id="renamed at the end"),
        pytest.param(
            (VIDEO, {**VIDEO, "v.mp4": MB}, {**VIDEO, "v.mp4": 6 * MB}, {"v.mp4": 6 * MB}), id="remuxed"
        ),
        pytest.param(
            (VIDEO, {"v.avi": 10, "v.1.avi": 6 * MB}, {"v.avi": MB, "v.1.avi": 6 * MB}), id="rotated"
        ),
        pytest.param((VIDEO, {"v.avi": 0}, {"v.avi": 6 * MB + 1}), id="written anew as a whole"),
        pytest.param(({**VIDEO, "now": 900}, {**VIDEO, "now": 5}), id="a counter"),
        pytest.param(({**VIDEO, "a.lock": 900}, VIDEO), id="a lock"),
        pytest.param(
            ({**VIDEO, "head.bin": 90_000}, {**VIDEO, "head.bin": 2_000}), id="a header beside data"
        ),
        pytest.param(({**VIDEO, "chatty.log": 2 * MB}, VIDEO), id="a log"),
        pytest.param(
            ({"a.db": MB, "a.db-wal": 4 * MB}, {"a.db": MB}), id="a journal that was merged long ago"
        ),
        pytest.param(({"a.db": 6 * MB, "a.db-wal": 2 * MB}, {"a.db": 8 * MB}), id="a journal that is merged"),
    ],
)
def test_what_is_kept_elsewhere_or_holds_no_data_is_no_loss(moments: tuple[dict[str, int], ...]) -> None:
    assert record(*moments) == []


def test_what_a_smaller_file_has_taken_over_is_told_with_its_name() -> None:
    (loss,) = record(VIDEO, {**VIDEO, "v.mp4": 500_000}, {"v.mp4": 500_000})
    assert loss.taken_over_by == "v.mp4"


def test_what_was_not_meant_to_stay_is_told_as_such() -> None:
    (loss,) = record({"a.bin": 6 * MB, "sort.tmp": 2 * MB}, {"a.bin": 6 * MB})
    assert loss.is_temporary
