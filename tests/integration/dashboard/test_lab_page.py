"""The lab's page: several browsers, a console that is restarted, a phone, a keyboard, the list of rigs."""

from __future__ import annotations

import asyncio
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.cli.test_taking_over import has_ipv6
from tests.programs import Program

MAIN = {"main_sync": True, "adapter": {"type": "fake"}}
SLOW = 15_000
"""Milliseconds that a page may take to show what it is waited for, on a busy machine."""


def card(page, name):
    return page.locator(f'[data-rig="{name}"]')


def session(page):
    return page.get_by_role("region", name="Session")


async def wait_for_title(page, words):
    await session(page).get_by_role("heading", name=words, exact=True).wait_for(timeout=SLOW)


async def wait_until_ready(page, *names):
    for name in names:
        await card(page, name).get_by_text("Ready").wait_for(timeout=SLOW)


@pytest.mark.limit(90)
async def test_two_browsers_see_the_same_and_closing_one_changes_nothing(rigs, console, browser):
    rigs.start(monitor=MAIN)
    url = console().url
    one, two = await browser.page(url), await browser.page(url)
    await wait_until_ready(one, "monitor")
    await wait_until_ready(two, "monitor")
    await one.get_by_role("checkbox", name="monitor").click()
    await one.get_by_label("Subject").fill("SP_01")
    await two.get_by_label("Subject").fill("SP_99")  # whoever sits there gets another animal ready
    await one.get_by_role("button", name="Start recording SP_01 on 1 rig").wait_for(timeout=SLOW)
    assert await two.locator('[data-rig="monitor"].selected').count() == 0
    await one.get_by_role("button", name="Start recording SP_01 on 1 rig").click()
    await wait_for_title(one, "Recording")
    await wait_for_title(two, "Recording")
    await one.context.close()
    await two.wait_for_timeout(1000)
    await wait_for_title(two, "Recording")
    await two.reload()
    await wait_for_title(two, "Recording")
    await two.get_by_role("button", name="Stop", exact=True).click()
    await wait_for_title(two, "GOOD")


@pytest.mark.limit(120)
async def test_a_console_that_is_restarted_comes_back_to_the_session_that_goes_on(rigs, console, browser):
    browser.may_complain = True  # the console is away for a while
    rigs.start(monitor=MAIN)
    first = console()
    page = await browser.page(first.url)
    await wait_until_ready(page, "monitor")
    await page.get_by_role("checkbox", name="monitor").click()
    await page.get_by_label("Subject").fill("SP_01")
    await page.get_by_role("button", name="Start recording SP_01 on 1 rig").click()
    await wait_for_title(page, "Recording")
    number = await session(page).get_by_text(re.compile(r"^\d{4}-\d\d-\d\d_\d+_SP_01$")).inner_text()
    first.process.kill()
    first.process.wait()
    again = await browser.page(console().url)
    await wait_for_title(again, "Recording")
    assert await session(again).get_by_text(number, exact=True).is_visible()
    await card(again, "monitor").get_by_text("led from here").wait_for(timeout=SLOW)
    await again.get_by_role("button", name="Stop", exact=True).click()
    await wait_for_title(again, "GOOD")


@pytest.mark.limit(90)
async def test_a_phone_shows_the_session_first_and_scrolls_in_one_direction_only(
    rigs, console, browser, shoot
):
    rigs.start(monitor=MAIN, left={}, right={})
    page = await browser.page(console().url, size=(390, 844), has_touch=True)
    await wait_until_ready(page, "monitor", "left", "right")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for name in ("monitor", "left", "right"):
        await page.get_by_role("checkbox", name=name).tap()
        await page.locator(f'[data-rig="{name}"].selected').wait_for(timeout=SLOW)
    await page.get_by_label("Subject").fill("SP_01")
    await page.get_by_label("Planned minutes").fill("0.5")
    await page.get_by_role("button", name="Start recording SP_01 on 3 rigs").tap()
    await wait_for_title(page, "Recording")
    await session(page).get_by_text(re.compile("stops by itself in 00:[0-2]")).wait_for(timeout=SLOW)
    top = await session(page).evaluate("(element) => element.getBoundingClientRect().top + scrollY")
    rig = await card(page, "monitor").evaluate("(element) => element.getBoundingClientRect().top + scrollY")
    assert top < rig
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.evaluate("scrollTo(0, 0)")
    await shoot(page, "console-phone")
    await page.get_by_role("button", name="Stop", exact=True).tap()
    await wait_for_title(page, "GOOD")


