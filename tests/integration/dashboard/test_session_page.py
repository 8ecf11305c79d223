"""A session from the page, as an experimenter leads it: real rigs, a real browser, nothing else."""

from __future__ import annotations

import re

import pytest

MAIN = {"main_sync": True, "adapter": {"type": "fake"}}
CAMERAS = {
    "adapter": {
        "type": "camera",
        "min_free_gb": 0,
        "cameras": [
            {"label": label, "source": "test", "fps": 30, "size": [320, 240]} for label in ("left", "right")
        ],
    }
}
SLOW = 15_000
"""Milliseconds that a page may take to show what it is waited for, on a busy machine."""
PLOT = 60_000
"""Milliseconds for the first picture that a fresh PC draws; the page says meanwhile that it is drawing."""
GRANTED = """
  window.called = [];
  window.Notification = class { constructor(title, more) { window.called.push(title + ": " + more.body) } };
  window.Notification.permission = "granted";
"""


def card(page, name):
    return page.locator(f'[data-rig="{name}"]')


def session(page):
    return page.get_by_role("region", name="Session")


async def select(page, *names):
    """Tick the cards that are not ticked yet."""
    for name in names:
        await card(page, name).get_by_text("Ready").wait_for(timeout=SLOW)
        box = page.get_by_role("checkbox", name=name, exact=True)
        if await box.get_attribute("aria-checked") != "true":
            await box.click()
        await page.locator(f'[data-rig="{name}"].selected').wait_for(timeout=SLOW)


async def start(page, subject, *names, shoot=None):
    """Fill in the form, and press the one button."""
    await select(page, *names)
    await page.get_by_label("Subject").fill(subject)
    button = page.get_by_role("button", name=re.compile("^Start recording .* on"))
    await button.wait_for(timeout=SLOW)
    if shoot is not None:
        await shoot(page, "console-lab")
    await button.click()


async def wait_for_title(page, words):
    await session(page).get_by_role("heading", name=words, exact=True).wait_for(timeout=SLOW)


async def count_frames(page, name):
    """Return how many frames a card shows."""
    text = await card(page, name).locator("dt:text-is('frames') + dd:not(.hidden)").inner_text(timeout=SLOW)
    return int(re.sub(r"\D", "", text))


async def wait_for_more_frames(page, name):
    before = await count_frames(page, name)
    while await count_frames(page, name) <= before:
        await page.wait_for_timeout(100)


@pytest.mark.limit(150)
@pytest.mark.timeout(180)
async def test_a_session_is_selected_started_watched_marked_stopped_judged_and_found(
    rigs, console, browser, shoot
):
    rigs.start(ephys=MAIN, cameras=CAMERAS)
    page = await browser.page(console().url, size=(1280, 900))
    await page.get_by_text("All is well: 2 rigs ready").wait_for(timeout=SLOW)
    await page.get_by_text("Who is recorded? Fill in the subject").wait_for(timeout=SLOW)
    await start(page, "SP_01", "ephys", "cameras", shoot=shoot)
    await wait_for_title(page, "Recording")
    await wait_for_more_frames(page, "cameras")
    await wait_for_more_frames(page, "ephys")
    for label in ("left", "right"):
        await card(page, "cameras").get_by_alt_text(f"Camera {label} of cameras").wait_for(timeout=SLOW)
    await page.wait_for_function(
        """() => [...document.querySelectorAll('[data-rig="cameras"] img')].filter(
                     (one) => one.complete && one.naturalWidth > 100).length == 2""",
        timeout=SLOW,
    )
    seen = await card(page, "cameras").get_by_alt_text("Camera left of cameras").get_attribute("src")
    await page.wait_for_function(
        "(seen) => document.querySelector('[alt=\"Camera left of cameras\"]').getAttribute('src') !== seen",
        arg=seen,
        timeout=SLOW,
    )
    await page.get_by_label("What has just happened?").fill("first lick")
    await page.keyboard.press("Enter")
    await session(page).get_by_text("first lick").wait_for(timeout=SLOW)
    assert await page.get_by_label("What has just happened?").input_value() == ""
    await shoot(page, "console-recording")
    await page.get_by_role("button", name="Stop", exact=True).click()
    await wait_for_title(page, "GOOD")
    await session(page).get_by_text("every rig recorded from the beginning to the end").wait_for()
    await shoot(page, "console-verdict")
    await page.get_by_role("button", name="Files, times and journal").click()
    await page.get_by_text("_iblrig_leftCamera.raw.mp4").wait_for(timeout=SLOW)
    await page.get_by_text("first lick").first.wait_for()
    await page.locator("img.by-day").scroll_into_view_if_needed(timeout=PLOT)
    await page.wait_for_function("document.querySelector('img.by-day').naturalWidth > 0", timeout=SLOW)
    await page.get_by_text("marked: first lick").wait_for(timeout=SLOW)
    await shoot(page, "console-session", full_page=True, style=".folder { display: none }")
    await page.get_by_role("link", name="History").click()
    await page.get_by_role("row", name=re.compile("SP_01.*GOOD")).wait_for(timeout=SLOW)
    await shoot(page, "console-history")
    await page.get_by_role("link", name="Lab").click()
    await page.get_by_role("button", name="New session").click()
    await page.get_by_role("form", name="Start a session").wait_for(timeout=SLOW)
    # who was just recorded is whom one is likely to record next, on the same rigs: also from another page
    assert await page.get_by_label("Subject").input_value() == "SP_01"
    await page.get_by_label("Subject").fill("")
    await page.get_by_role("button", name="SP_01", exact=True).click()
    await page.get_by_role("button", name="Start recording SP_01 on 2 rigs").wait_for(timeout=SLOW)


