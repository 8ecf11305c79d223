"""What Linux starts at log-on: a unit of this user's systemd. Pure."""

from __future__ import annotations

import re

from multirig.install.job import Job
from multirig.install.plan import Places, Plan, Way

RESTART_PAUSE = 2
"""Seconds from a crash to the next start."""

_OTHER, _FORM = r"[^A-Za-z0-9_.-]", r"\x{:02x}"
"""What the name of a unit cannot hold, and a colon, which tells two names apart elsewhere."""

_NOT_IN_A_PROGRAM = "'\"\\"
"""What systemd refuses in the path of a program, however it is written; the words behind it may have it."""

_UNIT = """\
[Unit]
Description={title}
StartLimitIntervalSec=0

[Service]
WorkingDirectory=-{folder}
{environment}ExecStart={command}
Restart=on-failure
RestartSec={pause}
RestartPreventExitStatus=2
KillMode=process
TimeoutStopSec={limit}

[Install]
WantedBy=default.target
"""


def plan_unit(job: Job, places: Places) -> Plan:
    """Return how systemd starts it when this user logs on, or with the PC where the user lingers."""
    unit = f"multirig-{job.label(_OTHER, _FORM)}.service"
    words = [*job.program, *job.arguments]
    if words and set(words[0]) & {*_NOT_IN_A_PROGRAM}:
        words.insert(0, "/usr/bin/env")
    if not job.is_console:
        words += ["--plain", "--no-keyboard"]
    command = " ".join(map(_quote, words))
    text = _UNIT.format(
        title=_plain(job.title),
        folder=_plain(job.folder),
        environment="".join(
            f"Environment={_quote(f'{name}={value}')}\n" for name, value in job.environment.items()
        ),
        command=f":{command}" if "$" in command else command,  # a dollar is a dollar then
        pause=RESTART_PAUSE,
        limit=job.end_limit,
    )
    systemctl = ("systemctl", "--user")
    return Plan(
        way=Way.SYSTEMD,
        label=unit,
        file=places.units / unit,
        content=text.encode(),
        encoding="utf-8",
        register=((*systemctl, "daemon-reload"), (*systemctl, "enable", unit)),
        start=((*systemctl, "start", unit),),
        unregister=((*systemctl, "disable", unit),),
        forget=((*systemctl, "stop", unit), (*systemctl, "daemon-reload")),
        look=(*systemctl, "is-enabled", "--quiet", unit),
    )


def _plain(text: str) -> str:
    """Return a text in which systemd finds nothing to put in."""
    return text.replace("%", "%%")


def _quote(word: str) -> str:
    """Return a word as systemd reads it back."""
    word = _plain(word)
    if re.fullmatch(r"[\w@%+=:,./-]+", word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
