"""What the leading PC's own file may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from multirig.config import ConductorConfig, load_conductor_config
from multirig.errors import ConfigError
from multirig.lifecycle.clock_gate import ClockGate, Reaction


def load(folder: Path, text: str | None) -> ConductorConfig:
    if text is not None:
        (folder / "multirig.yaml").write_text(text)
    return load_conductor_config(folder / "remote_rigs.yaml")


@pytest.mark.parametrize("text", [None, "", "clock: {}"])
def test_without_a_word_all_is_as_usual(tmp_path: Path, text: str | None) -> None:
    assert load(tmp_path, text).clock.to_gate() == ClockGate()


def test_the_rules_for_clocks_are_taken(tmp_path: Path) -> None:
    gate = load(tmp_path, "clock: {wide: refuse, max_bound: 1 ms, unknown: ignore}").clock.to_gate()
    assert gate == ClockGate(wide=Reaction.REFUSE, max_bound=1_000_000, unknown=Reaction.IGNORE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clock: {wide: maybe}", "wide"),
        ("clock: {max_bound: soon}", "is not a duration"),
        ("clok: {}", "clok"),
        ("- clock", "write key: value lines"),
    ],
)
def test_what_is_wrong_is_one_line_with_the_file_and_the_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert words in str(caught.value)
    assert "multirig.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.attack
@pytest.mark.parametrize("text", ["open: true\n", "allow_ibl: [192.168.1.30]\n"])
def test_whoever_can_write_beside_a_rigs_file_makes_nobody_believe_strangers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "multirig.yaml").write_text(text)
    monkeypatch.setattr("multirig.config.conductor.config_folder", lambda: tmp_path / "own")
    with pytest.raises(ConfigError, match=r"count only in your own folder.*move them to .*own"):
        load_conductor_config(tmp_path / "remote_rigs.yaml")
    monkeypatch.setattr("multirig.config.conductor.config_folder", lambda: tmp_path)
    config = load_conductor_config(tmp_path / "remote_rigs.yaml")
    assert config.open or config.allow_ibl
