"""What was recorded, in a real browser: the history of real session folders, and the page of one."""

from __future__ import annotations

import asyncio
import json
import os
from itertools import pairwise

import pytest

from multirig.folders import session_folder

SLOW = 15_000
"""Milliseconds that a page may take to show what it is waited for, on a busy machine."""
EVIL = "<b>water</b> & <script>window.broken = true</script>"


async def record(lab, subject, *, marks=(), interruption=None, fails=None):
    """Lead one session over the lab's rigs, and return its folder."""
    conductor = await lab.conductor()
    session = conductor.session(subject)
    exp_ref = await session.agree()
    await session.init()
    await session.start()
    for text in marks:
        session.mark(text)
    await asyncio.sleep(0.3)
    await (session.stop() if interruption is None else session.interrupt(interruption))
    await session.cleanup()
    await conductor.close()
    return session_folder(lab.folder / "pc", "mylab", exp_ref)


def rows(page):
    return page.locator("tbody tr")


async def wait_for_rows(page, number):
    await page.wait_for_function(f"document.querySelectorAll('tbody tr').length === {number}", timeout=SLOW)


async def open_history(console, browser, lab, query="", **options):
    url = console("--data", lab.folder / "pc").url
    return await browser.page(f"{url}/history{query}", **options)


def address(folder):
    return "/session/" + "/".join(folder.parts[-3:])


@pytest.mark.limit(60)
async def test_sessions_are_found_while_one_types_and_a_reload_keeps_what_is_asked(lab, console, browser):
    await lab.rigs_of_a_session("cam")
    await record(lab, "SP_01", marks=["drug given"])
    await record(lab, "SP_02", interruption=EVIL)
    page = await open_history(console, browser, lab)
    await wait_for_rows(page, 2)
    assert (await rows(page).first.locator("td").first.inner_text()).endswith("INTERRUPTED")
    assert EVIL in await rows(page).first.inner_text()
    await page.get_by_label("Subject", exact=True).fill("sp_01")
    await wait_for_rows(page, 1)
    await page.wait_for_url("**/history?subject=sp_01")
    await page.get_by_label("Words").fill("drug")
    await page.wait_for_url("**/history?subject=sp_01&text=drug")
    await page.get_by_label("From").fill("2999-01-01")
    await page.get_by_text("no session is like that: ask for less, or press Clear to see all").wait_for()
    await page.reload()
    await page.get_by_text("no session is like that").wait_for(timeout=SLOW)
    assert await page.get_by_label("Subject", exact=True).input_value() == "sp_01"
    assert await page.get_by_label("From").input_value() == "2999-01-01"
    await page.get_by_label("To", exact=True).fill("2998-01-01")
    await page.get_by_text("the first day is after the last one: change one of them").wait_for()
    await page.get_by_role("button", name="Clear", exact=True).click()
    await wait_for_rows(page, 2)
    await page.wait_for_url("**/history")
    await page.get_by_role("combobox", name="Verdict").click()
    await page.get_by_role("option", name="INTERRUPTED:").click()
    await wait_for_rows(page, 1)
    await page.wait_for_url("**/history?verdict=INTERRUPTED")
    assert await page.evaluate("window.broken") is None


@pytest.mark.limit(60)
async def test_the_catalogue_is_rebuilt_when_that_is_confirmed(lab, console, browser):
    await lab.rigs_of_a_session("cam")
    page = await open_history(console, browser, lab)
    await page.get_by_text("yet: they begin on the page Lab").wait_for(timeout=SLOW)
    await record(lab, "SP_01")
    ask = page.get_by_role("button", name="Rebuild the catalogue")
    await ask.click()
    await page.get_by_text("nothing is lost, no recording is touched").wait_for()
    await page.get_by_role("button", name="Leave it").click()
    await page.get_by_role("dialog").wait_for(state="detached")
    assert await rows(page).count() == 0
    await ask.click()
    await page.get_by_role("button", name="Rebuild", exact=True).click()
    await page.get_by_text("The catalogue is made anew.").wait_for(timeout=SLOW)
    await wait_for_rows(page, 1)


