"""Sessions of real rigs are collected and cleared from the page, in a real browser, to a folder as server."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.dashboard.test_accounts import DRIVE, log_in, make_people
from tests.integration.dashboard.test_session_page import select, start, wait_for_title

SLOW = 15_000
"""Milliseconds that a page may take to show what it is waited for, on a busy machine."""
LOOKS, OPERATES = "mice are small", "rats are larger"


def start_rigs(rigs: Any, folder: Path) -> None:
    """Start two rigs, each with a disk of its own."""
    fake = {"type": "fake"}
    rigs.start(
        main={"main_sync": True, "data_folder": str(folder / "main"), "adapter": fake},
        cam={"data_folder": str(folder / "cam"), "adapter": {"type": "fake"}},
    )


def recorded(folder: Path) -> list[Path]:
    return sorted(folder.glob("mylab/Subjects/SP_01/*/001/raw_*/*"))


async def until(claim: Callable[[], Any], limit: float = 30.0) -> None:
    end = time.monotonic() + limit
    while not claim():
        assert time.monotonic() < end, "it did not come true in time"
        await asyncio.sleep(0.1)


async def record(page: Any) -> None:
    """Record for a moment from the page of the lab."""
    await start(page, "SP_01", "main", "cam")
    await page.get_by_role("button", name=re.compile("^Stop")).first.wait_for(timeout=SLOW)
    await wait_for_title(page, "Recording")
    await page.get_by_role("button", name=re.compile("^Stop")).first.click()
    await page.get_by_role("button", name=re.compile("New session", re.IGNORECASE)).wait_for(timeout=SLOW)


def data_of(page: Any) -> Any:
    return page.get_by_role("region", name="Where the data are")


def summary_of(page: Any) -> Any:
    return data_of(page).get_by_role("status")


@pytest.mark.limit(120)
@pytest.mark.timeout(150)
async def test_who_operates_collects_and_clears_and_who_looks_sees_it_all_and_cannot_press(
    rigs: Any, start_console: Any, tmp_path: Path, browser: Any, shoot: Any
) -> None:
    browser.may_complain = True  # of the page that asks for a name
    start_rigs(rigs, tmp_path)
    make_people(tmp_path)
    console = start_console(tmp_path, "--host", "0.0.0.0", "--plain-http")
    url = re.sub(r"//[^:]+", "//127.0.0.1", console.url)
    ada, lou = await browser.page(url), await browser.page(url)
    await log_in(ada, "ada", OPERATES)
    await log_in(lou, "lou", LOOKS)
    await record(ada)
    [cam_file], [main_file] = recorded(tmp_path / "cam"), recorded(tmp_path / "main")
    content = cam_file.read_bytes()
    server = tmp_path / "server"
    server.mkdir()
    # what is where, for both
    for page in (ada, lou):
        await page.goto(f"{url}/history")
        await summary_of(page).get_by_text("1 session not collected, ").wait_for(timeout=SLOW)
        await data_of(page).get_by_text("cam: 1 session not collected").wait_for(timeout=SLOW)
        await page.locator("tbody tr", has_text="on this PC, cam and main").wait_for(timeout=SLOW)
    assert await data_of(lou).get_by_role("button").count() == 0
    # who looks sends everything that the page has: nothing is copied, nothing removed
    await lou.evaluate(DRIVE)
    assert not [*server.iterdir()]
    await shoot(ada, "console-data")
    # collected, to where is asked for
    await data_of(ada).get_by_role("button", name="Collect").click()
    form = ada.get_by_role("form", name="Collect")
    await form.get_by_label("Destination").fill("not a whole path")
    await form.get_by_role("button", name="Collect").click()
    await form.get_by_text("give one from its root").wait_for(timeout=SLOW)
    await form.get_by_label("Destination").fill(str(server))
    await form.get_by_role("button", name="Collect").click()
    for page in (ada, lou):
        await summary_of(page).get_by_text("all that the PCs have is collected").wait_for(timeout=SLOW)
        await page.locator("tbody tr", has_text="collected").wait_for(timeout=SLOW)
    assert sorted(path.name for path in recorded(server)) == sorted([cam_file.name, main_file.name])
    there = server / cam_file.relative_to(tmp_path / "cam")
    assert there.read_bytes() == content
    # what is younger stays
    await data_of(ada).get_by_role("button", name="Clear…").click()
    dialog = ada.get_by_role("alertdialog", name="Clear what is collected")
    await dialog.get_by_text("nothing here is collected and 30 days old").wait_for(timeout=SLOW)
    remove = dialog.get_by_role("button", name=re.compile("^Remove"))
    assert await remove.is_disabled()
    await dialog.get_by_label("Older than so many days").fill("0")
    await dialog.get_by_text("Each file is read back at its destination once more").wait_for(timeout=SLOW)
    listed = await dialog.locator("tbody tr").all_inner_texts()
    assert len(listed) == 3
    assert all("_1_SP_01" in one and str(server) in one for one in listed)
    await dialog.get_by_role("button", name="Cancel").click()
    await dialog.wait_for(state="detached")
    assert cam_file.read_bytes() == content
    # and goes, when it is confirmed
    await data_of(ada).get_by_role("button", name="Clear…").click()
    await dialog.get_by_label("Older than so many days").fill("0")
    remove = dialog.get_by_role("button", name=re.compile(r"^Remove .*B from .*cam"))
    await remove.wait_for(timeout=SLOW)
    await remove.click()
    await dialog.get_by_text("are free; the lists and journals are still there").wait_for(timeout=SLOW)
    await dialog.get_by_role("button", name="Close").click()
    assert not cam_file.exists()
    assert not main_file.exists()
    assert there.read_bytes() == content
    for page in (ada, lou):
        await page.locator("tbody tr", has_text="collected, cleared").wait_for(timeout=SLOW)
    # on the page of the session, for both
    for page in (ada, lou):
        await page.locator("tbody tr a").first.click()
        table = page.get_by_role("region", name="Who has what of this session")
        await table.wait_for(timeout=SLOW)
        rows = await table.locator("tbody tr").all_inner_texts()
        assert sorted(row.split()[0] for row in rows) == ["cam", "main", "this"]
        assert all("collected, cleared" in row for row in rows)
        assert await data_of(page).get_by_role("button").count() == (2 if page is ada else 0)
    log = console.log
    assert f"Ada collects all sessions to {server}" in log
    assert "Ada clears from cam" in log


@pytest.mark.limit(90)
async def test_after_a_session_all_is_collected_by_itself_where_the_config_says_so(
    rigs: Any, console: Any, tmp_path: Path, browser: Any
) -> None:
    server = tmp_path / "server"
    server.mkdir()
    start_rigs(rigs, tmp_path)
    (tmp_path / "multirig.yaml").write_text(f"collect: {{to: {server}}}\n", encoding="utf-8")
    program = console()
    page = await browser.page(program.url)
    await select(page, "main", "cam")
    await record(page)
    await until(lambda: len(recorded(server)) == 2)
    receipts = "mylab/Subjects/SP_01/*/001/_multirig_collected.*.json"
    await until(lambda: len([*server.glob(receipts)]) == 3)
    await page.goto(f"{program.url}/history")
    await summary_of(page).get_by_text("all that the PCs have is collected").wait_for(timeout=SLOW)
    assert f"to {server}, after each session" in await data_of(page).inner_text()
    assert f"the console collects all sessions to {server}" in program.log
