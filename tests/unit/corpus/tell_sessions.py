"""What is told of a session of the corpus, whichever code tells it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from tests.unit.corpus import readings

SESSIONS = Path(__file__).parents[2] / "data" / "corpus-0.1" / "sessions"
NAMES = sorted(one.name for one in SESSIONS.iterdir() if one.is_dir()) if SESSIONS.is_dir() else []
TOLD, SHOWN, SHOWN_JOURNAL = "told.json", "show.txt", "show-journal.txt"


def folder_of(root: Path) -> Path:
    """Return the session folder on the PC that led."""
    [journal] = root.glob(f"pc/*/Subjects/*/*/*/{readings.JOURNAL_NAME}")
    return journal.parent


def settle(root: Path) -> Path:
    """Give the files of a copied session the order in which they were written."""
    folder = folder_of(root)
    for seconds, name in enumerate((readings.JOURNAL_NAME, readings.VERDICT_NAME)):
        if (folder / name).exists():
            os.utime(folder / name, (1_700_000_000 + seconds,) * 2)
    return folder


def copy(name: str, place: Path) -> Path:
    """Return a copy of a session that may be written to."""
    shutil.copytree(SESSIONS / name, place / name)
    return place / name


def tell(root: Path, place: Path) -> dict[str, Any]:
    """Return all that is told of a session.

    Parameters
    ----------
    root : pathlib.Path
        Of the session, with a folder for each PC.
    place : pathlib.Path
        Where the index of sessions may be written.
    """
    folder = settle(root)
    manifests: dict[str, Any] = {}
    verified: dict[str, Any] = {}
    for part in sorted({one.parent for one in root.rglob("_multirig_manifest.*.json")}):
        manifests |= readings.read_manifests(part)
        verified[part.relative_to(root).as_posix()] = readings.verify(part)
    return {
        "account": readings.read_account(folder),
        "replay": readings.replay(folder),
        "history": readings.read_history(folder.parents[2], place / "index.sqlite"),
        "story": readings.read_story(folder),
        "picture": readings.read_picture(folder),
        "manifests": manifests,
        "verified": verified,
        "memories": {
            one.relative_to(root).as_posix(): readings.read_rig_memory(one)
            for one in sorted(root.glob("*/.multirig_*.json"))
            if not one.name.endswith(".rate.json")
        },
    }


def read_told(name: str) -> dict[str, Any]:
    """Return what 0.1 told of a session."""
    told = readings.load_json((SESSIONS / name / TOLD).read_text(encoding="utf-8"))
    if "account" not in told:  # it is what stands in the file of the verdict
        told["account"] = read_written_account(SESSIONS / name)
    return dict(told)


def read_written_account(root: Path) -> dict[str, Any]:
    """Return what 0.1 wrote beside the journal; the version of the program says nothing."""
    written = folder_of(root) / readings.VERDICT_NAME
    told = dict(readings.load_json(written.read_text(encoding="utf-8"))) if written.exists() else {}
    told.pop("version", None)
    return told


def write_told(name: str, target: Path, place: Path) -> None:
    """Write down what is told of a session, in a folder of its name."""
    root = copy(name, place)
    told = tell(root, place)
    if told["account"] == read_written_account(root):
        del told["account"]
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    (target / name).mkdir(parents=True, exist_ok=True)
    (target / name / TOLD).write_text(text.replace(',"', ',\n"') + "\n", encoding="utf-8", newline="\n")
    folder = folder_of(root)
    for file, options in ((SHOWN, ()), (SHOWN_JOURNAL, ("--journal",))):
        text = readings.show(folder, *options)
        (target / name / file).write_text(text, encoding="utf-8", newline="\n")