@pytest.mark.limit(60)
async def test_of_many_sessions_a_hundred_are_shown_and_more_on_demand(lab, console, browser):
    await lab.rigs_of_a_session()
    folder = await record(lab, "SP_01")
    for number in range(2, 111):
        copy = folder.with_name(f"{number:03d}") / "raw_task_data_00"
        copy.mkdir(parents=True)
        (copy / "_iblrig_taskSettings.raw.json").write_text(json.dumps({"PYBPOD_PROTOCOL": "waiting"}))
    page = await open_history(console, browser, lab)
    await page.get_by_text("the newest 100 of 110 sessions").wait_for(timeout=SLOW)
    assert await rows(page).count() == 100
    await page.get_by_role("button", name="Show 10 more of 10").click()
    await wait_for_rows(page, 110)
    assert await page.get_by_role("button", name="Show").count() == 0


@pytest.mark.limit(60)
async def test_a_session_tells_its_verdict_its_files_and_its_journal(lab, console, browser):
    await lab.rig("main", main_sync=True)
    await lab.rig("cam", fake={"fail": {"stop": "the disk is full"}})
    folder = await record(lab, "SP_01", marks=["drug given"])
    page = await open_history(console, browser, lab, permissions=["clipboard-read", "clipboard-write"])
    await wait_for_rows(page, 1)
    await rows(page).first.get_by_role("link").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**{address(folder)}")
    await (
        page.get_by_role("heading", name="2026")
        .or_(page.get_by_role("heading", name="_SP_01"))
        .wait_for(timeout=SLOW)
    )
    verdict = await page.locator(".verdict").inner_text()
    assert verdict.split("\n")[-1] in ("INCOMPLETE", "DEGRADED")
    assert "the disk is full" in " ".join(await page.locator(".trouble").all_inner_texts())
    files = page.get_by_role("region", name="Files, by rig")
    assert await files.get_by_role("rowheader", name="main").count() == 1
    assert "fake.csv" in await files.inner_text()
    assert "drug given" in await page.get_by_role("region", name="Markers").inner_text()
    journal = page.get_by_role("region", name="The journal")
    await journal.wait_for(timeout=SLOW)
    everything = await journal.locator("tbody tr").count()
    await page.get_by_role("combobox", name="Kind").click()
    await page.get_by_role("option", name="markers").click()
    await page.get_by_text("1 line", exact=True).wait_for()
    assert "marked: drug given" in await journal.inner_text()
    await page.get_by_role("combobox", name="Kind").click()
    await page.get_by_role("option", name="all", exact=True).click()
    await page.get_by_role("combobox", name="Rig").click()
    await page.get_by_role("option", name="cam", exact=True).click()
    await page.wait_for_function(
        "[...[...document.querySelectorAll('.tall')].at(-1).querySelectorAll('td:nth-child(3)')]"
        ".every(cell => cell.innerText === 'cam')",
        timeout=SLOW,
    )
    assert await journal.locator("tbody tr").count() < everything
    assert {await one.inner_text() for one in await journal.locator("td:nth-child(3)").all()} == {"cam"}
    picture = page.get_by_role("img", name="Clocks, states and starts of")
    await picture.scroll_into_view_if_needed(timeout=SLOW)
    await page.wait_for_function("document.querySelector('img.by-day').naturalWidth > 0", timeout=SLOW)
    await page.get_by_role("button", name="Copy the path").click()
    await page.get_by_text("Copied.").wait_for()
    assert await page.evaluate("navigator.clipboard.readText()") == str(folder)
    levels = await page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(one => +one.tagName[1])")
    assert levels[:2] == [1, 2]
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.limit(60)
async def test_a_journal_of_which_nothing_can_be_read_has_a_page_that_says_so(lab, console, browser):
    folder = lab.folder / "pc" / "mylab" / "Subjects" / "SP_01" / "2026-11-20" / "001"
    folder.mkdir(parents=True)
    (folder / "_multirig_journal.jsonl").write_bytes(bytes(range(256)) * 8)
    page = await browser.page(console("--data", lab.folder / "pc").url + address(folder))
    await page.get_by_role("heading", name="2026-11-20_1_SP_01").wait_for(timeout=SLOW)
    await page.get_by_text("what stood in the journal's lines that cannot be read").wait_for()


