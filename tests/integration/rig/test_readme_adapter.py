"""What the README teaches of adapters, served and led."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.docs.test_docs import read_blocks

from multirig.config import AdapterConfig
from multirig.errors import ConfigError
from multirig.rig.loading import build_adapter


@pytest.fixture
def sensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install the README's package, as pip would, and return a file that is its sensor."""
    files = {block.title: block.text for block in read_blocks("README.md") if block.title}
    (tmp_path / "thermometer.py").write_text(files["thermometer.py"])
    info = tmp_path / "thermometer-1.0.dist-info"
    info.mkdir()
    name, _, target = files["pyproject.toml"].strip().splitlines()[-1].partition(" = ")
    (info / "entry_points.txt").write_text(f"[multirig.adapters]\n{name} = {target.strip(chr(34))}\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thermometer\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "sensor"
    path.write_text("36.6\n")
    yield path
    sys.modules.pop("thermometer", None)


def build(**options: Any) -> Any:
    return build_adapter(AdapterConfig.model_validate({"type": "thermometer", **options}), "cage")


async def test_it_records_what_its_sensor_says(lab: Any, sensor: Path, until: Any) -> None:
    rig = await lab.rig(adapter=build(sensor=str(sensor)), main_sync=True)
    conductor = await lab.conductor()
    async with conductor.session("SP_01") as session:
        await session.init()
        await session.start()
        await asyncio.sleep(0.35)
        await session.stop()
    table = next(rig.config.data_folder.rglob("raw_temperature_data/temperature.csv")).read_text()
    assert [line.partition(",")[2] for line in table.splitlines()][:3] == ["temperature", "36.6", "36.6"]


async def test_a_sensor_that_fails_is_told_with_its_line(lab: Any, sensor: Path, until: Any) -> None:
    rig = await lab.rig(adapter=build(sensor=str(sensor)), main_sync=True)
    conductor = await lab.conductor()
    async with conductor.session("SP_01") as session:
        await session.init()
        await session.start()
        await asyncio.to_thread(sensor.rename, sensor.with_name("unplugged"))
        await until(lambda: rig.snapshot().failure)
        failure = rig.snapshot().failure
    assert "recording: FileNotFoundError" in failure
    assert "thermometer.py, line " in failure
    assert "self.sensor.read_text()" in failure


def test_a_wrong_key_of_it_is_refused_with_its_name(sensor: Path) -> None:
    with pytest.raises(ConfigError, match=r"adapter\.recording is not a key that exists"):
        build(sensor=str(sensor), recording=5)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("    file: TextIO | None = field(default=None, init=False)", None),
        ("    lock: Lock = field(default_factory=Lock, init=False)", None),
        ("    driver: 'NoSuchDriver' = field(default=None, init=False)", None),
        ("    file: TextIO | None = None", "'file' is of a type that no file can give"),
        ("    driver: 'NoSuchDriver' = None", "'driver' cannot be found"),
    ],
)
def test_what_is_no_key_may_be_of_any_type(sensor: Path, line: str, said: str | None) -> None:
    module = sensor.with_name("thermometer.py")
    before = "    sensor: Path\n"
    text = module.read_text().replace(before, f"{before}{line}\n")
    module.write_text(f"from threading import Lock\nfrom typing import TextIO\n{text}")
    if said is None:
        assert build(sensor="/dev/probe").sensor == Path("/dev/probe")
        return
    with pytest.raises(ConfigError, match=f"rig cage: adapter.type: .*{said}.*field\\(init=False\\)"):
        build(sensor="/dev/probe")
