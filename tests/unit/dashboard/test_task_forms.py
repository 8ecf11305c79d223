from __future__ import annotations

import argparse
from typing import Any

import pytest

from multirig.dashboard.task_forms import Kind, extra_parser, find_fields, takes_rigs, to_options
from multirig.errors import ConfigError
from multirig.examples.tasks.spontaneous import Session
from multirig.ibl.task_arguments import task_parser


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--duration", type=float, default=60.0, metavar="SECONDS", help="of %(default)g s")
    parser.add_argument("-n", "--trials", type=int, required=True, help="how many: 100% of them")
    parser.add_argument("--side", choices=["left", "right"], default="left")
    parser.add_argument("--reward", action="store_true", help="give water")
    parser.add_argument("--no-sound", dest="sound", action="store_false")
    parser.add_argument("--light", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--stimuli", nargs="+", default=["a"])
    parser.add_argument("--tone", type=int, action="append")
    parser.add_argument("--fast", action="store_const", const=9, default=1, dest="speed")
    parser.add_argument("-v", "--verbose", action="count", default=0)
    parser.add_argument("--secret", help=argparse.SUPPRESS)
    parser.add_argument("--remote", nargs="+", action="append")
    parser.add_argument("--no-check", action="store_false")
    parser.add_argument("comment", nargs="?", default="none")
    return parser


def test_a_form_has_a_field_for_each_of_the_tasks_own_options() -> None:
    fields = {one.name: one for one in find_fields(make_parser())}
    assert {name: one.kind for name, one in fields.items()} == {
        "duration": Kind.NUMBER,
        "trials": Kind.INTEGER,
        "side": Kind.CHOICE,
        "reward": Kind.FLAG,
        "sound": Kind.FLAG,
        "light": Kind.FLAG,
        "stimuli": Kind.LIST,
        "tone": Kind.LIST,
        "speed": Kind.FLAG,
        "verbose": Kind.INTEGER,
        "comment": Kind.TEXT,
    }
    assert (fields["duration"].label, fields["duration"].help) == ("Duration (seconds)", "of 60 s")
    assert fields["trials"].required
    assert fields["trials"].help == "how many: 100% of them"
    assert fields["side"].choices == ("left", "right")
    assert [fields[name].default for name in ("reward", "sound", "light", "speed")] == [
        False,
        True,
        True,
        False,
    ]
    assert (fields["light"].flag, fields["comment"].flag) == ("--light", "")


def test_what_every_task_has_is_no_field() -> None:
    names = {one.name for one in find_fields(task_parser([make_parser()]))}
    assert not names & {"subject", "projects", "procedures", "help", "remote", "no_check", "secret"}


def test_a_real_task_has_its_duration() -> None:
    parser = extra_parser(Session, "spontaneous")
    assert takes_rigs(parser)
    (field,) = find_fields(parser)
    assert (field.name, field.kind, field.default) == ("duration", Kind.NUMBER, 60.0)


@pytest.mark.parametrize(
    ("parameters", "parsed"),
    [
        ({"trials": 5.0}, {"trials": 5}),
        ({"duration": -2.5}, {"duration": -2.5}),
        ({"side": "right"}, {"side": "right"}),
        ({"reward": True, "sound": False, "light": False}, {"reward": True, "sound": False, "light": False}),
        ({"reward": False, "sound": True, "light": True}, {"reward": False, "sound": True, "light": True}),
        ({"stimuli": ["x", "y z"]}, {"stimuli": ["x", "y z"]}),
        ({"stimuli": "x 'y z'"}, {"stimuli": ["x", "y z"]}),
        ({"tone": [440, 880]}, {"tone": [440, 880]}),
        ({"speed": True, "verbose": 2}, {"speed": 9, "verbose": 2}),
        ({"comment": "-was tired"}, {"comment": "-was tired"}),
        ({"duration": None, "side": ""}, {"duration": 60.0, "side": "left"}),
    ],
)
def test_what_a_form_gives_is_what_the_task_gets(parameters: dict[str, Any], parsed: dict[str, Any]) -> None:
    parser = make_parser()
    options, rest = to_options(parser, {"trials": 1, **parameters})
    found = vars(parser.parse_args([*options, "--", *rest] if rest else options))
    assert {name: found[name] for name in parsed} == parsed


def test_a_parameter_that_the_task_has_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="no parameter colour; it has duration, trials"):
        to_options(make_parser(), {"colour": "red"})


def test_a_task_whose_options_cannot_be_made_says_why() -> None:
    class Broken:
        @staticmethod
        def extra_parser() -> None:
            raise OSError("no settings")

    with pytest.raises(ConfigError, match=r"t\.py: its options cannot be read \(OSError: no settings\)"):
        extra_parser(Broken, "t.py")
