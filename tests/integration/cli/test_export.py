"""``multirig export nwb``: from the folders of a lab, as a person would, to what others read."""

import json
import re
from pathlib import Path

import pytest

pynwb = pytest.importorskip("pynwb", reason="the extra nwb is not installed")
SUBJECT = ("--species", "Mus musculus", "--sex", "F", "--age", "P90D")


def read(path: Path):
    with pynwb.NWBHDF5IO(str(path), mode="r") as stream:
        found = stream.read()
        told = found.analysis["verdict"].to_dataframe()
        fields = ("lab", "protocol", "experiment_description", "institution", "session_description")
        return {
            **{key: getattr(found, key) for key in fields},
            "experimenter": list(found.experimenter or ()),
            "keywords": list(found.keywords[:]) if found.keywords is not None else [],
            "subject": {
                key: getattr(found.subject, key) for key in ("subject_id", "species", "sex", "weight")
            },
            "verdict": list(told.itertuples(index=False, name=None)),
            "markers": len(found.events["markers"]) if "markers" in found.events else 0,
        }


@pytest.fixture
def recorded(rig, multirig, tmp_path: Path):
    """Record a session without a task over two rigs; return its reference."""
    rigs = {"ephys": rig("ephys", main_sync=True).uri, "cameras": rig("cameras").uri}
    (tmp_path / "rigs.yaml").write_text("".join(f"{name}: {uri}\n" for name, uri in rigs.items()))
    words = "run -s SP_01 --seconds 0.5 --rigs-file rigs.yaml --remote ephys cameras --json --lab cortexlab"
    done = multirig(*words.split())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["exp_ref"]


def test_a_session_without_a_task_is_written_and_what_is_missing_is_said(recorded, multirig, tmp_path: Path):
    folders = [next((tmp_path / name).glob("mylab/Subjects/SP_01/*/001")) for name in ("ephys", "cameras")]
    done = multirig("export", "nwb", recorded, "here.nwb", *SUBJECT)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert lines[0] == f"✓ wrote here.nwb: {recorded}, with 0 videos, 0 markers and clocks of 2 rigs"
    assert [line.partition(":")[0] for line in lines[1:]] == ["! ephys", "! cameras"]
    assert all("fake.csv is not here: copy Subjects/SP_01/" in line for line in lines[1:])
    found = read(tmp_path / "here.nwb")
    assert (found["lab"], found["protocol"], found["experimenter"]) == ("cortexlab", None, [])
    assert [kind for kind, _ in found["verdict"]].count("not here") == 2

    # with the rigs' folders all is there, and nothing is said; no file is replaced but by name
    whole = ("export", "nwb", recorded, "here.nwb", "--part", folders[0], "--part", folders[1])
    before = (tmp_path / "here.nwb").read_bytes()
    done = multirig(*whole)
    assert done.returncode == 2
    assert "here.nwb: is there already: choose another name, or give --overwrite" in done.stderr
    assert (tmp_path / "here.nwb").read_bytes() == before
    done = multirig(*whole, "--overwrite")
    assert done.returncode == 0, done.stderr
    [first, second] = done.stderr.splitlines()
    assert first.startswith("✓ wrote here.nwb")
    assert second.startswith(
        "! not known of the subject: species, sex and age, without which archives such as"
    )
    assert [kind for kind, _ in read(tmp_path / "here.nwb")["verdict"]].count("not here") == 0

    # one folder that is no journal's, and one that is no session's
    done = multirig("export", "nwb", folders[0], "part.nwb", *SUBJECT)
    assert done.returncode == 0, done.stderr
    assert "! no verdict: the journal is not here, only what ephys recorded" in done.stderr
    done = multirig("export", "nwb", tmp_path / "ephys", "none.nwb")
    assert done.returncode == 2
    assert "is no session folder" in done.stderr
    done = multirig("export", "nwb", "2026-01-31_1_SP_01", "none.nwb")
    assert done.returncode == 2
    assert "there is no session 2026-01-31_1_SP_01" in done.stderr
    assert "--data" in done.stderr
    assert not (tmp_path / "none.nwb").exists()


def test_a_task_its_people_and_the_weight_are_in_the_file_with_what_a_file_says(
    rig, multirig, tmp_path: Path
):
    (tmp_path / "rigs.yaml").write_text(f"cam: {rig('cam', main_sync=True).uri}\n")
    (tmp_path / "obedient.py").write_text(
        """
import time
from multirig.ibl import NetworkSession

class Session(NetworkSession):
    protocol_name = "obedient"
    def start_hardware(self):
        pass
    def _run(self):
        self.mark("reward", volume=1.5)
        time.sleep(0.3)
"""
    )
    words = "run obedient.py -s SP_01 -u anna -p vision -c Behaviour -w 25.3 --no-interactive --data data"
    done = multirig(
        *words.split(), "--remote", "cam", "--rigs-file", "rigs.yaml", MULTIRIG_SETTINGS=str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    (tmp_path / "said.yaml").write_text(
        "NWBFile: {institution: A University, lab: Cortex Lab}\nSubject: {date_of_birth: 2026-01-31}\n"
    )
    part = next((tmp_path / "cam").glob("mylab/Subjects/SP_01/*/001"))
    folder = next((tmp_path / "data").glob("mylab/Subjects/SP_01/*/001"))
    done = multirig(
        "export", "nwb", folder, "task.nwb", "--part", part, "--metadata", "said.yaml", *SUBJECT[:4]
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    found = read(tmp_path / "task.nwb")
    assert (found["lab"], found["institution"]) == ("Cortex Lab", "A University")
    assert (found["protocol"], found["experimenter"]) == ("obedient", ["anna"])
    assert found["experiment_description"] == "Task: obedient. Projects: vision. Procedures: Behaviour."
    assert found["keywords"] == ["obedient", "vision", "Behaviour"]
    assert found["subject"] == {
        "subject_id": "SP_01",
        "species": "Mus musculus",
        "sex": "F",
        "weight": "25.3 g",
    }
    assert found["markers"] == 1


def test_without_the_extra_it_is_named_and_nothing_is_loaded_before(multirig, tmp_path: Path):
    hidden = tmp_path / "hidden" / "pynwb"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'pynwb'\", name='pynwb')\n"
    )
    import os

    path = os.pathsep.join([str(hidden.parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    corpus = Path(__file__).parents[2] / "data" / "corpus-0.1" / "sessions" / "good"
    [journal] = corpus.rglob("_multirig_journal.jsonl")
    done = multirig("export", "nwb", journal.parent, "one.nwb", PYTHONPATH=path)
    assert done.returncode == 2
    assert done.stderr.strip() == "✗ an NWB file needs pynwb: pip install 'multirig[nwb]'"
    done = multirig("export", "nwb", "--help", PYTHONPATH=path)
    assert done.returncode == 0
    assert re.search(r"--overwrite\b", done.stdout)
