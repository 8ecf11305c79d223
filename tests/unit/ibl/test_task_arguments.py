"""A task's command line."""

import argparse
from pathlib import Path

import pytest

from multirig.errors import ConfigError
from multirig.ibl.task_arguments import get_task_arguments


def test_every_option_becomes_an_argument_of_the_constructor():
    arguments = get_task_arguments(
        args="-s SP_01 -u anna -p p1 p2 -c c1 -w 21.5 --no-interactive --append --stub s.yaml "
        "--log-level DEBUG --wizard".split()
    )
    assert arguments == {
        "subject": "SP_01",
        "iblrig_settings": {"ALYX_USER": "anna"},
        "projects": ["p1", "p2"],
        "procedures": ["c1"],
        "subject_weight_grams": 21.5,
        "interactive": False,
        "append": True,
        "stub": Path("s.yaml"),
        "log_level": "DEBUG",
        "wizard": True,
    }


def test_only_the_subject_must_be_given():
    arguments = get_task_arguments(args=["--subject", "SP_01"])
    assert arguments == {
        "subject": "SP_01",
        "projects": [],
        "procedures": [],
        "subject_weight_grams": None,
        "interactive": True,
        "append": False,
        "stub": None,
        "log_level": "INFO",
        "wizard": False,
    }


def test_a_missing_subject_ends_with_the_code_of_a_wrong_option(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        get_task_arguments(args=[])
    assert caught.value.code == 2
    assert "--subject" in capsys.readouterr().err


def test_the_task_s_own_options_come_along():
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--duration", type=float, default=60.0)
    assert get_task_arguments([own], ["-s", "x", "--duration", "3"])["duration"] == 3.0


def test_an_option_of_the_task_s_own_that_every_task_has_is_refused():
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--stub")
    with pytest.raises(ConfigError, match="--stub"):
        get_task_arguments([own], ["-s", "x"])


def test_without_arguments_those_of_the_process_are_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["task.py", "-s", "SP_07"])
    assert get_task_arguments()["subject"] == "SP_07"
