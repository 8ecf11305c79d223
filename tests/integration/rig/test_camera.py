"""The camera adapter on real sources, with real threads, files and processes."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import errno
import gc
import http.server
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from multirig.errors import AdapterError, why_not
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.words import Expected
from multirig.record.sources import find_sources
from multirig.rig.adapter import Level, Session
from multirig.rig.adapters.camera import Camera
from multirig.rig.adapters.camera.frame_clock import arrived
from multirig.rig.adapters.camera.recording import Recording
from multirig.rig.adapters.camera.times import npy_header, read_ends

NOT_THERE = why_not(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
"""In the words of this system."""

SIZE = [160, 120]
AHEAD = 5_000_000_000_000
"""The conductor's clock in these tests is that much ahead, nanoseconds."""


def build(*cameras: dict[str, Any], **options: Any) -> Camera:
    defaults = {"label": "left", "source": "test", "fps": 30, "size": SIZE}
    listed = [defaults | camera for camera in cameras or ({},)]
    return TypeAdapter(Camera).validate_python({"cameras": listed, "min_free_gb": 0, **options})


def make_session(root: Path, number: int = 1) -> Session:
    session_folder = root / "lab" / "Subjects" / "mouse" / "2024-05-06" / f"{number:03d}"
    folder = session_folder / "raw_video_data"
    folder.mkdir(parents=True, exist_ok=True)
    return Session(
        exp_ref=ExpRef(datetime.date(2024, 5, 6), number, "mouse"),
        session_folder=session_folder,
        folder=folder,
        to_session_time=lambda stamp: stamp + AHEAD,
    )


async def record(camera: Camera, session: Session, seconds: float) -> None:
    camera.session = session
    await camera.initialise()
    await camera.start()
    await asyncio.sleep(seconds)
    await camera.stop()


def decode(path: Path) -> list[float]:
    """Return the time of each frame that can be decoded, in seconds from the first one."""
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def video(session: Session, label: str = "left") -> Path:
    return session.folder / f"_iblrig_{label}Camera.raw.mp4"


def times(session: Session, label: str = "left") -> np.ndarray:
    return np.load(session.folder / f"_iblrig_{label}Camera.times.npy")


def boxes(path: Path) -> list[str]:
    """Return the names of the outer boxes of an MP4 file."""
    data, place, found = path.read_bytes(), 0, []
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        found.append(data[place + 4 : place + 8].decode())
        place += length or len(data)
    return found


def encode_pictures(path: Path, count: int, fps: int, codec: str = "libx264") -> Path:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(count):
            picture = av.VideoFrame.from_ndarray(np.full((SIZE[1], SIZE[0], 3), number * 7 % 256, np.uint8))
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        left = [
            one.name
            for one in threading.enumerate()
            if one.name.startswith(("capture-", "encode-")) and one not in before
        ]
        if not left:
            return
        time.sleep(0.02)
    pytest.fail(f"threads are left: {left}")


