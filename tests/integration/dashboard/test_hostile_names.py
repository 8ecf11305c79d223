"""Names and texts that would be scripts, if a page took them for more than names and texts."""

from __future__ import annotations

import re

import pytest

SLOW = 15_000
"""Milliseconds that a page may take to show what it is waited for, on a busy machine."""
PROPS = """x" :title="window.hit=1" style="color:red" y="z"""
TAG = "<img src=x onerror=window.hit=3>"
VUE = "{{window.hit=4}}${window.hit=5}"
QUOTE = "'-(window.hit=6)-'"
END = "<script>window.hit=7<\\script>"
MARK = f"</b></script><script>window.hit=8</script>{TAG}{VUE}{PROPS}"
USER = "<b onmouseover=window.hit=9>anna</b>"
VERDICT = re.compile("GOOD|DEGRADED|INCOMPLETE|FAILED|INTERRUPTED|ABORTED")
NAMES = (PROPS, TAG, VUE, QUOTE)


async def look_for_harm(page):
    """Move over all that is there, then see whether any script has run or any element was made of a text."""
    for kind in ("pointerover", "mouseover", "mouseenter", "focus"):
        await page.evaluate(
            "(kind) => document.querySelectorAll('*').forEach((one) => one.dispatchEvent(new Event(kind)))",
            kind,
        )
    assert await page.evaluate("window.hit") is None
    made = "img[src=x], [style*='color:red'], [onerror], [onmouseover], [onclick], b"
    assert await page.locator(made).count() == 0
    assert (
        await page.locator("[title]").evaluate_all("(all) => all.filter((e) => /hit/.test(e.title)).length")
        == 0
    )


@pytest.mark.limit(120)
@pytest.mark.attack
async def test_no_name_label_marker_user_or_reason_runs_as_a_script(rigs, console, browser):
    labels = [PROPS, TAG, VUE]
    cameras = {"main_sync": True, "adapter": {"type": "fake", "cameras": labels}}
    rigs.start(**{"cam": cameras})
    rigs.write({name: rigs.programs["cam"].uri if name == PROPS else "udp://127.0.0.1:9" for name in NAMES})
    url = console().url
    page = await browser.page(url)
    cards = page.locator("[data-rig]")
    await cards.first.get_by_text("Ready").wait_for(timeout=SLOW)
    shown = await cards.evaluate_all("(all) => all.map((one) => one.dataset.rig)")
    assert shown == list(NAMES)
    for name in NAMES:
        assert await page.get_by_role("checkbox", name=name).count() == 1
        assert await page.get_by_role("button", name=f"More on {name}").count() == 1
    for label in labels:
        image = page.get_by_role("img", name=f"Camera {label} of {PROPS}")
        await image.wait_for(timeout=SLOW)
        handle = await image.element_handle()
        await page.wait_for_function("(image) => image.naturalWidth > 0", arg=handle, timeout=SLOW)
        await page.get_by_role("button", name=f"Enlarge camera {label} of {PROPS}").click()
        await page.get_by_role("heading", name=f"{PROPS}: {label}", exact=True).wait_for(timeout=SLOW)
        await look_for_harm(page)
        await page.get_by_role("button", name="Close").click()
        await page.locator(".q-dialog").wait_for(state="detached", timeout=SLOW)
    await page.get_by_role("button", name=f"More on {TAG}").click()
    await page.get_by_text("Remove from the list").click()
    await page.get_by_role("heading", name=f"Remove {TAG} from the list?").wait_for(timeout=SLOW)
    await look_for_harm(page)
    await page.get_by_role("button", name="Cancel").click()
    await page.locator(".q-dialog").wait_for(state="detached", timeout=SLOW)
    # a session, with what is typed into it
    await page.get_by_role("checkbox", name=PROPS).click()
    await page.get_by_label("Subject").fill("SP_01")
    await page.get_by_text("Task, projects, procedures").click()
    await page.get_by_label("User").fill(USER)
    await page.get_by_role("button", name="Start recording SP_01 on 1 rig").click()
    session = page.get_by_role("region", name="Session")
    await session.get_by_role("heading", name="Recording", exact=True).wait_for(timeout=SLOW)
    await session.get_by_label("What has just happened?").fill(MARK)
    await page.keyboard.press("Enter")
    await session.get_by_text(MARK, exact=True).wait_for(timeout=SLOW)
    await look_for_harm(page)
    later = await browser.page(url)  # where all of it comes with the page itself
    await later.get_by_role("region", name="Session").get_by_text(MARK, exact=True).wait_for(timeout=SLOW)
    await look_for_harm(later)
    await session.get_by_role("button", name="Interrupt").click()
    await page.get_by_label("Why? (for the journal)").fill(MARK)
    await page.get_by_role("alertdialog").get_by_role("button", name="Interrupt").click()
    await session.get_by_role(
        "heading", name=re.compile("INTERRUPTED|INCOMPLETE|DEGRADED|FAILED|GOOD")
    ).wait_for(timeout=SLOW)
    await look_for_harm(page)
    # what is over
    await later.goto(f"{url}/history")
    await later.get_by_role("link", name=re.compile("SP_01")).first.click()
    await later.get_by_role("heading", name="Journal").wait_for(timeout=SLOW)
    await later.get_by_text(MARK).first.wait_for(timeout=SLOW)
    await later.locator("img.plot").first.wait_for(timeout=SLOW)
    await look_for_harm(later)
    await later.goto(f"{later.url}/plot.svg")
    assert await later.evaluate("window.hit") is None