@pytest.mark.limit(90)
async def test_a_session_can_be_led_by_the_keyboard_alone(rigs, console, browser):
    rigs.start(monitor=MAIN)
    page = await browser.page(console().url)
    await wait_until_ready(page, "monitor")

    async def reach(role, name, within=page):
        """Press Tab until the element has the focus."""
        wanted = within.get_by_role(role, name=name)
        for _ in range(60):
            if await wanted.evaluate("(element) => element.contains(document.activeElement)"):
                return
            await page.keyboard.press("Tab")
        raise AssertionError(f"Tab never comes to {name}")

    await reach("checkbox", "monitor")
    await page.keyboard.press("Space")
    await page.locator('[data-rig="monitor"].selected').wait_for(timeout=SLOW)
    await reach("textbox", "Subject")
    await page.keyboard.type("SP_01")
    await page.get_by_role("button", name="Start recording SP_01 on 1 rig").wait_for(timeout=SLOW)
    await page.keyboard.press("Enter")
    asked = page.get_by_role("alertdialog", name="Record SP_01?")
    await asked.wait_for(timeout=SLOW)
    await reach("button", "Start", asked)
    await page.keyboard.press("Enter")
    await wait_for_title(page, "Recording")
    await reach("button", "Stop")
    await page.keyboard.press("Enter")
    await wait_for_title(page, "GOOD")


@pytest.mark.limit(60)
async def test_a_figure_that_grows_is_changed_in_its_place(rigs, console, browser):
    rigs.start(monitor=MAIN)
    page = await browser.page(console().url)
    await wait_until_ready(page, "monitor")
    figure = await card(page, "monitor").locator("dt:text-is('frames') + dd").element_handle(timeout=SLOW)
    before = await figure.text_content()
    rigs.programs["monitor"].process.stdin.write("start SP_01\n")
    rigs.programs["monitor"].process.stdin.flush()
    await card(page, "monitor").locator("dt:text-is('rate')").wait_for(timeout=SLOW)
    await page.wait_for_function(
        "([figure, before]) => figure.textContent !== before", arg=[figure, before], timeout=SLOW
    )
    # with 32 rigs, to build all figures anew each second was half of what the console took
    assert await figure.evaluate("(element) => element.isConnected")


@pytest.mark.limit(60)
async def test_a_picture_that_stays_the_same_is_seen_by_whoever_comes_later(rigs, console, browser):
    rigs.start(monitor={"main_sync": True, "adapter": {"type": "fake", "cameras": ["left"]}})
    url = console().url
    for _ in range(2):
        page = await browser.page(url)
        await page.wait_for_function(
            "() => document.querySelector('img[data-picture]')?.naturalWidth > 0", timeout=SLOW
        )


@pytest.mark.limit(90)
async def test_rigs_are_added_pinged_moved_checked_and_removed(rigs, console, browser):
    rigs.start(monitor=MAIN)
    uri = rigs.programs["monitor"].uri
    rigs.write({})
    page = await browser.page(console().url)
    await page.get_by_text("No rigs yet: press Add a rig").wait_for(timeout=SLOW)
    await page.get_by_role("button", name="Add a rig").click()
    await page.get_by_label("Name").fill("monitor")
    await page.get_by_label("Address").fill("http://nonsense")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("dialog").get_by_text(re.compile("http://nonsense")).wait_for(timeout=SLOW)
    await page.get_by_label("Address").fill(uri)
    await page.keyboard.press("Enter")
    await wait_until_ready(page, "monitor")
    await page.get_by_role("button", name="More on monitor").click()
    await page.get_by_text("Ping", exact=True).click()
    await page.get_by_text(re.compile("^monitor answers")).wait_for(timeout=SLOW)
    await page.get_by_role("button", name="Check all PCs").click()
    found = page.get_by_role("region", name="What the check has found")
    await (
        found.get_by_role("status")
        .get_by_text(re.compile("2 PCs looked at|would fail"))
        .wait_for(timeout=SLOW)
    )
    await found.get_by_text("All that was looked at").click()
    await found.get_by_text(re.compile("monitor: answer: answers in")).wait_for(timeout=SLOW)
    await found.get_by_text(re.compile("this PC: ")).first.wait_for(timeout=SLOW)
    await found.get_by_role("button", name="Close").click()
    await found.wait_for(state="hidden", timeout=SLOW)
    await page.get_by_role("button", name="More on monitor").click()
    await page.get_by_text("Edit", exact=True).click()
    await page.get_by_role("combobox", name="If it is lost").click()
    await page.get_by_role("option", name=re.compile("^optional")).click()
    await page.get_by_label("Address").fill("udp://127.0.0.1:9")
    await page.get_by_role("button", name="Save").click()
    await card(page, "monitor").get_by_text("Not heard", exact=True).wait_for(timeout=SLOW)
    assert "role: optional" in (rigs.folder / "remote_rigs.yaml").read_text()
    await page.get_by_role("button", name="More on monitor").click()
    await page.get_by_text("Remove from the list").click()
    await page.get_by_role("button", name="Remove", exact=True).click()
    await page.get_by_text("No rigs yet: press Add a rig").wait_for(timeout=SLOW)
    assert (rigs.folder / "remote_rigs.yaml").read_text().strip() in ("", "{}")


