"""What is proposed for a new rig is possible, and nobody else's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.config import DEFAULT_PORT, check_name
from multirig.rig.setup.proposals import (
    find_neighbours,
    propose_file,
    propose_label,
    propose_name,
    propose_port,
)


@pytest.mark.parametrize(
    ("host", "taken", "name"),
    [
        ("CAMERA-PC", [], "camera-pc"),
        ("pc7.lab.example.org", [], "pc7"),
        ("Jörg's PC", [], "j-rg-s-pc"),
        ("", [], "rig"),
        ("---", [], "rig"),
        ("実験室", [], "rig"),
        ("cam", ["Cam", "cam-2"], "cam-3"),
    ],
)
def test_a_rig_is_called_after_its_pc(host: str, taken: list[str], name: str) -> None:
    assert propose_name(host, taken) == name


@given(st.text(max_size=300))
def test_whatever_a_pc_is_called_its_rig_can_be(host: str) -> None:
    name = propose_name(host)
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("cameras:left", "cameras-left.yaml"),
        ("Küche 2", "k-che-2.yaml"),
        ("CON", "rig-con.yaml"),
        ("com1", "rig-com1.yaml"),
        ("console", "console.yaml"),
        ("v1.2", "v1-2.yaml"),
    ],
)
def test_a_rigs_file_is_called_after_it_as_every_system_can(name: str, file: str) -> None:
    assert propose_file(name) == file


@pytest.mark.parametrize(
    ("device", "taken", "label"),
    [
        ("Integrated Camera", [], "integrated"),
        ("HD Pro Webcam C920", [], "HDProWebcamC920"),
        ("USB2.0 PC CAMERA", [], "USB20PC"),
        ("Camera", [], "camera"),
        ("Kamera (böse)", [], "kamerabse"),
        ("", [], "camera"),
        ("test", ["Test", "test2"], "test3"),
        ("x" * 80, [], "x" * 24),
    ],
)
def test_a_camera_is_called_after_its_device(device: str, taken: list[str], label: str) -> None:
    assert propose_label(device, taken) == label


@given(st.text())
def test_whatever_a_device_is_called_its_files_can_be(device: str) -> None:
    label = propose_label(device)
    assert label.isascii()
    assert label.isalnum()


def test_the_rigs_of_a_folder_have_their_names_and_ports(tmp_path: Path) -> None:
    rig = "name: {}\nuri: udp://0.0.0.0:{}\ndata_folder: d\nadapter: {{type: fake}}\n"
    (tmp_path / "a.yaml").write_text(rig.format("a", 11001))
    (tmp_path / "b.yml").write_text(rig.format("b", 11002))
    (tmp_path / "c.yaml").write_text(rig.format("c", 11003))
    (tmp_path / "remote_rigs.yaml").write_text("a: udp://192.168.1.20\n")
    (tmp_path / "broken.yaml").write_text("{")
    found = find_neighbours(tmp_path, besides=tmp_path / "c.yaml")
    assert found.names == {"a": "a.yaml", "b": "b.yml"}
    assert found.ports == {11001: "a.yaml", 11002: "b.yml"}


def test_a_port_is_one_that_no_other_rig_has_and_no_program_uses() -> None:
    def is_free(port: int) -> bool:
        return port != DEFAULT_PORT + 1

    assert propose_port([], is_free) == DEFAULT_PORT
    assert propose_port([DEFAULT_PORT], is_free) == DEFAULT_PORT + 2
