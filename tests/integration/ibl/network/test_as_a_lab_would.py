"""A task written for iblrig, its imports changed, with a multirig rig and an iblutil rig in processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from multirig.record.journal import read_journal

TASK = """
import argparse
import json
import time

from multirig.ibl import BaseSession, NetworkSession, get_task_arguments
from multirig.ibl.net.base import ExpMessage


class Session(NetworkSession):
    protocol_name = "_iblrig_tasks_passiveChoiceWorld"
    extractor_tasks = ["TrialRegisterRaw"]

    @staticmethod
    def extra_parser():
        parser = super(Session, Session).extra_parser()
        parser.add_argument("--delay_secs", dest="delay_secs", default=0.0, type=float, required=False)
        return parser

    def __init__(self, *args, delay_secs=0.0, **kwargs):
        self.delay_secs = delay_secs
        super().__init__(*args, **kwargs)
        self.task_params["DELAY_SECS"] = delay_secs
        self.heard = []
        self.remote_rigs.services.assign_callback(
            ExpMessage.EXPSTART | ExpMessage.EXPEND, self.on_news, return_service=True
        )

    def on_news(self, data, addr, event, service):
        self.heard.append([service.name, event.name])

    def start_hardware(self):
        self.start_mixin_valve()

    def start_mixin_valve(self):
        self.logger.info("valve ready")

    def stop_mixin_valve(self):
        self.logger.info("valve closed")

    def _run(self):
        time.sleep(self.delay_secs)
        for number in range(3):
            self.session_info.NTRIALS += 1
            with open(self.paths.DATA_FILE_PATH, "a") as fp:
                fp.write(json.dumps({"trial": number}) + "\\\\n")
        self.task_params["STATUS"] = {
            name: response[0] for name, response in self.communicate(ExpMessage.EXPSTATUS, 20).items()
        }

    def stop_mixin_zzz(self):
        self.task_params["HEARD"] = sorted(self.heard)
        self.save_task_parameters_to_json_file()


if __name__ == "__main__":
    Session(**get_task_arguments(parents=[Session.extra_parser()])).run()
"""

IBLUTIL_RIG = """
import asyncio, sys
from iblutil.io.net.app import EchoProtocol

async def main(uri, exp_ref):
    server = await EchoProtocol.server(uri, name="ephys")
    def on(event, answer):
        server.assign_callback(event, lambda data, addr: asyncio.ensure_future(answer(data, addr)))
    on("EXPINFO", lambda data, addr: server.info(0, {"main_sync": True, "exp_ref": exp_ref,
        "experiment_description": {"sync": {"nidq": {"collection": "raw_ephys_data"}}}}, addr=addr))
    on("EXPINIT", lambda data, addr: server.init(data[0], addr=addr))
    on("EXPSTART", lambda data, addr: server.start(data[0], addr=addr))
    on("EXPSTATUS", lambda data, addr: server.status(20, addr=addr))
    on("EXPEND", lambda data, addr: server.stop(data[0], addr=addr))
    on("EXPCLEANUP", lambda data, addr: server.cleanup(data[0], addr=addr))
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for one in started:
        if one.stdin is not None:
            one.stdin.write("quit\n")
            one.stdin.flush()
        try:
            one.wait(10)
        except subprocess.TimeoutExpired:
            one.kill()
            one.wait(10)
        for pipe in (one.stdin, one.stdout):
            if pipe is not None:
                pipe.close()


def run_multirig(*words: str, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "multirig", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, **options)


def test_a_task_for_iblrig_runs_with_a_multirig_rig_an_iblutil_rig_and_a_callback(
    rigs: Any,
    processes: list[Any],
    tmp_path: Path,
    today: Any,
    needs_iblutil: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MULTIRIG_RIGS", str(tmp_path))
    monkeypatch.setenv("MULTIRIG_SETTINGS", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "iblrig_settings.yaml").write_text(
        yaml.safe_dump({"iblrig_local_data_path": str(tmp_path / "pc"), "ALYX_LAB": "churchlandlab"})
    )
    (tmp_path / "task.py").write_text(TASK.replace("\\\\n", "\\n"))

    config = {
        "name": "cameras:left",
        "uri": "udp://127.0.0.1:0",
        "data_folder": str(tmp_path / "camera-pc"),
        "adapter": {"type": "fake"},
    }
    (tmp_path / "cameras.yaml").write_text(yaml.safe_dump(config))
    serve = [sys.executable, "-m", "multirig", "serve", "cameras.yaml", "--plain"]
    cameras = subprocess.Popen(serve, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    processes.append(cameras)
    assert cameras.stdout is not None
    address = cameras.stdout.readline().split()[-1]

    port = rigs.free_port()
    exp_ref = f"{today}_004_SP_01"
    ephys = subprocess.Popen(
        [sys.executable, "-c", IBLUTIL_RIG, f"udp://127.0.0.1:{port}", exp_ref],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    processes.append(ephys)
    assert ephys.stdout is not None
    while ephys.stdout.readline().strip() != "ready":
        assert ephys.poll() is None

    assert run_multirig("rigs", "add", "cameras:left", address, cwd=tmp_path).returncode == 0
    assert run_multirig("rigs", "add", "ephys", f"udp://127.0.0.1:{port}", cwd=tmp_path).returncode == 0
    words = ["run", "task.py", "--subject", "SP_01", "--no-interactive", "--delay_secs", "0.2"]
    done = run_multirig(*words, "--remote", "cameras:left", "ephys", cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    folder = tmp_path / "pc" / "churchlandlab" / "Subjects" / "SP_01" / today.isoformat() / "004"
    raw = folder / "raw_task_data_00"
    assert len((raw / "_iblrig_taskData.raw.jsonable").read_text().splitlines()) == 3
    settings = json.loads((raw / "_iblrig_taskSettings.raw.json").read_text())
    assert settings["REMOTE_RIGS"] == {"cameras:left": address, "ephys": f"udp://127.0.0.1:{port}"}
    assert settings["STATUS"] == {"cameras:left": 20, "ephys": 20}
    heard = [[name, event] for event in ("EXPEND", "EXPSTART") for name in ("cameras:left", "ephys")]
    assert settings["HEARD"] == sorted(heard)
    assert settings["SESSION_NUMBER"] == 4
    description = yaml.safe_load((folder / "_multirig_description.yaml").read_text())
    assert description["sync"] == {"nidq": {"collection": "raw_ephys_data"}}
    assert description["devices"]["cameras"]["left"]["collection"] == "raw_data"
    assert list(description["tasks"][0]) == ["_iblrig_tasks_passiveChoiceWorld"]
    assert list((tmp_path / "camera-pc").rglob("SP_01/*/004/raw_data/fake.csv"))
    assert any(one.kind == "StepRequested" for one in read_journal(folder))

    end = time.perf_counter() + 10
    lines = []
    while time.perf_counter() < end and "is connected" not in "".join(lines):
        lines.append(cameras.stdout.readline())
    assert "is connected" in "".join(lines)
    assert os.path.isfile(folder / "_multirig_journal.jsonl")
