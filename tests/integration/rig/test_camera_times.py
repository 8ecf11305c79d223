"""Frame times of real streams: by the source's own clock where it has one; what is told where it has none."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import threading
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from tests.integration.rig.test_camera import (
    AHEAD,
    SIZE,
    NetworkCamera,
    build,
    decode,
    encode_pictures,
    make_session,
    network,
    record,
    times,
    video,
)
from tests.integration.rig.test_camera import _no_thread_is_left as _no_thread_is_left
from tests.integration.rig.test_camera import network_camera as network_camera

from multirig.rig.adapter import Evidence
from multirig.rig.adapters.camera import Camera
from multirig.rig.adapters.camera.frame_clock import arrived
from multirig.rig.adapters.camera.times import FrameTimes

FPS = 30


class Stream:
    """MPEG-TS over TCP: each picture sent when it is due, but for a hiccup of the network.

    The truth of a frame is in the picture: its grey value is its number, 4 to each step, 60 frames around.
    """

    def __init__(self, hiccup: tuple[float, float] = (1e9, 0.0), lost: range = range(0)) -> None:
        self.began = 0
        """When the picture 0 was due; ns of this PC's clock."""
        self._hiccup = hiccup
        self._lost = lost
        self._ends = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        self._ends = True
        with contextlib.suppress(OSError):
            socket.create_connection(self._listener.getsockname()).close()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, contextlib.suppress(OSError):
            self._send(connection)

    def _send(self, connection: socket.socket) -> None:
        out = io.BytesIO()
        with av.open(out, "w", format="mpegts", options={"flush_packets": "1"}) as container:
            stream: Any = container.add_stream("libx264", rate=FPS, options={"tune": "zerolatency"})
            stream.width, stream.height, stream.pix_fmt, stream.codec_context.gop_size = *SIZE, "yuv420p", 10
            self.began = time.perf_counter_ns()
            number = 0
            while not self._ends:
                grey = np.full((SIZE[1], SIZE[0], 3), number % 60 * 4 + 8, np.uint8)
                if number not in self._lost:
                    picture = av.VideoFrame.from_ndarray(grey)
                    picture.pts = number
                    container.mux(stream.encode(picture))
                due = number / FPS
                start, length = self._hiccup
                if start <= due < start + length:
                    due = start + length
                time.sleep(max(0.0, due - (time.perf_counter_ns() - self.began) / 1e9))
                connection.sendall(out.getvalue())
                out.seek(0)
                out.truncate()
                number += 1


def stream_of(source: Stream, **options: Any) -> dict[str, Any]:
    # a live stream is looked at for 5 s otherwise before it is shown
    quick = {"probesize": "20000", "analyzeduration": "300000"}
    return {"source": source.url, "format": "mpegts", "fps": None, "size": None, "options": quick, **options}


def read_numbers(path: Path) -> np.ndarray:
    """Return the numbers of the pictures of a video, from how grey they are."""
    with av.open(str(path)) as container:
        greys = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
    numbers = np.round((np.array(greys) - 8) / 4).astype(int)
    steps = np.diff(numbers) % 60
    return np.concatenate([[numbers[0]], numbers[0] + np.cumsum(steps)])


def find_evidence(camera: Camera, name: str = "times.npy") -> Evidence:
    [found] = [one.evidence for one in camera.files() if one.path.endswith(name)]
    assert found is not None
    return found


def record_stream(camera: Camera, session: Any, seconds: float) -> None:
    async def run() -> None:
        await record(camera, session, seconds)
        await camera.cleanup()

    asyncio.run(run())


def test_a_hiccup_of_a_stream_with_a_clock_moves_no_frame_time(tmp_path: Path) -> None:
    source, session = Stream(hiccup=(2.5, 1.5)), make_session(tmp_path)
    camera = build(stream_of(source))
    try:
        record_stream(camera, session, 4.5)
    finally:
        source.close()
    numbers, stamps = read_numbers(video(session)), times(session)
    arrivals = np.load(session.folder / "_iblrig_leftCamera.arrivals.npy")
    assert len(numbers) == len(stamps) == len(arrivals)
    assert np.all(np.diff(stamps) > 0)
    # the picture's number tells when it was due; what is left is constant: the way through encoder and socket
    off = stamps - numbers / FPS
    off -= np.median(off)
    assert np.max(np.abs(off)) < 0.002
    assert np.max(arrivals - stamps) > 1.0
    assert np.all(arrivals >= stamps)
    told = find_evidence(camera)
    assert (told.stamped_by, told.bursts, told.missing, told.backwards) == ("source", 0, 0, 0)
    assert told.bound is not None
    assert np.max(np.abs(off)) <= told.bound < 0.02
    assert told.rate == pytest.approx(FPS, rel=0.01)
    assert told.longest_gap == pytest.approx(1 / FPS, abs=0.005)
    assert find_evidence(camera, "raw.mp4") == told
    shown = np.array(decode(video(session)))
    assert np.max(np.diff(shown)) < 0.1  # the video's own times do not show the hiccup