@pytest.mark.limit(60)
async def test_a_session_without_a_journal_shows_what_its_folder_tells(lab, console, browser):
    folder = lab.folder / "pc" / "mylab" / "Subjects" / "SP_01" / "2026-11-20" / "001"
    (folder / "raw_task_data_00").mkdir(parents=True)
    (folder / "raw_task_data_00" / "_iblrig_taskSettings.raw.json").write_text("{}")
    page = await open_history(console, browser, lab)
    await rows(page).first.get_by_role("link").click(timeout=SLOW)
    await page.get_by_text("NO VERDICT").wait_for(timeout=SLOW)
    await page.get_by_text("recorded without rigs").wait_for()


@pytest.mark.limit(60)
async def test_without_matplotlib_one_line_stands_in_place_of_the_picture(
    lab, console, browser, monkeypatch, tmp_path
):
    await lab.rigs_of_a_session()
    folder = await record(lab, "SP_01")
    (tmp_path / "without" / "matplotlib").mkdir(parents=True)
    (tmp_path / "without" / "matplotlib" / "__init__.py").write_text("raise ImportError('it is not there')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "without"), prepend=os.pathsep)
    url = console("--data", lab.folder / "pc").url
    page = await browser.page(url + address(folder))
    await page.get_by_text("a picture needs matplotlib: pip install 'multirig[plot]'").wait_for(timeout=SLOW)
    assert await page.locator("img.plot").count() == 0
    assert await page.get_by_role("region", name="The journal").count() == 1


@pytest.mark.limit(60)
async def test_a_wrong_address_gives_a_page_that_says_so_and_no_file_from_elsewhere(lab, console, browser):
    browser.may_complain = True  # of the answer 404
    (lab.folder / "pc" / "mylab" / "2026-11-26" / "001").mkdir(parents=True)
    url = console("--data", lab.folder / "pc").url
    page = await browser.page()
    for path in ("..%5Cmylab/2026-11-26/001", "%2e%2e%00/2026-11-26/001", "SP_01/2026-02-30/001"):
        answer = await page.goto(f"{url}/session/{path}")
        assert answer.status == 404
        await page.get_by_text("this address names no session: look for it in the history").wait_for()
    answer = await page.goto(f"{url}/session/nobody/2026-11-26/001")
    assert answer.status == 404
    await page.get_by_text("there is no session 001 of nobody on 2026-11-26 on this PC").wait_for()
    for path in ("nobody/2026-11-26/001", "..%5Cmylab/2026-11-26/001", "..%2F../2026-11-26/001"):
        answer = await page.request.get(f"{url}/session/{path}/plot.svg")
        assert answer.status == 404


@pytest.mark.limit(60)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_a_phone_scrolls_both_pages_in_one_direction_only(lab, console, browser, dark):
    await lab.rigs_of_a_session("cam")
    folder = await record(lab, "SP_01", interruption="a very long reason without a space: " + "x" * 300)
    url = console("--data", lab.folder / "pc").url
    page = await browser.page(f"{url}/history", size=(390, 800), dark=dark)
    await wait_for_rows(page, 1)
    wide = "document.documentElement.scrollWidth > innerWidth"
    assert not await page.evaluate(wide)
    await page.goto(url + address(folder))
    await page.get_by_role("region", name="The journal").wait_for(timeout=SLOW)
    assert not await page.evaluate(wide)
    await page.emulate_media(media="print")
    assert not await page.evaluate(wide)
