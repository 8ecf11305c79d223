"""A rig that a real systemd starts: this user's manager alone, in mounts of its own, which needs root."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

SYSTEMD = Path("/lib/systemd/systemd")
NO_SYSTEMD = 77
"""The script's exit code where it does not come up here."""
LIMIT = 60
SCRIPT = r"""
umount -R /sys/fs/cgroup 2>/dev/null
mount -t cgroup2 none /sys/fs/cgroup || exit 77
mount -t tmpfs none /run/systemd && mkdir /run/systemd/system || exit 77
"$SYSTEMD" --user --log-target=null & manager=$!
trap 'kill "$manager"' EXIT
until_said() { for _ in $(seq 200); do "$@" && return; sleep 0.1; done; return 1; }
up() { systemctl --user is-system-running 2>/dev/null | grep -q running; }
until_said up || exit 77
"$PYTHON" -m multirig install cam.yaml -- --subject SP_01 || exit 1
first=$(cat log/*.pid)
echo "first $(tr '\0' '|' <"/proc/$first/cmdline") in $(readlink "/proc/$first/cwd")"
kill -9 "$first"
other() { test "$(cat log/*.pid)" != "$first" && kill -0 "$(cat log/*.pid)" 2>/dev/null; }
until_said other && echo "again"
"$PYTHON" -m multirig install --list && echo "listed"
"$PYTHON" -m multirig uninstall "$NAME" && echo "gone"
systemctl --user list-units --no-pager --no-legend 'multirig*'
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not SYSTEMD.exists() or shutil.which("unshare") is None,
    reason="a systemd of its own needs root",
)


def test_a_real_systemd_starts_a_rig_again_after_a_crash_and_no_more_when_it_is_taken_away(tmp_path: Path):
    lab = tmp_path / "lab 100% & $HOME 'Mäuse'"
    lab.mkdir()
    name = "cam:left Ü"
    config = {"name": name, "uri": "udp://127.0.0.1:0", "data_folder": "./data", "log_folder": "./log"}
    (lab / "cam.yaml").write_text(yaml.safe_dump({**config, "adapter": {"type": "fake"}}))
    (tmp_path / "run").mkdir(mode=0o700)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", SCRIPT],
        cwd=lab,
        env={
            "PATH": os.environ["PATH"],
            "PYTHON": sys.executable,
            "SYSTEMD": str(SYSTEMD),
            "NAME": name,
            "HOME": str(tmp_path),
            "XDG_RUNTIME_DIR": str(tmp_path / "run"),
            "PYTHONIOENCODING": "utf-8",
            "COLUMNS": "200",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=LIMIT,
    )
    if done.returncode == NO_SYSTEMD:
        pytest.skip("systemd does not come up here")
    printed = done.stdout
    words = f"|serve|{lab / 'cam.yaml'}|--wait|--subject|SP_01|--plain|--no-keyboard| in {lab}"
    assert (done.returncode, words in printed) == (0, True), printed
    for said in ("again", "✓ runs, process", "listed", f"{name} has ended", "gone"):
        assert said in printed, printed
    assert ".service" not in printed.partition("gone\n")[2], printed