class NetworkCamera:
    """A camera that shows JPEG pictures over HTTP or bare TCP, 50 a second, and does what a test asks."""

    def __init__(self, picture: bytes) -> None:
        self.picture = picture
        self.format = "mpjpeg"
        self.behaviour = "show"
        self.pause = 0.02
        """Seconds between two pictures."""
        self.hold = False
        """Whether pictures are kept for a while, as by a network; they come all at once after that."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        scheme = "http" if self.format == "mpjpeg" else "tcp"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/"

    def close(self) -> None:
        self.behaviour = "quit"
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        watchers = []
        while self.behaviour != "quit":
            connection, _ = self._listener.accept()
            watchers.append(threading.Thread(target=self._serve_one, args=(connection,), daemon=True))
            watchers[-1].start()
        for watcher in watchers:
            watcher.join()

    def _serve_one(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._show(connection)

    def _show(self, connection: socket.socket) -> None:
        if self.format == "mpjpeg":
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        kept: list[bytes] = []
        while self.behaviour not in ("end", "quit"):
            data = bytes(len(self.picture)) if self.behaviour == "garble" else self.picture
            if self.format == "mpjpeg":
                head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                data = head.encode() + data + b"\r\n"
            if self.behaviour != "freeze":
                kept.append(data)
            if not self.hold:
                connection.sendall(b"".join(kept))
                kept.clear()
            time.sleep(self.pause)


@pytest.fixture
def network_camera(tmp_path: Path) -> Iterator[NetworkCamera]:
    path = encode_pictures(tmp_path / "picture.avi", 1, 25, "mjpeg")
    with av.open(str(path)) as container:
        picture = bytes(next(container.demux(video=0)))
    camera = NetworkCamera(picture)
    yield camera
    camera.close()


def network(camera: NetworkCamera, **options: Any) -> dict[str, Any]:
    return {"source": camera.url, "format": camera.format, "fps": 50, "size": None, **options}


def test_its_rig_waits_for_a_slow_camera_for_as_long_as_the_camera_is_allowed() -> None:
    assert build({"open_limit": 40, "stall_limit": 70}).least_limits()["initialise"] > 40
    assert build({"label": "left"}, {"label": "right", "fps": 0.05}).least_limits()["initialise"] > 60
    slow = build({"label": "left"}, {"label": "right", "fps": 0.05}).least_limits()
    assert slow["start"] > 20


def test_every_frame_in_the_video_has_one_time_on_the_conductors_clock(tmp_path: Path) -> None:
    camera, session = (
        build({"label": "left", "fps": 30}, {"label": "right", "fps": 60}),
        make_session(tmp_path),
    )

    async def run() -> tuple[int, int]:
        camera.session = session
        await camera.initialise()
        begin = time.perf_counter_ns()
        await camera.start()
        await asyncio.sleep(1.2)
        assert camera.health().rate == pytest.approx(90, abs=25)
        await camera.stop()
        end = time.perf_counter_ns()
        await camera.cleanup()
        return begin + AHEAD, end + AHEAD

    begin, end = asyncio.run(run())
    total = 0
    for label, fps in (("left", 30), ("right", 60)):
        shown, stamps = decode(video(session, label)), times(session, label)
        total += len(shown)
        assert stamps.dtype == np.float64
        assert len(shown) == len(stamps)
        assert len(stamps) == pytest.approx(1.2 * fps, rel=0.25)
        assert np.all(np.diff(stamps) > 0)
        assert np.median(np.diff(stamps)) == pytest.approx(1 / fps, rel=0.05)
        assert begin / 1e9 < stamps[0] < stamps[-1] < end / 1e9
        np.testing.assert_allclose(shown, stamps - stamps[0], atol=1e-3)
    health = camera.health()
    assert (health.frames, health.dropped) == (total, 0)
    assert health.bytes == sum(path.stat().st_size for path in session.folder.iterdir())
    assert [(one.path.rpartition("/")[2], one.frames, one.bytes) for one in camera.files()] == [
        (path.name, len(times(session, label)), path.stat().st_size)
        for label in ("left", "right")
        for path in (video(session, label), session.folder / f"_iblrig_{label}Camera.times.npy")
    ]
    first = camera.files()[0]
    assert first.path == "raw_video_data/_iblrig_leftCamera.raw.mp4"
    assert (first.first, first.last) == (times(session)[0], times(session)[-1])


def test_a_stopped_video_is_an_indexed_mp4(tmp_path: Path) -> None:
    camera, session = build(), make_session(tmp_path)

    async def run() -> None:
        await record(camera, session, 0.3)
        await camera.cleanup()

    asyncio.run(run())
    assert "moov" in boxes(video(session))
    assert "moof" not in boxes(video(session))
    with av.open(str(video(session))) as container:
        stream = container.streams.video[0]
        assert stream.frames == len(times(session))
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", *SIZE)


def test_start_returns_when_the_video_has_a_frame(tmp_path: Path) -> None:
    camera = build()
    camera.session = make_session(tmp_path)

    async def run() -> None:
        await camera.initialise()
        assert not list(camera.session.folder.iterdir())
        assert camera.health().frames == 0
        await camera.start()
        health = camera.health()
        assert health.frames
        assert health.bytes
        await camera.start()
        await camera.cleanup()

    asyncio.run(run())
    assert len(list(camera.session.folder.iterdir())) == 2


def test_hooks_may_be_called_twice_and_out_of_turn(tmp_path: Path) -> None:
    camera = build()

    async def run() -> None:
        await camera.stop()
        await camera.cleanup()
        camera.session = make_session(tmp_path)
        with pytest.raises(AdapterError, match="camera left is not open: initialise first"):
            await camera.start()
        await camera.initialise()
        await camera.stop()
        await camera.initialise()
        await camera.start()
        await camera.stop()
        written = video(camera.session).read_bytes()
        await camera.stop()
        await camera.cleanup()
        await camera.cleanup()
        assert video(camera.session).read_bytes() == written

    asyncio.run(run())
    assert len(decode(video(camera.session))) == len(times(camera.session)) > 0


def test_stop_in_the_middle_of_a_start_closes_the_files(tmp_path: Path) -> None:
    camera = build({"fps": 5})
    camera.session = make_session(tmp_path)

    async def run() -> None:
        await camera.initialise()
        start = asyncio.create_task(camera.start())
        await asyncio.sleep(0)
        await camera.stop()
        await start
        await camera.cleanup()

    asyncio.run(run())
    if camera.health().frames:
        assert len(decode(video(camera.session))) == len(times(camera.session))


@pytest.mark.parametrize(
    ("source", "reason", "advice"),
    [
        pytest.param(
            *("/dev/video987", "No such file or directory", "check that it is plugged in"),
            marks=pytest.mark.skipif(sys.platform == "win32", reason="a camera is no file there"),
        ),
        ("nowhere.mp4", NOT_THERE, "check the path"),
        ("http://user:secret@127.0.0.1:1/", "Connection refused", "check the address"),
        ("http://127.0.0.1:1/?user=admin&pwd=secret", "Connection refused", "check the address"),
        ("rtsp://127.0.0.1:1/user=admin_password=secret", "Connection refused", "check the address"),
        (
            "rtsp://admin:p@ss/secret@127.0.0.1:1/",
            "rtsp://***@127.0.0.1:1/",
            "as %2F %3F %23 and %40, or check",
        ),
        (__file__, "Invalid data found", "check the path"),
    ],
)
def test_a_missing_source_is_told_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], source: str, reason: str, advice: str
) -> None:
    gc.collect()  # an encoder of an earlier test says its farewell when it is thrown away
    capfd.readouterr()
    av.logging.restore_default_callback()
    camera = build({"label": "right"}, {"label": "left", "source": source})
    camera.session = make_session(tmp_path)

    async def run() -> None:
        await camera.initialise()

    with pytest.raises(AdapterError) as caught:
        asyncio.run(run())
    message = str(caught.value)
    assert message.startswith("camera left: ")
    assert "camera right" not in message
    assert "secret" not in message
    assert reason in message
    assert advice in message
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


def test_a_source_that_shows_nothing_is_told_in_time(tmp_path: Path, network_camera: NetworkCamera) -> None:
    network_camera.behaviour = "freeze"
    camera = build(network(network_camera, open_limit=0.5, stall_limit=0.5))
    camera.session = make_session(tmp_path)
    begin = time.monotonic()
    with pytest.raises(AdapterError, match=r"camera left: http://.* \(it does not answer\)|gave no picture"):
        asyncio.run(camera.initialise())
    assert time.monotonic() - begin < 4


@pytest.mark.parametrize("status", [401, 403])
def test_a_camera_that_lets_nobody_in_is_told_with_how_to_say_who_one_is(tmp_path: Path, status: int) -> None:
    class Closed(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Closed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        camera = build({"source": f"http://admin:secret@127.0.0.1:{server.server_port}/"})
        camera.session = make_session(tmp_path)
        with pytest.raises(AdapterError, match=r"does not let this PC in: give its user and its password in"):
            asyncio.run(camera.initialise())
        server.shutdown()


def test_a_disk_without_room_for_a_minute_is_told_in_figures_that_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1234)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    camera = build(min_free_gb=0)
    camera.session = make_session(tmp_path)
    with pytest.raises(
        AdapterError, match=r"is full: 1\.2 kB are free and [\d.]+ \wB are wanted: free space$"
    ):
        asyncio.run(camera.initialise())


def test_a_full_disk_is_refused_before_the_session(tmp_path: Path) -> None:
    camera = build(min_free_gb=1e9)
    camera.session = make_session(tmp_path)
    with pytest.raises(AdapterError, match=r"is full: .* GB are free and 1000000000.00 GB are wanted"):
        asyncio.run(camera.initialise())


def test_a_folder_that_is_gone_is_told_in_one_line(tmp_path: Path) -> None:
    camera = build()
    camera.session = make_session(tmp_path)
    camera.session.folder.rmdir()
    with pytest.raises(AdapterError, match=r"raw_video_data cannot be reached \(.+\)"):
        asyncio.run(camera.initialise())


CHILD = textwrap.dedent(
    """
    import asyncio, importlib.util, pathlib, sys
    spec = importlib.util.spec_from_file_location("cameras", sys.argv[1])
    cameras = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cameras)

    async def run():
        camera = cameras.build()
        camera.session = cameras.make_session(pathlib.Path(sys.argv[2]))
        await camera.initialise()
        await camera.start()
        print("started", flush=True)
        try:
            await camera.watch()
        except cameras.AdapterError as error:
            print(error, flush=True)
        await camera.stop()
        for file in camera.files():
            print(file.frames, file.first, file.last, flush=True)
        await camera.cleanup()
    """
)


def test_a_killed_process_leaves_a_playable_video_and_readable_times(tmp_path: Path) -> None:
    code = CHILD + "asyncio.run(run())"
    child = subprocess.Popen([sys.executable, "-c", code, __file__, str(tmp_path)], stdout=subprocess.PIPE)
    with child:
        assert child.stdout
        assert child.stdout.readline().strip() == b"started"
        time.sleep(1.5)
        child.kill()
    session = make_session(tmp_path)
    shown, stamps = decode(video(session)), times(session)
    assert len(shown) >= 30
    assert 25 <= len(stamps) <= len(shown) + 1
    both = min(len(shown), len(stamps))
    np.testing.assert_allclose(shown[:both], (stamps - stamps[0])[:both], atol=1e-3)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit for the size of a file")
def test_a_disk_that_takes_no_more_fails_the_recording_and_keeps_what_was_written(tmp_path: Path) -> None:
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
    limit += "sys.dont_write_bytecode = True\n"  # it would be cut, and break the next program that loads it
    code = limit + CHILD + "asyncio.run(run())"
    done = subprocess.run(
        [sys.executable, "-c", code, __file__, str(tmp_path)], capture_output=True, text=True, timeout=20
    )
    session = make_session(tmp_path)
    _started, message, *counts = done.stdout.splitlines()
    assert message == (
        f"camera left: cannot write to {session.folder} (File too large): check the disk; "
        "what was written is kept"
    )
    shown, stamps = decode(video(session)), times(session)
    assert len(shown) == len(stamps) > 5
    assert counts == [f"{len(shown)} {stamps[0]} {stamps[-1]}"] * 2
    assert done.returncode == 0


def test_a_file_is_played_at_its_own_speed_and_its_end_is_no_failure(tmp_path: Path) -> None:
    path = encode_pictures(tmp_path / "film.mp4", 20, 25)
    camera = build({"source": str(path), "fps": None, "size": None})
    session = make_session(tmp_path)

    async def run() -> None:
        camera.session = session
        await camera.initialise()
        await camera.start()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(camera.watch(), 1.2)
        assert "moof" not in boxes(video(session))
        await camera.stop()
        assert camera.describe() == {"cameras": [{"label": "left", "size": SIZE, "fps": 25}]}
        await camera.cleanup()

    asyncio.run(run())
    stamps = times(session)
    assert len(decode(video(session))) == len(stamps) == 20
    assert stamps[-1] - stamps[0] == pytest.approx(19 / 25, abs=0.1)


def test_each_camera_is_described_with_its_folder_and_its_line_of_the_main_sync() -> None:
    camera = build({}, {"label": "right", "sync_label": "right_camera"})
    assert camera.experiment_description() == {
        "devices": {
            "cameras": {
                "left": {"collection": "raw_video_data", "sync_label": "left"},
                "right": {"collection": "raw_video_data", "sync_label": "right_camera"},
            }
        }
    }


def test_a_file_may_begin_again_at_its_end(tmp_path: Path) -> None:
    path = encode_pictures(tmp_path / "film.mp4", 5, 25)
    camera, session = build({"source": str(path), "fps": None, "loop": True}), make_session(tmp_path)

    async def run() -> None:
        await record(camera, session, 0.8)
        await camera.cleanup()

    asyncio.run(run())
    stamps = times(session)
    assert len(stamps) > 10
    assert stamps[-1] - stamps[0] == pytest.approx((len(stamps) - 1) / 25, abs=0.1)


def test_what_is_expected_of_a_camera_goes_with_its_files_and_is_its_own(tmp_path: Path) -> None:
    camera = build({"expect": {"fps": 60, "longest_gap": 0.1}}, {"label": "right"})
    session = make_session(tmp_path)
    asyncio.run(record(camera, session, 1.5))
    for file in camera.files():
        assert file.evidence is not None
        given = Expected(fps=60, longest_gap=0.1) if file.evidence.source == "left" else None
        assert file.evidence.expected == given
    assert [one.promised for one in find_sources(camera.files())] == [60, 30]
    asyncio.run(camera.cleanup())


def test_one_adapter_records_one_session_after_another(tmp_path: Path) -> None:
    camera, sessions = build({}), [make_session(tmp_path, number) for number in (1, 2)]

    async def run() -> None:
        await record(camera, sessions[0], 0.4)
        first = camera.health().frames
        assert first == len(times(sessions[0]))
        await camera.cleanup()
        await record(camera, sessions[1], 0.2)
        assert camera.health().frames == len(times(sessions[1]))
        await camera.cleanup()

    asyncio.run(run())
    assert times(sessions[0])[-1] < times(sessions[1])[0]
    assert [len(decode(video(one))) for one in sessions] == [len(times(one)) for one in sessions]


def test_the_times_are_those_of_the_clocks_as_they_are_known_at_the_end(tmp_path: Path) -> None:
    ahead = [AHEAD]
    camera = build()
    session = replace(make_session(tmp_path), to_session_time=lambda stamp: stamp + ahead[0])

    async def run() -> None:
        camera.session = session
        await camera.initialise()
        await camera.start()
        await asyncio.sleep(1.3)
        early = times(session)
        assert len(early) > 20
        ahead[0] += 7_000_000_000
        await camera.stop()
        await camera.cleanup()
        np.testing.assert_allclose(times(session)[: len(early)] - early, 7, atol=1e-6)

    asyncio.run(run())
    assert sorted(path.name for path in session.folder.iterdir()) == [
        "_iblrig_leftCamera.raw.mp4",
        "_iblrig_leftCamera.times.npy",
    ]


def test_a_frame_from_before_the_start_is_not_recorded(tmp_path: Path) -> None:
    camera, session = build(), make_session(tmp_path)
    recording = Recording(camera.cameras[0], session)
    before = time.perf_counter_ns()
    recording.open(30, time.perf_counter_ns())
    recording.offer(arrived(before), av.VideoFrame(SIZE[0], SIZE[1]))
    recording.finish()
    recording.finished.result(timeout=5)
    assert not list(session.folder.iterdir())


def test_a_second_run_of_a_session_leaves_the_first_as_it_is(tmp_path: Path) -> None:
    session = make_session(tmp_path)

    async def run(camera: Camera) -> None:
        await record(camera, session, 0.2)
        await camera.cleanup()

    asyncio.run(run(build()))
    before = video(session).read_bytes()
    camera = build()
    asyncio.run(run(camera))
    assert video(session).read_bytes() == before
    assert [(one.path.rpartition("/")[2], one.frames is None) for one in camera.files()] == [
        ("_iblrig_leftCamera.raw.mp4", True),
        ("_iblrig_leftCamera.raw.part2.mp4", False),
        ("_iblrig_leftCamera.times.npy", False),
        ("_iblrig_leftCamera.times.part2.npy", False),
    ]
    stamps = times(session)
    earlier = camera.files()[2]
    assert (earlier.frames, earlier.first, earlier.last) == (len(stamps), stamps[0], stamps[-1])


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", npy_header(0), npy_header(9)])
def test_times_of_which_none_reached_the_disk_are_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "times.npy"
    path.write_bytes(content)
    assert read_ends(path) == (0, None, None)


def test_a_video_that_is_cut_off_anywhere_shows_every_frame_before_the_cut(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    snapshots = []

    async def run(camera: Camera) -> None:
        camera.session = session
        await camera.initialise()
        await camera.start()
        await asyncio.sleep(0.5)
        snapshots.append(video(session).read_bytes())  # what a power cut would leave, at best
        await camera.stop()
        await camera.cleanup()

    asyncio.run(run(build()))
    whole, shown = snapshots[0], []
    for length in range(len(whole), len(whole) // 2, -997):
        cut = tmp_path / "cut.mp4"
        cut.write_bytes(whole[:length])
        pictures = 0
        with av.open(str(cut)) as container, contextlib.suppress(av.error.InvalidDataError):
            for _ in container.decode(video=0):
                pictures += 1
        shown.append(pictures)
    assert shown == sorted(shown, reverse=True)
    assert shown[0] >= 5
    assert shown[-1] >= shown[0] // 3


def test_a_recording_is_resumed_in_further_files_and_the_earlier_ones_stay_as_they_are(
    tmp_path: Path,
) -> None:
    code = CHILD + "asyncio.run(run())"
    child = subprocess.Popen([sys.executable, "-c", code, __file__, str(tmp_path)], stdout=subprocess.PIPE)
    with child:
        assert child.stdout
        assert child.stdout.readline().strip() == b"started"
        time.sleep(1.5)
        child.kill()
    session = make_session(tmp_path)
    before = {path.name: path.read_bytes() for path in session.folder.iterdir()}
    camera = build()

    async def resume() -> None:
        camera.session = session
        await camera.initialise()
        await camera.resume()
        await asyncio.sleep(0.5)
        await camera.stop()
        await camera.cleanup()

    asyncio.run(resume())
    assert {name: (session.folder / name).read_bytes() for name in before} == before
    counts = {}
    for part in ("", ".part2"):
        shown = decode(session.folder / f"_iblrig_leftCamera.raw{part}.mp4")
        stamps = np.load(session.folder / f"_iblrig_leftCamera.times{part}.npy")
        counts[part] = min(len(shown), len(stamps))
        np.testing.assert_allclose(shown[: counts[part]], (stamps - stamps[0])[: counts[part]], atol=1e-3)
        told = next(one for one in camera.files() if one.path.endswith(f"times{part}.npy"))
        assert (told.frames, told.first, told.last) == (len(stamps), stamps[0], stamps[-1])
    assert counts[""] >= 25
    assert counts[".part2"] >= 5
    assert Camera.resumes


def test_a_network_camera_gives_fresh_frames_from_the_start_on(
    tmp_path: Path, network_camera: NetworkCamera
) -> None:
    camera, session = build(network(network_camera)), make_session(tmp_path)

    async def run() -> int:
        camera.session = session
        await camera.initialise()
        await asyncio.sleep(0.3)
        begin = time.perf_counter_ns()
        await camera.start()
        await asyncio.sleep(0.4)
        await camera.stop()
        assert camera.describe() == {"cameras": [{"label": "left", "size": SIZE, "fps": 50}]}
        await camera.cleanup()
        return begin + AHEAD

    begin = asyncio.run(run())
    stamps = times(session)
    assert begin / 1e9 <= stamps[0] < begin / 1e9 + 0.2
    assert len(decode(video(session))) == len(stamps) == pytest.approx(20, abs=8)


def test_a_picture_that_cannot_be_read_is_counted_as_dropped(
    tmp_path: Path, network_camera: NetworkCamera
) -> None:
    camera, session = build(network(network_camera)), make_session(tmp_path)

    async def run() -> None:
        camera.session = session
        await camera.initialise()
        await camera.start()
        network_camera.behaviour = "garble"
        await asyncio.sleep(0.2)
        network_camera.behaviour = "show"
        await asyncio.sleep(0.2)
        await camera.stop()
        await camera.cleanup()

    asyncio.run(run())
    assert camera.health().dropped > 3
    assert len(decode(video(session))) == len(times(session)) == camera.health().frames


def test_a_recording_that_failed_does_not_fail_the_next_session(tmp_path: Path) -> None:
    camera, sessions = build({"stall_limit": 0.5}), [make_session(tmp_path, number) for number in (1, 2)]

    async def run() -> None:
        camera.session = sessions[0]
        await camera.initialise()
        sessions[0].folder.rmdir()
        with pytest.raises(AdapterError, match=rf"camera left: cannot write to .* \({NOT_THERE}\)"):
            await camera.start()
        await camera.stop()
        await camera.cleanup()
        await record(camera, sessions[1], 0.2)
        await camera.cleanup()

    asyncio.run(run())
    assert len(decode(video(sessions[1]))) == len(times(sessions[1])) > 0


def test_frames_that_the_encoder_cannot_take_are_dropped_and_counted(tmp_path: Path) -> None:
    camera = build({"fps": 1000, "size": [640, 480], "preset": "slow", "queue": 2})
    session = make_session(tmp_path)

    async def run() -> None:
        await record(camera, session, 0.4)
        await camera.cleanup()

    asyncio.run(run())
    health = camera.health()
    assert health.dropped > 10
    assert len(decode(video(session))) == len(times(session)) == health.frames


def test_frames_that_still_wait_when_stop_must_end_are_dropped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multirig.rig.adapters.camera.adapter.STOP_LIMIT", 0.05)
    camera = build({"fps": 1000, "size": [640, 480], "preset": "slow", "crf": 1, "queue": 200})
    session = make_session(tmp_path)

    async def run() -> float:
        camera.session = session
        await camera.initialise()
        await camera.start()
        await asyncio.sleep(0.5)
        begin = time.monotonic()
        await camera.stop()
        took = time.monotonic() - begin
        await camera.cleanup()
        return took

    assert asyncio.run(run()) < 1
    assert camera.health().dropped > 50
    assert len(decode(video(session))) == len(times(session)) == camera.health().frames


def test_a_disk_that_hangs_ends_the_watch_and_stop_does_not_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multirig.rig.adapters.camera.adapter.STOP_LIMIT", 0.1)
    monkeypatch.setattr("multirig.rig.adapters.camera.adapter.CLOSE_LIMIT", 0.1)
    works_again = threading.Event()

    def hang(stamp: int) -> int:
        works_again.wait()
        return stamp

    camera = build({"stall_limit": 0.3})
    camera.session = replace(make_session(tmp_path), to_session_time=hang)

    async def run() -> None:
        await camera.initialise()
        await camera.start()
        with pytest.raises(AdapterError, match=r"^camera left: .* takes no more data: check the disk$"):
            await asyncio.wait_for(camera.watch(), 5)
        begin = time.monotonic()
        with pytest.raises(AdapterError, match="the files are still open: check the disk, then restart"):
            await camera.stop()
        assert time.monotonic() - begin < 1
        works_again.set()
        await asyncio.sleep(0.2)
        await camera.cleanup()

    asyncio.run(run())
    assert len(decode(video(camera.session))) == len(times(camera.session)) > 0


def test_a_source_that_falls_behind_its_due_times_is_an_alarm(tmp_path: Path) -> None:
    camera = build({"fps": 10_000, "size": [1280, 960], "stall_limit": 0.6})
    camera.session = make_session(tmp_path)

    async def run() -> None:
        await camera.initialise()
        await camera.start()
        deadline = time.monotonic() + 5
        while not camera.findings():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        await camera.stop()
        await camera.cleanup()

    asyncio.run(run())
    [alarm] = camera.findings()
    assert alarm.level is Level.ALARM
    assert alarm.text.startswith("camera left: test gives no frames, or too slowly")


def test_the_event_loop_is_never_blocked(tmp_path: Path, network_camera: NetworkCamera) -> None:
    camera = build({"label": "left"}, {"label": "right", "fps": 60}, network(network_camera, label="body"))
    gaps: list[float] = []

    async def tick() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.005)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    async def run() -> None:
        ticker = asyncio.create_task(tick())
        await record(camera, make_session(tmp_path), 0.4)
        await camera.cleanup()
        ticker.cancel()

    asyncio.run(run())
    assert max(gaps) < 0.25


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cameras": []}, "at least 1 item"),
        ({"cameras": [{"label": "left", "source": "test"}, {"label": "Left", "source": "0"}]}, "used twice"),
        ({"cameras": [{"label": "../left", "source": "test"}]}, "label"),
        ({"cameras": [{"label": "left"}]}, "source"),
        ({"cameras": [{"label": "left", "source": "test", "fps": 0}]}, "fps"),
        ({"cameras": [{"label": "left", "source": "test", "size": [641, 480]}]}, "even numbers"),
        ({"cameras": [{"label": "left", "source": "test", "fsp": 60}]}, "fsp"),
        ({"cameras": [{"label": "left", "source": "test"}], "camera": 1}, "camera"),
    ],
)
def test_a_wrong_config_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(Camera).validate_python(wrong)


def test_without_pyav_the_import_names_the_extra_in_one_line() -> None:
    code = textwrap.dedent(
        """
        import sys
        sys.modules["av"] = None
        from multirig.errors import ConfigError
        try:
            import multirig.rig.adapters.camera
        except ConfigError as error:
            print(error)
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    advice = "pip install 'multirig[camera]', or uv tool install 'multirig[camera]'"
    assert done.stdout == f"the camera adapter needs PyAV: {advice}\n"
