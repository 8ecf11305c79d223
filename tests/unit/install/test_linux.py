"""What systemd is given."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest

from multirig.install.job import Job, Kind
from multirig.install.linux import plan_unit
from multirig.install.plan import Places, Plan

HERE = PurePosixPath("/u")
PLACES = Places(tasks=HERE, startup=HERE, units=HERE, agents=HERE, logs=HERE, user="1000")
PROGRAM, CONFIG = "/opt/lab/bin/multirig", "/lab/cameras.yaml"


def plan(**given: Any) -> Plan:
    usual: dict[str, Any] = {"name": "cameras", "program": (PROGRAM,), "arguments": ("serve", CONFIG)}
    return plan_unit(Job(kind=Kind.RIG, folder="/lab", **{**usual, **given}), PLACES)


def line(made: Plan, key: str) -> str:
    [found] = [one.partition("=")[2] for one in made.show().splitlines() if one.startswith(f"{key}=")]
    return found


def test_a_unit_is_whole() -> None:
    made = plan(environment={"PATH": "/usr/bin", "MULTIRIG_STATE": "/lab/my state"}, end_limit=150)
    assert made.show().splitlines() == [
        "[Unit]",
        "Description=multirig rig cameras",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "WorkingDirectory=-/lab",
        "Environment=PATH=/usr/bin",
        'Environment="MULTIRIG_STATE=/lab/my state"',
        f"ExecStart={PROGRAM} serve {CONFIG} --plain --no-keyboard",
        "Restart=on-failure",
        "RestartSec=2",
        "RestartPreventExitStatus=2",
        "KillMode=process",
        "TimeoutStopSec=150",
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    assert (made.label, str(made.file)) == ("multirig-cameras.service", "/u/multirig-cameras.service")


def test_the_console_has_no_options_of_a_rig() -> None:
    job = Job(kind=Kind.CONSOLE, name="console", program=(PROGRAM,), arguments=("console", "--port", "8091"))
    made = plan_unit(job, PLACES)
    assert line(made, "ExecStart") == f"{PROGRAM} console --port 8091"
    assert made.label == "multirig-console.service"


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/lab/my rig.yaml", '"/lab/my rig.yaml"'),
        ("/lab/100%/é.yaml", "/lab/100%%/é.yaml"),
        ('/lab/a"b\\c.yaml', '"/lab/a\\"b\\\\c.yaml"'),
        ("/lab/a;b'c&d.yaml", '"/lab/a;b\'c&d.yaml"'),
    ],
)
def test_a_path_stands_there_as_systemd_reads_it_back(path: str, written: str) -> None:
    command = line(plan(arguments=("serve", path)), "ExecStart")
    assert command == f"{PROGRAM} serve {written} --plain --no-keyboard"


def test_a_dollar_is_no_variable() -> None:
    assert line(plan(arguments=("serve", "/lab/$HOME.yaml")), "ExecStart").startswith(f":{PROGRAM} serve ")


def test_a_program_whose_path_systemd_refuses_is_started_by_another() -> None:
    assert line(plan(program=("/o'b/multirig",)), "ExecStart").startswith(
        '/usr/bin/env "/o\'b/multirig" serve'
    )


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cameras:left", r"cameras\x3aleft"),
        ("a@b", r"a\x40b"),
        ("é x", r"\xc3\xa9\x20x"),
        ("console", r"\x63onsole"),
        (r"a\x20b", r"a\x5cx20b"),
        ("Rig-1_a.b", "Rig-1_a.b"),
    ],
)
def test_each_name_is_one_that_a_unit_can_have_and_no_two_are_one(name: str, label: str) -> None:
    assert plan(name=name.replace("\\\\", "\\")).label == f"multirig-{label}.service"
