"""Which cameras a system tells of, and how each is written into a rig's file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from multirig.rig.setup.cameras import FoundCamera, find_linux_cameras, name_mac_cameras, name_windows_cameras


def test_a_camera_of_windows_is_called_as_windows_shows_it() -> None:
    own = ("@device_pnp_1", "@device_pnp_2", "@device_pnp_3", "@device_pnp_4")
    shown = ("Integrated Camera", "USB Video", "USB Video", "Cage: left")
    found = name_windows_cameras(zip(own, shown, strict=True))
    assert [one.source for one in found] == [
        "video=Integrated Camera",
        *("video=@device_pnp_2", "video=@device_pnp_3"),  # else one of them could not be chosen
        "video=@device_pnp_4",  # FFmpeg would part it at the colon
    ]
    assert [one.name for one in found] == list(shown)


def test_a_screen_is_no_camera_of_a_mac() -> None:
    found = name_mac_cameras([("0", "FaceTime HD Camera"), ("1", "Capture screen 0"), ("", "x")])
    assert found == [FoundCamera(source="0", name="FaceTime HD Camera")]


def test_a_camera_of_linux_is_found_at_a_path_that_stays_with_it(tmp_path: Path) -> None:
    video, by_id, devices = tmp_path / "video4linux", tmp_path / "by-id", tmp_path / "dev"
    for node, index, name in (("video10", 0, "Cage"), ("video0", 0, "HD Cam"), ("video1", 1, "HD Cam")):
        (video / node).mkdir(parents=True)
        (video / node / "index").write_text(f"{index}\n")
        (video / node / "name").write_text(f"{name}\n")
    assert find_linux_cameras(video, by_id, devices) == [
        FoundCamera(source=(devices / "video0").as_posix(), name="HD Cam"),
        FoundCamera(source=(devices / "video10").as_posix(), name="Cage"),
    ]
    assert find_linux_cameras(tmp_path / "none", by_id, devices) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a link there is made by an administrator only")
def test_a_camera_of_linux_that_udev_knows_is_called_by_its_serial_number(tmp_path: Path) -> None:
    video, by_id, devices = tmp_path / "video4linux", tmp_path / "by-id", tmp_path / "dev"
    for folder in (video / "video0", by_id, devices):
        folder.mkdir(parents=True)
    (devices / "video0").write_text("")
    lasting = by_id / "usb-maker_cam_0001-video-index0"
    lasting.symlink_to(devices / "video0")
    [found] = find_linux_cameras(video, by_id, devices)
    assert found == FoundCamera(source=lasting.as_posix(), name="video0")