def test_frames_that_are_missing_in_a_stream_are_counted_by_its_clock(tmp_path: Path) -> None:
    source, session = Stream(lost=range(70, 73)), make_session(tmp_path)
    camera = build(stream_of(source))
    try:
        record_stream(camera, session, 3.0)
    finally:
        source.close()
    told = find_evidence(camera)
    assert told.missing == 3
    assert told.longest_gap == pytest.approx(4 / FPS, abs=0.01)
    at = times(session)
    assert told.gap_at == pytest.approx(at[np.argmax(np.diff(at))], abs=1e-6)


def test_a_latency_that_was_measured_is_taken_off_each_time(tmp_path: Path) -> None:
    source, session = Stream(), make_session(tmp_path)
    camera = build(stream_of(source, latency=0.25))
    try:
        record_stream(camera, session, 1.0)
    finally:
        source.close()
    arrivals = np.load(session.folder / "_iblrig_leftCamera.arrivals.npy")
    assert np.min(arrivals - times(session)) == pytest.approx(0.25, abs=0.001)


def test_without_a_clock_arrivals_stand_and_the_burst_is_told(
    tmp_path: Path, network_camera: NetworkCamera
) -> None:
    camera, session = build(network(network_camera, fps=None)), make_session(tmp_path)

    async def run() -> None:
        camera.session = session
        await camera.initialise()
        await camera.start()
        await asyncio.sleep(1)
        network_camera.hold = True
        await asyncio.sleep(1)
        network_camera.hold = False
        await asyncio.sleep(1.5)
        await camera.stop()
        await camera.cleanup()

    asyncio.run(run())
    told = find_evidence(camera)
    assert (told.stamped_by, told.source, told.asked) == ("arrival", "left", None)
    assert told.bursts is not None
    assert told.bursts > 20
    assert told.longest_gap == pytest.approx(1, abs=0.3)
    assert told.bound is not None
    assert told.bound > 0.5
    assert not list(session.folder.glob("*arrivals*"))


def test_a_film_and_the_test_pattern_are_stamped_by_when_they_were_due(tmp_path: Path) -> None:
    film = encode_pictures(tmp_path / "film.mp4", 30, 25)
    camera = build({"label": "film", "source": str(film), "size": None, "fps": None}, {"fps": 40})
    session = make_session(tmp_path)
    record_stream(camera, session, 1.5)
    for label, fps in (("film", 25), ("left", 40)):
        stamps = times(session, label)
        np.testing.assert_allclose(np.diff(stamps), 1 / fps, atol=1e-6)
        told = find_evidence(camera, f"{label}Camera.times.npy")
        assert (told.asked, told.stamped_by, told.bound, told.size) == (fps, "source", 0.0, (160, 120))
    assert not list(session.folder.glob("*arrivals*"))


def test_a_hole_in_one_camera_is_told_with_its_time(tmp_path: Path, network_camera: NetworkCamera) -> None:
    camera, session = build(network(network_camera, fps=None)), make_session(tmp_path)

    async def run() -> None:
        camera.session = session
        await camera.initialise()
        await camera.start()
        await asyncio.sleep(0.7)
        network_camera.behaviour = "freeze"
        await asyncio.sleep(1.5)
        network_camera.behaviour = "show"
        await asyncio.sleep(0.7)
        await camera.stop()
        await camera.cleanup()

    asyncio.run(run())
    told, at = find_evidence(camera), times(session)
    assert told.longest_gap == pytest.approx(np.max(np.diff(at)), abs=1e-6)
    assert told.longest_gap > 1.3
    assert told.gap_at == pytest.approx(at[np.argmax(np.diff(at))], abs=1e-6)
    assert told.missing == pytest.approx(75, abs=25)


def test_times_that_a_jump_of_the_session_clock_turns_back_rise_all_the_same_and_are_counted(
    tmp_path: Path,
) -> None:
    def jump(stamp: int) -> int:
        return stamp + AHEAD - (100_000_000 if stamp > 2_000_000_000 else 0)

    kept = FrameTimes(tmp_path / "_iblrig_leftCamera.times.npy", jump)
    for number in range(100):
        kept.append(arrived(number * 40_000_000))
        if number % 10 == 0:
            kept.flush()
    kept.close(100)
    written = np.load(kept.path)
    assert np.all(np.diff(written) > 0)
    assert kept.evidence.backwards == 2
    assert len(written) == 100


def test_what_an_earlier_run_has_recorded_has_evidence_too(tmp_path: Path) -> None:
    session = make_session(tmp_path)
    camera = build()
    record_stream(camera, session, 1.0)
    again = build()
    again.session = session
    told = {one.path.rpartition(".")[2]: one for one in again.files()}
    assert told["mp4"].evidence is None
    assert told["npy"].evidence is not None
    assert told["npy"].evidence.source == "left"
    assert told["npy"].evidence.rate == pytest.approx(30, rel=0.01)
