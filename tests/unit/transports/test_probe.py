"""The sockets by which clocks are read."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from multirig.transports.probe import ClockProber, Target


@pytest.fixture
def others_are_patient() -> Iterator[None]:
    """Another library of the program has set a time-out for all sockets, as iblrig does: 3 s."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(3.0)
    yield
    socket.setdefaulttimeout(before)


@pytest.mark.usefixtures("others_are_patient")
def test_a_rig_that_does_not_answer_holds_up_nobody_whatever_others_have_set() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        prober = ClockProber("0123456789abcdef")
        try:
            begun = time.monotonic()
            target = Target("fedcba9876543210", "127.0.0.1", silent.getsockname()[1])
            assert prober.measure([target]).result(timeout=30) == {"fedcba9876543210": []}
            assert time.monotonic() - begun < 2.0
        finally:
            prober.close()
