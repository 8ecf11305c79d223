"""Simulated labs of 0.1: the same scenario gives the same datagrams at the same moments, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.corpus.driver import Line, expand
from tests.unit.corpus.labs import to_digest, to_lines

FOLDER = Path(__file__).parents[2] / "data" / "corpus-0.1" / "labs"
DIGESTS = [json.loads(line) for line in (FOLDER / "digests.jsonl").read_text(encoding="utf-8").splitlines()]
"""Of labs that say too much to be kept whole; where one differs, `record.py` writes it whole."""


def read(name: str) -> tuple[dict[str, Any], list[Line]]:
    """Return a scenario and its datagrams."""
    head, *rest = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    lines: list[Line] = []
    last: Line = {}
    for text in rest:
        line = json.loads(text)
        last = {key: line.get(key, last.get(key)) for key in ("at", "who")}
        lines.append({**last, **line})
    return json.loads(head)["scenario"], [expand(line, lines) for line in lines]


@pytest.mark.parametrize("name", ["calm.jsonl", "lossy.jsonl"])
def test_a_lab_of_0_1_says_the_same_again(name: str) -> None:
    scenario, expected = read(name)
    assert to_lines(scenario) == expected


@pytest.mark.parametrize("kept", DIGESTS, ids=[str(one["scenario"]["seed"]) for one in DIGESTS])
def test_a_lab_with_faults_of_0_1_says_the_same_again(kept: dict[str, Any]) -> None:
    assert to_digest(kept["scenario"]) == {key: kept[key] for key in ("datagrams", "blake2b")}


def test_every_kind_of_fault_is_among_them() -> None:
    kinds = {fault["kind"] for one in DIGESTS for fault in one["scenario"]["faults"]}
    assert len(kinds) >= 11
    assert {rig["wire"] for one in DIGESTS for rig in one["scenario"]["rigs"]} == {1, 2}


def test_a_nanosecond_more_is_noticed() -> None:
    scenario, expected = read("calm.jsonl")
    later = {**scenario, "rigs": [{**scenario["rigs"][0], "offset": scenario["rigs"][0]["offset"] + 1}]}
    assert to_lines(later) != expected
    assert to_digest(later) != to_digest(scenario)
