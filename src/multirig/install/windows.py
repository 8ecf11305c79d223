"""What Windows starts at log-on: a task of its Task Scheduler, or a script in the Startup folder. Pure."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from xml.sax.saxutils import escape

from multirig.errors import ConfigError
from multirig.install.job import Job
from multirig.install.plan import Places, Plan, Way

FOLDER = r"\multirig"
"""Of the tasks."""
_OTHER, _FORM = r"[\x00-\x1f\\/:*?\"<>|%]", "%{:02X}"
"""What the name of a file cannot hold there."""
NORMAL_PRIORITY = 4
"""Without it a task has 7: less of the processor, and the disk after all others."""
RESTARTS = 255
"""The most that it takes, one a minute: for a start that fails. After a crash multirig restarts itself."""

_TASK = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Author>multirig</Author>
    <Description>{title}</Description>
    <URI>{name}</URI>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
      <UserId>{user}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>false</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <RunOnlyIfNetworkAvailable>false</RunOnlyIfNetworkAvailable>
    <IdleSettings>
      <StopOnIdleEnd>false</StopOnIdleEnd>
      <RestartOnIdle>false</RestartOnIdle>
    </IdleSettings>
    <AllowStartOnDemand>true</AllowStartOnDemand>
    <Enabled>true</Enabled>
    <Hidden>false</Hidden>
    <RunOnlyIfIdle>false</RunOnlyIfIdle>
    <WakeToRun>false</WakeToRun>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>{priority}</Priority>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>{restarts}</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{command}</Command>
      <Arguments>{arguments}</Arguments>
      <WorkingDirectory>{folder}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
"""


def plan_task(job: Job, places: Places) -> Plan:
    """Return how a task starts it when this user logs on, in a window, without an administrator."""
    label = job.label(_OTHER, _FORM)
    name = rf"{FOLDER}\{label}"
    text = _TASK.format(
        title=escape(job.title),
        name=escape(name),
        user=escape(places.user),
        priority=NORMAL_PRIORITY,
        restarts=RESTARTS,
        command=escape(job.program[0] if job.program else ""),
        arguments=escape(subprocess.list2cmdline([*job.program[1:], *find_arguments(job)])),
        folder=escape(job.folder),
    )
    file = places.tasks / f"{label}.xml"
    return Plan(
        way=Way.TASK,
        label=name,
        file=file,
        content=text.replace("\n", "\r\n").encode("utf-16"),
        encoding="utf-16",
        register=(("schtasks", "/Create", "/TN", name, "/XML", str(file), "/F"),),
        start=(("schtasks", "/Run", "/TN", name),),
        unregister=(("schtasks", "/Delete", "/TN", name, "/F"),),
        look=("schtasks", "/Query", "/TN", name),
    )


def plan_startup(job: Job, places: Places) -> Plan:
    """Return how the Startup folder starts it, where Task Scheduler may not."""
    file = places.startup / f"multirig {job.label(_OTHER, _FORM)}.cmd"
    words = " ".join(map(_quote, [*job.program, *find_arguments(job)]))
    lines = ["@chcp 65001 >nul", f"@start {_quote(job.title)} /D {_quote(job.folder)} {words}", ""]
    return Plan(
        way=Way.STARTUP,
        label=file.name,
        file=file,
        content="\r\n".join(lines).encode(),
        encoding="utf-8",
        # with a quote in front, cmd would take the outer ones away; after call, it would double each ^
        start=(("cmd", "/d", "/c", "if", "1==1", str(file)),),
    )


def find_arguments(job: Job) -> list[str]:
    """Return what multirig is given: it has a window, and starts itself again after a crash."""
    return [*job.arguments, "--stay"]


def check_words(job: Job, variables: Iterable[str]) -> None:
    """Raise ConfigError where Task Scheduler would read something else than what stands there.

    Parameters
    ----------
    job : Job
    variables : iterable of str
        Names of this user's environment: the scheduler puts their values in, and there is no way to say no.
    """
    known = {name.upper() for name in variables}
    for word in (*job.program, *job.arguments, job.folder):
        named = [name for name in re.findall(r"(?=%([^%]+)%)", word) if name.upper() in known]
        if named or "$(" in word:
            what = f"%{named[0]}%" if named else "$("
            raise ConfigError(
                f"Windows would not start {word!r} as it is, for its {what}: rename that file or folder"
            )


def _quote(word: str) -> str:
    """Return a word as a script of Windows must hold it: between quotes, whatever is in it."""
    if '"' in word:
        raise ConfigError(
            f"Windows' Startup folder can start nothing with a quote in it, as {word!r}: leave it out"
        )
    doubled = re.sub(r"(\\+)$", r"\1\1", word)
    return f'"{doubled}"'.replace("%", "%%")
