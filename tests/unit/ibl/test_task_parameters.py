"""A task's parameters, from its classes and files."""

from pathlib import Path

import pytest

from multirig.errors import ConfigError
from multirig.ibl.task_parameters import read_task_parameters, task_file


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_more_special_class_wins_and_the_task_s_own_file_wins_over_all(tmp_path: Path):
    class Family:
        base_parameters_file = write(tmp_path / "family.yaml", "A: 1\nB: 1\nC: 1\n")

    class Task(Family):
        base_parameters_file = write(tmp_path / "task.yaml", "B: 2\nC: 2\nNESTED: {x: 1}\n")

    class Variant(Task):
        pass

    parameters = read_task_parameters(Variant, write(tmp_path / "mine.yaml", "C: 3\n"))
    assert (parameters.A, parameters.B, parameters.C) == (1, 2, 3)
    assert parameters.NESTED.x == 1
    assert list(parameters) == sorted(parameters)


def test_without_any_file_there_are_no_parameters():
    class Task:
        base_parameters_file = None

    assert read_task_parameters(Task) == {}


def test_an_empty_file_says_nothing(tmp_path: Path):
    assert read_task_parameters(object, write(tmp_path / "empty.yaml", "# nothing yet\n")) == {}


def test_a_named_file_that_is_missing_is_an_error_that_names_it(tmp_path: Path):
    class Task:
        base_parameters_file = tmp_path / "never.yaml"

    for read in (
        lambda: read_task_parameters(Task),
        lambda: read_task_parameters(object, tmp_path / "never.yaml"),
    ):
        with pytest.raises(ConfigError, match=r"never\.yaml: there is no such file"):
            read()


def test_a_file_without_names_is_an_error(tmp_path: Path):
    with pytest.raises(ConfigError, match="write key: value lines, such as REWARD_AMOUNT"):
        read_task_parameters(object, write(tmp_path / "list.yaml", "- 1\n"))


def test_a_class_without_a_file_has_none():
    assert task_file(type("Typed", (), {"__module__": "__nowhere__"})) is None


@pytest.mark.parametrize(
    ("written", "read"), [("1:30", "90"), ("010", "8"), ("1_000", "1000"), ("12:30:45", "45045")]
)
def test_a_number_that_is_read_otherwise_than_a_person_reads_it_is_refused(
    tmp_path: Path, written: str, read: str
) -> None:
    file = tmp_path / "task_parameters.yaml"
    file.write_text(f"DELAY: {written}\n")
    with pytest.raises(ConfigError, match=f"column 8: iblrig reads {written} as {read}: write {read},"):
        read_task_parameters(object, file)
    file.write_text(f"DELAY: '{written}'\nSIZE: 0.5\nDAY: 2026-03-04\n")
    assert read_task_parameters(object, file)["DELAY"] == written
