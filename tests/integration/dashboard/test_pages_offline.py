"""The console's pages in a real browser: all of them from this machine, and without a complaint."""

from __future__ import annotations


async def test_a_page_comes_whole_from_the_console_and_asks_nobody_else(console, browser):
    url = console().url
    page = await browser.page(url)
    await page.wait_for_function("window.did_handshake === true")
    await page.evaluate("document.fonts.ready")
    assert {one.split("/")[2] for one in browser.requests if "://" in one} == {url.split("/")[2]}
    assert any("/_nicegui_ws/" in one for one in browser.requests)
    assert any(one.endswith((".woff2", ".woff")) for one in browser.requests)
    assert await page.title() == "multirig"
    assert browser.foreign == []
