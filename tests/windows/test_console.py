"""The console of a Windows PC, led from a browser over rigs of both systems."""

from __future__ import annotations

import re
import shutil
import time

import pytest
from tests.windows.programs import Rigs, judge, wait_for
from tests.windows.wine import Windows

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CAMERA = {
    "type": "camera",
    "min_free_gb": 0,
    "cameras": [{"label": "left", "source": "test", "fps": 30, "size": [320, 240]}],
}
SLOW = 40_000
"""Milliseconds that a page may take."""


def test_a_session_is_led_from_the_page_of_a_windows_pc(rigs: Rigs, windows: Windows) -> None:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    subject = f"SP_{time.time_ns()}"  # what Windows' Python has recorded before, it remembers
    rigs.start("ephys", on_windows=False, main_sync=True)
    rigs.start("cam", on_windows=True, adapter=CAMERA)
    rigs.write()
    options = ("--rigs-file", "rigs.yaml", "--data", "pc", "--port", "0", "--no-browser")
    with windows.start("-m", "multirig", "console", *options, cwd=rigs.folder) as console:
        try:
            url = wait_for(console, r"ready at (http\S+)")[1]
            with playwright.sync_playwright() as started:
                browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
                page = browser.new_page()
                page.set_default_timeout(SLOW)
                page.goto(url)
                page.get_by_text("All is well: 2 rigs ready").wait_for()
                for name in ("ephys", "cam"):
                    box = page.get_by_role("checkbox", name=name, exact=True)
                    if box.get_attribute("aria-checked") != "true":
                        box.click()
                page.get_by_label("Subject").fill(subject)
                page.get_by_role("button", name=re.compile("^Start recording .* on")).click()
                session = page.get_by_role("region", name="Session")
                recording = session.get_by_role("heading", name="Recording", exact=True)
                sure = page.get_by_role("dialog").get_by_role("button", name="Start")
                recording.or_(sure).first.wait_for()
                if sure.is_visible():  # where others were recorded before, a new subject is asked about
                    sure.click()
                recording.wait_for()
                page.get_by_alt_text("Camera left of cam").wait_for()
                page.get_by_role("button", name="Stop", exact=True).click()
                session.get_by_role("heading", name="GOOD", exact=True).wait_for()
                browser.close()
        finally:
            console.kill()
    assert judge(rigs.folder)["verdict"] == "GOOD"
    assert list((rigs.folder / "cam").rglob("_iblrig_leftCamera.raw.mp4"))
