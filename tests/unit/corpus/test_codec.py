"""A message of each kind in the bytes of each wire: what is decoded is encoded as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.corpus.driver import encode_again, name_event, read_conversation, to_bytes

DATA = Path(__file__).parents[2] / "data" / "corpus-0.1"
PAIRS = [json.loads(line) for line in (DATA / "codec.jsonl").read_text(encoding="utf-8").splitlines()]
"""Of each message: its event, and its bytes on wire 1.0, on wire 1.0 as MATLAB writes it, and on wire 2."""
WIRES = ("wire 1.0", "compact", "wire 2")
KINDS = {
    "ERROR",
    "EXPINIT",
    "EXPSTART",
    "EXPEND",
    "EXPCLEANUP",
    "EXPINTERRUPT",
    "EXPSTATUS",
    "EXPINFO",
    "ALYX",
}


@pytest.mark.parametrize("pair", PAIRS, ids=[one["what"] for one in PAIRS])
def test_a_message_of_each_kind_is_encoded_as_it_was(pair: dict[str, str]) -> None:
    for wire in WIRES:
        if wire in pair:
            data = pair[wire].encode()
            assert encode_again(data) == data, wire
            assert name_event(data) == pair["event"], wire


def test_every_kind_stands_there_on_every_wire() -> None:
    for wire in WIRES:
        assert {one["event"] for one in PAIRS if wire in one} >= KINDS
    assert {one["event"] for one in PAIRS} >= {*KINDS, "boot", "who", "here", "ack"}


def test_all_that_0_1_said_in_its_conversations_is_encoded_as_it_was() -> None:
    seen = 0
    for path in sorted((DATA / "conversations").glob("*.jsonl")):
        lines = read_conversation(path)
        heard = {(line["who"], to_bytes(line)) for line in lines if line.get("do") == "hear"}
        said = {(line["who"], to_bytes(line)) for line in lines if "to" in line}
        for _, data in said - heard:  # an echo is the bytes as they came
            assert encode_again(data) == data, path.stem
        seen += len(said - heard)
    assert seen > 2000


@pytest.mark.parametrize("wire", WIRES)
def test_another_byte_gives_other_bytes(wire: str) -> None:
    pair = next(one for one in PAIRS if one["event"] == "EXPSTART" and wire in one)
    data = pair[wire].encode()
    assert encode_again(data.replace(b"SP_01", b"SP_02")) != data
    assert encode_again(data.replace(b",", b" ,", 1)) != data.replace(b",", b" ,", 1)