@pytest.mark.limit(90)
async def test_a_rig_that_dies_while_it_records_is_an_alarm_that_calls_and_costs_the_verdict(
    rigs, console, browser, shoot
):
    rigs.start(monitor=MAIN, ephys={})
    page = await browser.page()
    await page.add_init_script(GRANTED)
    await page.goto(console().url)
    await start(page, "SP_01", "monitor", "ephys")
    await wait_for_title(page, "Recording")
    await wait_for_more_frames(page, "ephys")
    rigs.programs["ephys"].kill()
    await card(page, "ephys").get_by_text("Not heard", exact=True).wait_for(timeout=SLOW)
    await session(page).get_by_text("What has happened").wait_for(timeout=SLOW)
    await page.wait_for_function("window.called.some(one => one.includes('ephys'))", timeout=SLOW)
    await page.get_by_text(re.compile("ephys: is not heard")).first.wait_for(timeout=SLOW)
    await shoot(page, "console-alarm")
    await page.get_by_role("button", name="Stop", exact=True).click()
    await page.get_by_role("button", name="New session").wait_for(timeout=60_000)
    title = await session(page).get_by_role("heading").first.inner_text()
    assert title in ("DEGRADED", "INCOMPLETE")


@pytest.mark.limit(90)
async def test_a_rig_that_is_set_up_for_another_subject_is_named_with_the_step_and_the_reason(
    rigs, console, browser
):
    rigs.start(monitor=MAIN, ephys={"options": ["--subject", "OTHER"]})
    page = await browser.page(console().url)
    await select(page, "monitor", "ephys")
    await page.get_by_label("Subject").fill("SP_01")
    await page.get_by_text("ephys is set up for OTHER, not for SP_01").wait_for(timeout=SLOW)
    await page.get_by_role("button", name=re.compile("^Start recording")).click()
    await wait_for_title(page, "It did not begin")
    await session(page).get_by_text(re.compile("ephys: .*OTHER")).first.wait_for(timeout=SLOW)
    await session(page).get_by_role("row", name=re.compile("ephys.*failed")).wait_for()
    await page.get_by_role("button", name="New session").click()
    await page.get_by_role("form", name="Start a session").wait_for(timeout=SLOW)
    assert await page.get_by_label("Subject").input_value() == "SP_01"
    await card(page, "monitor").get_by_text("Ready").wait_for(timeout=SLOW)


@pytest.mark.limit(90)
async def test_a_subject_that_cannot_name_a_folder_is_refused_before_anybody_is_asked(rigs, console, browser):
    rigs.start(monitor=MAIN)
    page = await browser.page(console().url)
    await select(page, "monitor")
    await page.get_by_label("Subject").fill("../x")
    await page.get_by_text("cannot name a folder").wait_for(timeout=SLOW)
    assert await page.get_by_role("button", name=re.compile("^Start recording")).is_disabled()


@pytest.mark.limit(90)
async def test_an_interruption_is_asked_for_twice_and_its_reason_stands_in_the_verdict(
    rigs, console, browser
):
    rigs.start(monitor=MAIN)
    page = await browser.page(console().url)
    await start(page, "SP_01", "monitor")
    await wait_for_title(page, "Recording")
    await page.get_by_role("button", name="Interrupt…").click()
    await page.get_by_role("button", name="Go on recording").click()
    await page.get_by_role("alertdialog").wait_for(state="hidden")
    await wait_for_title(page, "Recording")
    await page.get_by_role("button", name="Interrupt…").click()
    await page.get_by_label("Why?").fill("the mouse has escaped")
    await page.get_by_role("button", name="Interrupt now").click()
    await wait_for_title(page, "INTERRUPTED")
    await page.get_by_role("button", name="Files, times and journal").click()
    await page.get_by_text(re.compile("the mouse has escaped")).first.wait_for(timeout=SLOW)
