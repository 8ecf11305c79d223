"""What Task Scheduler and the Startup folder are given."""

from __future__ import annotations

from pathlib import PureWindowsPath
from xml.etree import ElementTree

import pytest

from multirig.errors import ConfigError
from multirig.install.job import Job, Kind
from multirig.install.plan import Places
from multirig.install.system import spell
from multirig.install.windows import check_words, plan_startup, plan_task

PLACES = Places(
    tasks=PureWindowsPath(r"C:\state"),
    startup=PureWindowsPath(r"C:\Startup"),
    units=PureWindowsPath("unused"),
    agents=PureWindowsPath("unused"),
    logs=PureWindowsPath("unused"),
    user="S-1-5-21-1-2-3-1001",
)
SCHEMA = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"


def make_job(
    name: str = "cameras",
    program: str = r"C:\multirig\multirig.exe",
    config: str = r"C:\rigs\cameras.yaml",
    kind: Kind = Kind.RIG,
) -> Job:
    return Job(
        kind=kind,
        name=name,
        program=(program,),
        arguments=("serve", config),
        folder=config.rpartition("\\")[0],
    )


def read(job: Job) -> dict[str, str]:
    """Return what stands in the task, by the path of each element without children."""
    content = plan_task(job, PLACES).content
    assert content[:2] == b"\xff\xfe"
    found: dict[str, str] = {}

    def walk(element: ElementTree.Element, path: str) -> None:
        here = f"{path}/{element.tag.removeprefix(SCHEMA)}".removeprefix("/Task/")
        if not len(element):
            found[here] = element.text or ""
        for child in element:
            walk(child, here)

    walk(ElementTree.fromstring(content.decode("utf-16").encode("utf-16")), "")
    return found


def test_a_task_starts_at_this_users_log_on_without_an_administrator_and_without_an_end() -> None:
    task = read(make_job())
    assert task["Triggers/LogonTrigger/UserId"] == task["Principals/Principal/UserId"] == PLACES.user
    assert task["Principals/Principal/LogonType"] == "InteractiveToken"
    assert task["Principals/Principal/RunLevel"] == "LeastPrivilege"
    assert task["Settings/ExecutionTimeLimit"] == "PT0S"
    assert task["Settings/MultipleInstancesPolicy"] == "IgnoreNew"
    assert task["Settings/AllowHardTerminate"] == "false"
    batteries = ("DisallowStartIfOnBatteries", "StopIfGoingOnBatteries")
    assert {task[f"Settings/{one}"] for one in batteries} == {"false"}
    assert (task["Settings/RestartOnFailure/Interval"], task["Settings/RestartOnFailure/Count"]) == (
        "PT1M",
        "255",
    )


def test_a_task_has_the_processor_and_the_disk_that_a_program_of_the_desktop_has() -> None:
    assert 4 <= int(read(make_job())["Settings/Priority"]) <= 6


def test_what_is_started_is_what_a_terminal_would_be_given() -> None:
    task = read(
        make_job(program=r"C:\Program Files\Müller & Söhne\multirig.exe", config=r"D:\100% <a>\it's é.yaml")
    )
    assert task["Actions/Exec/Command"] == r"C:\Program Files\Müller & Söhne\multirig.exe"
    assert task["Actions/Exec/Arguments"] == r"""serve "D:\100% <a>\it's é.yaml" --stay"""
    assert task["Actions/Exec/WorkingDirectory"] == r"D:\100% <a>"


def test_the_scheduler_is_told_by_its_own_program() -> None:
    plan = plan_task(make_job(), PLACES)
    file = r"C:\state\cameras.xml"
    assert plan.register == (("schtasks", "/Create", "/TN", r"\multirig\cameras", "/XML", file, "/F"),)
    assert plan.unregister == (("schtasks", "/Delete", "/TN", r"\multirig\cameras", "/F"),)
    assert str(plan.file) == file


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cameras:left", "cameras%3Aleft"),
        ("cameras%3Aleft", "cameras%253Aleft"),
        ("Mäuse im Keller", "Mäuse im Keller"),
        ('a"b*c?<d>|e', "a%22b%2Ac%3F%3Cd%3E%7Ce"),
        ("console", "%63onsole"),
        ("NUL.x", "%4EUL.x"),
        ("com1", "%63om1"),
        ("rig.", "rig%2E"),
    ],
)
def test_each_name_is_one_that_a_task_can_have_and_no_two_are_one(name: str, label: str) -> None:
    assert plan_task(make_job(name), PLACES).label == rf"\multirig\{label}"


def test_the_console_has_a_name_that_no_rig_has() -> None:
    assert plan_task(make_job("console", kind=Kind.CONSOLE), PLACES).label == r"\multirig\console"


def test_a_path_in_which_windows_would_put_a_value_is_refused() -> None:
    check_words(make_job(config=r"C:\50%\100%\a.yaml"), {"PATH", "TEMP"})
    with pytest.raises(ConfigError, match=r"for its %Temp%: rename"):
        check_words(make_job(config=r"C:\%Temp%\a.yaml"), {"PATH", "TEMP"})
    with pytest.raises(ConfigError, match=r"for its %path%: rename"):
        check_words(make_job(config=r"C:\50%path%\a.yaml"), {"PATH", "TEMP"})
    with pytest.raises(ConfigError, match=r"for its \$\(: rename"):
        check_words(make_job(config=r"C:\$(Arg0)\a.yaml"), ())


def test_the_startup_folder_has_a_script_that_opens_a_window_and_leaves_none_of_its_own() -> None:
    plan = plan_startup(make_job("cam:1", r"C:\a & b\multirig.exe", r"C:\100% é\a.yaml"), PLACES)
    assert str(plan.file) == r"C:\Startup\multirig cam%3A1.cmd"
    assert plan.show().splitlines() == [
        "@chcp 65001 >nul",
        r'@start "multirig rig cam:1" /D "C:\100%% é" '
        r'"C:\a & b\multirig.exe" "serve" "C:\100%% é\a.yaml" "--stay"',
    ]
    assert b"\r\n" in plan.content


def test_the_script_is_started_by_words_that_cmd_takes_as_they_are() -> None:
    [start] = plan_startup(make_job("a & b (c) ^@"), PLACES).start
    assert start == ("cmd", "/d", "/c", "if", "1==1", r"C:\Startup\multirig a & b (c) ^@.cmd")


def test_a_command_is_spelled_as_the_system_reads_it() -> None:
    assert spell(("cmd", "/c", r"C:\a b.cmd"), "windows") == r'cmd /c "C:\a b.cmd"'
    assert spell(("a", "b c"), "linux") == "a 'b c'"


def test_a_folder_that_ends_with_a_backslash_does_not_swallow_the_quote() -> None:
    job = Job(kind=Kind.RIG, name="a", program=("m",), arguments=(), folder="C:\\")
    assert r'/D "C:\\" "m"' in plan_startup(job, PLACES).show()


def test_a_quote_is_refused_where_no_script_can_hold_it() -> None:
    with pytest.raises(ConfigError, match="a quote in it"):
        plan_startup(make_job(config='C:\\a"b.yaml'), PLACES)