@pytest.mark.limit(90)
async def test_what_a_session_has_left_behind_is_cleaned_up_from_its_card(rigs, console, browser):
    rigs.start(broken={"main_sync": True, "adapter": {"type": "fake", "fail_after": 0.5}})
    page = await browser.page(console().url)
    await wait_until_ready(page, "broken")
    rigs.programs["broken"].process.stdin.write("start SP_01\n")
    rigs.programs["broken"].process.stdin.flush()
    await card(page, "broken").get_by_text("Broken").wait_for(timeout=SLOW)
    await page.get_by_role("button", name="More on broken").click()
    await page.get_by_text("Clean up", exact=True).click()
    await wait_until_ready(page, "broken")


@pytest.mark.limit(90)
async def test_a_recording_that_was_left_is_stopped_from_its_card_after_a_question(rigs, console, browser):
    rigs.start(left={"main_sync": True})
    page = await browser.page(console().url)
    await wait_until_ready(page, "left")
    rigs.programs["left"].process.stdin.write("start SP_01\n")
    rigs.programs["left"].process.stdin.flush()
    await card(page, "left").get_by_text("Recording", exact=True).wait_for(timeout=SLOW)
    await page.get_by_role("button", name="More on left").click()
    await page.get_by_text("Stop its recording").click()
    await page.get_by_text(re.compile(r"It records .*_SP_01 since")).wait_for(timeout=SLOW)
    await page.get_by_role("button", name="Stop it", exact=True).click()
    await wait_until_ready(page, "left")


@pytest.mark.skipif(not has_ipv6(), reason="this PC has no address of IPv6")
@pytest.mark.limit(120)
@pytest.mark.parametrize(
    ("answer", "button", "code"), [("no", "No, keep it", 3), ("yes", "Yes, hand it over", 0)]
)
async def test_a_rig_that_another_pc_wants_is_kept_or_handed_over_by_who_is_at_the_page_of_its_pc(
    rigs, console, browser, other_pc, answer, button, code
):
    """By IPv6 the other one is another PC to the rig; nobody sits at its terminal."""
    there = rigs.start_with_two_addresses("cam", "--no-keyboard", main_sync=True)
    page = await browser.page(console().url)
    await wait_until_ready(page, "cam")
    await page.get_by_role("checkbox", name="cam").click()
    await page.get_by_label("Subject").fill("SP_01")
    await page.get_by_role("button", name="Start recording SP_01 on 1 rig").click()
    await wait_for_title(page, "Recording")
    asks = page.get_by_role("group", name="Whether cam is handed over")
    assert not await asks.is_visible()
    taking = other_pc(there)
    await asks.wait_for(timeout=SLOW)
    wants = re.compile(r"\(::1\) wants to take it over \(\d+ s\): say yes or no here")
    await card(page, "cam").get_by_text(wants).wait_for(timeout=SLOW)
    await asks.get_by_role("button", name=button).click()
    _, said = await asyncio.to_thread(taking.communicate, timeout=60)
    assert taking.returncode == code, said
    assert f"'{answer}' was said on the page there" in " ".join(said.split())
    await asks.wait_for(state="hidden", timeout=SLOW)
    if answer == "no":
        await wait_for_title(page, "Recording")


