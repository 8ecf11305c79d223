"""What macOS starts at log-on: an agent of this user's launchd. Pure."""

from __future__ import annotations

import plistlib

from multirig.install.job import Job
from multirig.install.plan import Places, Plan, Way

THROTTLE = 10
"""Seconds from one start to the next, where multirig itself could not restart what it keeps."""

_OTHER, _FORM = r"[^A-Za-z0-9_.-]", "%{:02X}"


def plan_agent(job: Job, places: Places) -> Plan:
    """Return how launchd starts it when this user logs on."""
    label = f"multirig.{job.label(_OTHER, _FORM)}"
    file = places.agents / f"{label}.plist"
    printed = str(places.logs / f"{label}.out")
    words = [*job.program, *job.arguments]
    words += ["--stay"] if job.is_console else ["--plain", "--no-keyboard", "--stay"]
    content = {
        "Label": label,
        "ProgramArguments": words,
        "WorkingDirectory": job.folder,
        "EnvironmentVariables": dict(job.environment),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": THROTTLE,
        "ExitTimeOut": job.end_limit,
        "AbandonProcessGroup": True,
        "ProcessType": "Interactive",
        "StandardOutPath": printed,
        "StandardErrorPath": printed,
    }
    domain = f"gui/{places.user}"
    return Plan(
        way=Way.LAUNCHD,
        label=label,
        file=file,
        content=plistlib.dumps(content, sort_keys=False),
        encoding="utf-8",
        start=(
            ("launchctl", "bootout", f"{domain}/{label}"),  # as it was before, where it was
            ("launchctl", "bootstrap", domain, str(file)),
        ),
        forget=(("launchctl", "bootout", f"{domain}/{label}"),),
    )
