"""What launchd is given."""

from __future__ import annotations

import plistlib
from pathlib import PurePosixPath

from multirig.install.job import Job, Kind
from multirig.install.macos import plan_agent
from multirig.install.plan import Places

HERE = PurePosixPath("/u")
PLACES = Places(tasks=HERE, startup=HERE, units=HERE, agents=HERE, logs=PurePosixPath("/logs"), user="501")


def test_an_agent_is_started_at_log_on_and_again_only_where_it_failed() -> None:
    job = Job(
        kind=Kind.RIG,
        name="cameras:left",
        program=("/opt/lab's & co/bin/multirig",),
        arguments=("serve", '/lab/100% <é> "x".yaml'),
        folder="/lab",
        environment={"PATH": "/opt/homebrew/bin:/usr/bin"},
        end_limit=150,
    )
    plan = plan_agent(job, PLACES)
    label = "multirig.cameras%3Aleft"
    assert str(plan.file) == f"/u/{label}.plist"
    assert plistlib.loads(plan.content) == {
        "Label": label,
        "ProgramArguments": [
            *("/opt/lab's & co/bin/multirig", "serve", '/lab/100% <é> "x".yaml'),
            *("--plain", "--no-keyboard", "--stay"),
        ],
        "WorkingDirectory": "/lab",
        "EnvironmentVariables": {"PATH": "/opt/homebrew/bin:/usr/bin"},
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 10,
        "ExitTimeOut": 150,
        "AbandonProcessGroup": True,
        "ProcessType": "Interactive",
        "StandardOutPath": f"/logs/{label}.out",
        "StandardErrorPath": f"/logs/{label}.out",
    }
    assert plan.start[0] == plan.forget[0]
    assert plan.start[1] == ("launchctl", "bootstrap", "gui/501", str(plan.file))
    assert plan.forget == (("launchctl", "bootout", f"gui/501/{label}"),)
    assert plan.unregister == ()


def test_the_console_has_no_options_of_a_rig() -> None:
    job = Job(kind=Kind.CONSOLE, name="console", program=("/m",), arguments=("console",))
    assert plistlib.loads(plan_agent(job, PLACES).content)["ProgramArguments"] == ["/m", "console", "--stay"]