@pytest.fixture
def other_pc(tmp_path):
    """Start ``multirig run`` that wants to take a rig over, and end it with the test."""
    started = []

    def take_over(uri):
        words = ["run", "-s", "SP_01", "-r", uri, "--seconds", "0.5", "--take-over"]
        command = [sys.executable, "-m", "multirig", *words, "--data", str(tmp_path / f"other{len(started)}")]
        pipe = subprocess.PIPE
        started.append(Program(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield take_over
    for one in started:
        if one.poll() is None:
            one.kill()
            one.communicate()


@pytest.mark.limit(90)
async def test_a_picture_enlarges_and_selects_nothing_and_nothing_is_selected_while_a_session_runs(
    rigs, console, browser
):
    camera = {"label": "left", "source": "test", "fps": 30, "size": [320, 240]}
    rigs.start(monitor=MAIN, eye={"adapter": {"type": "camera", "cameras": [camera]}})
    page = await browser.page(console().url)
    await wait_until_ready(page, "monitor", "eye")
    for name in ("monitor", "eye"):
        await page.get_by_role("checkbox", name=name).click()
    await page.get_by_label("Subject").fill("SP_01")
    await page.get_by_role("button", name="Start recording SP_01 on 2 rigs").click()
    await wait_for_title(page, "Recording")
    await page.get_by_role("button", name="Enlarge camera left of eye").click()
    await page.wait_for_function(
        """() => [...document.querySelectorAll('[role=dialog] [alt="Camera left of eye"]')].some(
                     (one) => one.naturalWidth && one.getBoundingClientRect().width > 600)""",
        timeout=SLOW,
    )
    await page.get_by_role("dialog").get_by_role("button", name="Close").click()
    assert await page.locator('[data-rig="eye"].selected').count() == 1
    assert await page.get_by_role("checkbox", name="eye").is_disabled()
    await page.get_by_role("button", name="Stop", exact=True).click()
    await wait_for_title(page, "GOOD")


@pytest.mark.limit(90)
async def test_the_last_animal_is_typed_over_a_new_one_is_said_and_enter_asks(rigs, console, browser):
    rigs.start(monitor=MAIN)
    (rigs.folder / "multirig.yaml").write_text("console: {subjects: [mouse_1, rat_2]}\n")
    page = await browser.page(console().url)
    await wait_until_ready(page, "monitor")
    await page.get_by_role("checkbox", name="monitor").click()
    await page.get_by_label("Subject").fill("mouse_1")
    await page.get_by_label("Planned minutes").focus()
    await page.get_by_label("Subject").focus()
    await page.keyboard.type("mouse_12")
    await page.get_by_text("mouse_12 (not mouse_1?) is a new subject").wait_for(timeout=SLOW)
    await page.keyboard.press("Enter")
    asked = page.get_by_role("alertdialog", name="Record mouse_12?")
    await asked.get_by_text("On monitor").wait_for(timeout=SLOW)
    await asked.get_by_role("button", name="Cancel").click()
    await asked.wait_for(state="hidden", timeout=SLOW)
    await page.get_by_label("Subject").fill("rat_2")
    await page.get_by_label("Subject").press("Enter")
    await page.get_by_role("alertdialog", name="Record rat_2?").get_by_role("button", name="Start").click()
    await wait_for_title(page, "Recording")
    await page.get_by_role("button", name="Stop", exact=True).click()
    await wait_for_title(page, "GOOD")


@pytest.mark.limit(60)
async def test_a_page_without_its_console_says_so_and_does_not_look_alive(rigs, console, browser):
    browser.may_complain = True
    rigs.start(monitor=MAIN)
    program = console()
    page = await browser.page(program.url)
    await wait_until_ready(page, "monitor")
    program.process.kill()
    program.process.wait()
    await page.get_by_text("This page is not connected to the console").wait_for(timeout=SLOW)
    assert await page.locator("#content").evaluate("(one) => getComputedStyle(one).filter") == "grayscale(1)"


FIND_FAINT = (Path(__file__).parent / "faint.js").read_text(encoding="utf-8")
"""Texts of a page that stand out from what is behind them by less than WCAG 2 asks, 4.5 : 1."""


FIND_MOVING = "[...document.querySelectorAll('.q-menu')].filter((at) => getComputedStyle(at).opacity < 1)"
"""Menus that are still fading in: texts in them cannot be seen at first, then are faint."""


async def settle(page):
    """Wait until menus are there and colours have changed that do so slowly; then none may be faint."""
    from playwright.async_api import TimeoutError as Waited

    try:
        await page.wait_for_function(
            f"{FIND_MOVING}.length === 0 && ({FIND_FAINT})().length === 0", timeout=SLOW
        )
    except Waited:
        assert await page.evaluate(FIND_FAINT) == []
        raise


@pytest.mark.limit(60)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_every_text_of_the_page_can_be_read_and_so_can_what_cannot_be_pressed(
    rigs, console, browser, dark
):
    rigs.start(monitor=MAIN)
    rigs.write({"monitor": rigs.programs["monitor"].uri, "gone": "udp://127.0.0.1:9"})
    page = await browser.page(console().url, dark=dark)
    await wait_until_ready(page, "monitor")
    wanted = "document.body.classList.contains('body--dark')"
    await page.wait_for_function(wanted if dark else f"!{wanted}", timeout=SLOW)
    await settle(page)  # the button cannot be pressed yet
    await page.get_by_role("checkbox", name="monitor").click()
    await page.get_by_label("Subject").fill("SP_01")
    await page.get_by_text("Task, projects, procedures").click()
    await page.get_by_role("combobox", name="Projects").focus()
    await settle(page)
    await page.get_by_role("button", name="More on monitor").click()
    await page.get_by_text("Ping", exact=True).wait_for(timeout=SLOW)
    await settle(page)


@pytest.mark.limit(60)
async def test_light_and_dark_are_as_the_computer_says_or_as_it_is_chosen(rigs, console, browser):
    rigs.start(monitor=MAIN, left={})
    page = await browser.page(console().url, dark=True)
    await wait_until_ready(page, "monitor", "left")
    await page.wait_for_function("document.body.classList.contains('body--dark')", timeout=SLOW)
    await page.get_by_role("button", name="Colours: auto").click()
    await page.wait_for_function("!document.body.classList.contains('body--dark')", timeout=SLOW)
    await page.reload()
    await page.get_by_role("button", name="Colours: light").wait_for(timeout=SLOW)
    await page.wait_for_function("!document.body.classList.contains('body--dark')", timeout=SLOW)


@pytest.mark.limit(90)
@pytest.mark.parametrize("goes_on", [True, False], ids=["recorded on", "cleaned up"])
async def test_a_session_whose_program_has_died_is_taken_up_again_or_ended(rigs, console, browser, goes_on):
    rigs.start(monitor=MAIN)
    page = await browser.page(console().url)
    await wait_until_ready(page, "monitor")
    await page.get_by_role("checkbox", name="monitor").click()
    await page.get_by_label("Subject").fill("SP_01")
    await page.get_by_role("button", name="Start recording SP_01 on 1 rig").click()
    await wait_for_title(page, "Recording")
    await page.wait_for_timeout(1000)
    rigs.kill_leader()
    await page.get_by_text(re.compile("The program that led .* has died: take it up again")).wait_for(
        timeout=SLOW
    )
    await card(page, "monitor").get_by_text("Recording").wait_for(timeout=SLOW)  # on its own
    if goes_on:
        await page.get_by_role("button", name="Take it up again").click()
        await wait_for_title(page, "Recording")
        await page.get_by_role("button", name="Stop", exact=True).click()
    else:
        await page.get_by_role("button", name="Clean it up…").click()
        await page.get_by_role("button", name="End it", exact=True).click()
    await page.get_by_role("button", name="New session").wait_for(timeout=3 * SLOW)
    await wait_until_ready(page, "monitor")
    await page.get_by_role("button", name="New session").click()
    await page.get_by_role("form", name="Start a session").wait_for(timeout=SLOW)
    assert not await page.get_by_role("button", name="Take it up again").is_visible()


TASK = """
import argparse, time
from multirig.ibl import NetworkSession

class Session(NetworkSession):
    "Waits for a while."
    protocol_name = "waiting"

    def __init__(self, *args, seconds=60.0, colour="red", **kwargs):
        super().__init__(*args, **kwargs)
        self.seconds, self.colour = seconds, colour

    @classmethod
    def extra_parser(cls):
        parser = super().extra_parser()
        parser.add_argument("--seconds", type=float, default=60.0, help="how long it waits")
        parser.add_argument("--colour", choices=["red", "green"], default="red")
        return parser

    def start_hardware(self):
        pass

    def _run(self):
        (self.paths.SESSION_FOLDER / "colour.txt").write_text(self.colour)
        end = time.time() + self.seconds
        while time.time() < end and not self.paths.SESSION_FOLDER.joinpath(".stop").exists():
            time.sleep(0.05)
"""


@pytest.mark.limit(90)
async def test_a_task_asks_on_the_page_for_what_its_own_parser_names(rigs, console, browser):
    rigs.start(monitor=MAIN)
    task = rigs.folder / "waiting.py"
    task.write_text(TASK)
    (rigs.folder / "multirig.yaml").write_text("console: {tasks: waiting.py}\n")
    page = await browser.page(console().url, size=(1280, 1100))
    await wait_until_ready(page, "monitor")
    await page.get_by_role("checkbox", name="monitor").click()
    await page.get_by_label("Subject").fill("SP_01")
    await page.get_by_text("Task, projects, procedures").click()
    await page.get_by_role("button", name="waiting.py").click()
    await page.get_by_text("Waits for a while.").wait_for(timeout=SLOW)
    assert await page.get_by_label("Seconds").input_value() == "60"
    await page.get_by_label("Seconds").fill("2")
    await page.get_by_role("combobox", name="Colour").click()
    await page.get_by_role("option", name="green").click()
    await page.get_by_role("button", name="Start recording SP_01 on 1 rig").click()
    await wait_for_title(page, "Recording")
    await wait_for_title(page, "GOOD")  # a task ends by its own rule
    assert [one.read_text() for one in rigs.folder.rglob("colour.txt")] == ["green"]
    description = next(rigs.folder.rglob("_ibl_experiment.description*.yaml")).read_text()
    assert rigs.programs["monitor"].uri in description


@pytest.mark.limit(60)
async def test_a_task_that_cannot_be_loaded_says_why(rigs, console, browser):
    rigs.start(monitor=MAIN)
    page = await browser.page(console().url)
    await wait_until_ready(page, "monitor")
    await page.get_by_text("Task, projects, procedures").click()
    await page.get_by_label(re.compile("^Task")).fill("nowhere.py")
    await page.get_by_text(re.compile("nowhere.py: there is no such file")).wait_for(timeout=SLOW)


FakeAlyx = runpy.run_path(str(Path(__file__).parents[1] / "ibl" / "alyx_server.py"))["FakeAlyx"]


@pytest.fixture
def database(tmp_path, monkeypatch):
    """Alyx, which this PC's settings name, and a home folder in which ONE has never been set up."""
    home = tmp_path / "home"
    home.mkdir()
    for variable in ("HOME", "USERPROFILE", "APPDATA"):
        monkeypatch.setenv(variable, str(home))
    monkeypatch.setenv("MULTIRIG_SETTINGS", str(tmp_path))
    alyx = FakeAlyx()
    (tmp_path / "iblrig_settings.yaml").write_text(f"ALYX_URL: {alyx.url}\nALYX_LAB: mylab\n")
    yield alyx
    alyx.close()


@pytest.mark.limit(90)
async def test_alyx_offers_animals_projects_procedures_and_users(rigs, database, console, browser, tmp_path):
    rigs.start(monitor=MAIN)
    page = await browser.page(console().url, size=(1280, 1300))
    await wait_until_ready(page, "monitor")
    await page.get_by_text("Task, projects, procedures").click()
    await page.get_by_label("User (for Alyx)").fill("sara")
    await page.get_by_label(re.compile("^Alyx password")).fill("not hers")
    await page.get_by_role("button", name="Ask Alyx").click()
    await page.get_by_text("knows no user sara with that password").wait_for(timeout=SLOW)
    assert await page.get_by_label(re.compile("^Alyx password")).input_value() == ""
    await page.get_by_label(re.compile("^Alyx password")).fill("sara's password")
    await page.get_by_role("button", name="Ask Alyx").click()
    await page.get_by_text("sara: 2 subjects and the lists below are from Alyx").wait_for(timeout=SLOW)
    await page.get_by_role("combobox", name="Procedures").click()
    await page.get_by_role("option", name="Imaging").click()
    await page.keyboard.press("Escape")
    await page.get_by_role("combobox", name="Projects").click()
    await page.get_by_role("option", name="ibl_mesoscope").wait_for(timeout=SLOW)
    assert await page.get_by_role("option", name="secret").count() == 0
    await page.keyboard.press("Escape")
    written = "".join(one.read_text(errors="replace") for one in tmp_path.rglob("*") if one.is_file())
    assert database.token_of("sara") in written  # this PC stays logged in
    assert "sara's password" not in written
    assert "not hers" not in written
    database.close()
    await page.get_by_role("button", name="Ask Alyx").click()
    await page.get_by_text(re.compile("Alyx at http://127.0.0.1")).last.wait_for(timeout=SLOW)
    await page.get_by_text(re.compile("names can be typed; ask again later")).wait_for(timeout=SLOW)
