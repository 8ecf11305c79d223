"""What a program says of its progress, line by line."""

from __future__ import annotations

from multirig.rig.adapters.process.progress import Progress


def test_what_was_lost_is_counted_on_where_the_program_counts_anew_in_each_file() -> None:
    progress = Progress()
    for dropped in (0, 9, 17, 0, 0, 4):
        progress.add_dropped(dropped)
    assert progress.dropped == 21


def test_frames_are_counted_on_where_the_program_counts_anew_in_each_file() -> None:
    progress = Progress()
    for frames in (50, 100, 3, 60):
        progress.add(frames)
    assert progress.frames == 160


def test_two_lines_that_have_changed_places_count_nothing_twice() -> None:
    progress = Progress()
    for frames in (98, 100, 99, 101):
        progress.add(frames)
    assert progress.frames == 101
