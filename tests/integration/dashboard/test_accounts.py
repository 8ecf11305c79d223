"""People who come into the console by name: who only looks changes nothing, whatever their browser sends."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.dashboard.conftest import ConsoleProgram
from tests.integration.dashboard.test_server import PAGE, POLLING, dial
from websockets.exceptions import ConnectionClosed, InvalidStatus

from multirig.dashboard.door.access import FREE_TRIES
from multirig.dashboard.door.guard import CLOSED
from multirig.dashboard.door.password import keep_password
from multirig.dashboard.door.people import Role, keep_account, remove_account
from multirig.dashboard.pages.gate import PAGES_AT_ONCE
from multirig.record.journal import read_history

SLOW = 15_000
"""Milliseconds that a page may take to show what it is waited for, on a busy machine."""
PASSWORD = "correct horse"
LOOKS, OPERATES = "mice are small", "rats are larger"
OWN = Path("state") / "multirig" / "console"


def make_people(folder: Path) -> None:
    """Make an account that looks, and one that operates."""
    keep_account(folder / OWN, "lou", password=LOOKS)
    keep_account(folder / OWN, "Ada", password=OPERATES, role=Role.OPERATE)


def serve(start: Any, folder: Path, *options: object, **keys: Any) -> str:
    """Start a console that other PCs reach; return its address on this one."""
    url = start(folder, "--host", "0.0.0.0", "--plain-http", *options, **keys).url
    return re.sub(r"//[^:]+", "//127.0.0.1", url)


@pytest.fixture(scope="module")
def console_with_people(start_console: Any, tmp_path_factory: Any) -> str:
    """A console with two accounts, and the one password."""
    folder = tmp_path_factory.mktemp("people")
    make_people(folder)
    keep_password(folder / "remote_rigs.yaml", PASSWORD)
    return serve(start_console, folder)


@contextlib.contextmanager
def enter(url: str, name: str, password: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url) as client:
        answer = client.post("/login", data={"name": name, "password": password})
        assert answer.status_code == 303, answer.text
        yield client


def forgive(url: str) -> None:
    """Make up for wrong passwords of this test with the right ones."""
    for name, password in (("lou", LOOKS), ("ada", OPERATES), ("", PASSWORD)):
        with enter(url, name, password):
            pass


def cookie_of(client: httpx.Client) -> str:
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


# -- coming in -----------------------------------------------------------------------------------------------


def test_each_comes_in_with_name_and_password_or_the_one_password_without_a_name(
    console_with_people: str,
) -> None:
    url = console_with_people
    for name, password in (("lou", LOOKS), (" LOU ", LOOKS), ("ada", OPERATES), ("", PASSWORD)):
        with enter(url, name, password) as client:
            assert client.get("/").status_code == 200
            assert client.get("/picture/no/camera").status_code == 404
    for name, password in (("lou", OPERATES), ("", LOOKS), ("eve", PASSWORD), ("ada", "")):
        answer = httpx.post(f"{url}/login", data={"name": name, "password": password})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        words = "no name with its password" if name else "not the password"
        assert words in answer.text
        forgive(url)


def test_a_console_of_accounts_alone_starts_and_asks_for_a_name(start_console: Any, tmp_path: Path) -> None:
    make_people(tmp_path)
    url = serve(start_console, tmp_path)
    form = httpx.get(f"{url}/login").text
    assert re.search(r'<label for="name">Name</label>\n<input id="name" [^>]* required', form)
    assert httpx.post(f"{url}/login", data={"password": ""}).status_code == 401
    with enter(url, "lou", LOOKS) as client:
        assert client.get("/").status_code == 200


@pytest.mark.attack
def test_whoever_has_an_account_gets_no_more_tries_at_another(start_console: Any, tmp_path: Path) -> None:
    make_people(tmp_path)
    url = serve(start_console, tmp_path)
    codes = []
    for number in range(FREE_TRIES + 2):
        guess = httpx.post(f"{url}/login", data={"name": "ada", "password": f"guess {number}"})
        mine = httpx.post(f"{url}/login", data={"name": "lou", "password": LOOKS})
        codes.append((guess.status_code, mine.status_code))
        if mine.status_code == 303:  # by this browser's mark it is told from strangers, as itself
            marks = {name: value for name, value in mine.cookies.items() if name.endswith("_known")}
    assert codes == [(401, 303)] * (FREE_TRIES - 1) + [(401, 429)] + [(429, 429)] * 2
    for name, password, code in (("ada", OPERATES, 429), ("lou", LOOKS, 303)):
        answer = httpx.post(f"{url}/login", data={"name": name, "password": password}, cookies=marks)
        assert answer.status_code == code


@pytest.mark.attack
def test_the_time_does_not_tell_which_names_there_are(console_with_people: str) -> None:
    took: dict[str, list[float]] = {"lou": [], "nobody": []}
    for _ in range(2):
        for name, tries in took.items():
            began = time.perf_counter()
            answer = httpx.post(f"{console_with_people}/login", data={"name": name, "password": "a guess"})
            tries.append(time.perf_counter() - began)
            assert answer.status_code == 401
            forgive(console_with_people)
    assert min(took["nobody"]) > min(took["lou"]) / 2


# -- leaving -------------------------------------------------------------------------------------------------


@pytest.mark.attack
@pytest.mark.parametrize("change", ["removed", "password", "role"])
def test_what_is_changed_of_an_account_ends_its_cookies_and_sockets_at_once_and_no_others(
    start_console: Any, tmp_path: Path, change: str
) -> None:
    make_people(tmp_path)
    url = serve(start_console, tmp_path)
    with enter(url, "ada", OPERATES) as ada, enter(url, "lou", LOOKS) as lou:
        with dial(url, cookie=cookie_of(ada)) as opened:
            assert opened.recv().startswith("0{")
            match change:
                case "removed":
                    remove_account(tmp_path / OWN, "ADA")
                case "password":
                    keep_account(tmp_path / OWN, "ada", password="another one")
                case "role":
                    keep_account(tmp_path / OWN, "ada", role=Role.LOOK)
            opened.send("40")
            with pytest.raises(ConnectionClosed, match=str(CLOSED)):
                list(opened)
        assert ada.get("/").status_code == 401
        with pytest.raises(InvalidStatus, match="403"):
            dial(url, cookie=cookie_of(ada))
        assert lou.get("/").status_code == 200
        if change == "removed":  # one who comes again under the same name is another
            keep_account(tmp_path / OWN, "ada", password=OPERATES, role=Role.OPERATE)
            assert ada.get("/").status_code == 401


@pytest.mark.attack
def test_accounts_that_cannot_be_read_any_more_let_nobody_in(start_console: Any, tmp_path: Path) -> None:
    make_people(tmp_path)
    url = serve(start_console, tmp_path)
    with enter(url, "ada", OPERATES) as ada:
        (tmp_path / OWN / "accounts.json").write_text("{")
        assert ada.get("/").status_code == 401
        assert httpx.post(f"{url}/login", data={"name": "ada", "password": OPERATES}).status_code == 401
    assert "nobody is let in by name" in start_console.last.log


@pytest.mark.attack
@pytest.mark.parametrize(
    "made",
    [
        "{0}.{1}.{2}",
        "{0}.{1}.{2}.",
        "{0}.{1}.{2}.YWRh",
        "{0}.{1}.{2}.{3}.x",
        "{0}.9{1}.{2}.{3}",
        "{0}.{1}..{3}",
    ],
)
def test_a_cookie_cannot_be_made_into_another_ones(console_with_people: str, made: str) -> None:
    with enter(console_with_people, "lou", LOOKS) as lou:
        name = f"multirig_{console_with_people.rpartition(':')[2]}"
        parts = lou.cookies[name].split(".")
        assert len(parts) == 4
        forged = made.format(*parts)
        assert httpx.get(console_with_people, cookies={name: forged}).status_code == 401


# -- looking -------------------------------------------------------------------------------------------------

CHANGING = re.compile(
    "start|stop|interrupt|mark|take|clean|check|add|edit|remove|rebuild|new session|ask alyx|ping",
    re.IGNORECASE,
)
DRIVE = """async () => {
  const said = (type) => type.startsWith("update:") ? ["SP_66", true, 7, "udp://127.0.0.1:9"] : [{}];
  let sent = 0;
  for (let round = 0; round < 3; round++) {
    for (const [id, element] of Object.entries(mounted_app.elements))
      for (const event of element.events || [])
        for (const value of said(event.type)) {
          const args = event.type.startsWith("update:") ? [JSON.stringify(value)] : ["{}"];
          window.socket.emit("event",
            {id: Number(id), client_id: window.clientId, listener_id: event.listener_id, args});
          sent++;
        }
    await new Promise((done) => setTimeout(done, 400));
  }
  return sent;
}"""
"""Sends every event of every element of a page to the console, and those of what comes of that."""


async def log_in(page: Any, name: str, password: str) -> None:
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(password)
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Rigs", exact=True).wait_for(timeout=SLOW)


async def list_buttons(page: Any) -> list[str]:
    """Return what can be pressed or filled in, by its words."""
    found = page.locator("#content :is(button, input, [role=button], [role=checkbox]):visible")
    return await found.evaluate_all("(all) => all.map((e) => e.ariaLabel || e.innerText || e.type)")


@pytest.mark.limit(120)
async def test_who_looks_sees_the_lab_the_session_pictures_and_the_history_and_nothing_to_press(
    rigs: Any, start_console: Any, tmp_path: Path, browser: Any, shoot: Any
) -> None:
    browser.may_complain = True  # of the page that asks for a name
    make_people(tmp_path)
    rigs.start(cam={"main_sync": True, "adapter": {"type": "fake", "cameras": ["left"]}})
    url = serve(start_console, tmp_path)
    ada, lou = await browser.page(f"{url}/"), await browser.page(f"{url}/")
    await shoot(lou, "console-password")
    await log_in(ada, "ada", OPERATES)
    await log_in(lou, "lou", LOOKS)
    card = lou.locator('[data-rig="cam"]')
    await card.get_by_text("Ready").wait_for(timeout=SLOW)
    assert await lou.get_by_label("Logged in as lou, who may look").count() == 1
    assert await list_buttons(lou) == ["Enlarge camera left of cam"]

    await ada.get_by_role("checkbox", name="cam").click()
    await ada.get_by_label("Subject").fill("SP_01")
    await ada.get_by_role("button", name="Start recording SP_01 on 1 rig").click()
    session = lou.get_by_role("region", name="Session")
    await session.get_by_role("heading", name="Recording", exact=True).wait_for(timeout=SLOW)
    assert not [one for one in await list_buttons(lou) if CHANGING.search(one)]
    picture = await lou.get_by_role("img", name="Camera left of cam").element_handle()
    await lou.wait_for_function("(image) => image.naturalWidth > 0", arg=picture, timeout=SLOW)
    await lou.get_by_role("button", name="Enlarge camera left of cam").click()
    await lou.get_by_role("heading", name="cam: left", exact=True).wait_for(timeout=SLOW)
    await lou.get_by_role("button", name="Close").click()
    await lou.locator(".q-dialog").wait_for(state="detached", timeout=SLOW)

    await ada.get_by_role("button", name="Stop", exact=True).click()
    await session.get_by_role("heading", name="GOOD", exact=True).wait_for(timeout=SLOW)
    assert not [one for one in await list_buttons(lou) if CHANGING.search(one)]
    await session.get_by_role("button", name="Files, times and journal").click()
    await lou.get_by_text("by Ada on").wait_for(timeout=SLOW)
    await lou.get_by_text("asked for the step 'stop', by Ada").wait_for(timeout=SLOW)
    assert not [one for one in await list_buttons(lou) if CHANGING.search(one)]
    await lou.goto(f"{url}/history")
    await lou.get_by_role("columnheader", name="Led by").wait_for(timeout=SLOW)
    assert not [one for one in await list_buttons(lou) if CHANGING.search(one)]
    await lou.get_by_label("Words").fill("ada")
    await lou.wait_for_url(re.compile("text=ada"), timeout=SLOW)
    await lou.get_by_role("link", name=re.compile("SP_01")).wait_for(timeout=SLOW)
    await lou.get_by_role("button", name="Log out").click()
    await lou.wait_for_url(re.compile("/login"), timeout=SLOW)


FORGETFUL = """
# pages that have forgotten that some may only look: all of them hold whatever one who operates has
import sys
from multirig.cli.main import run
from multirig.dashboard import pages
from multirig.dashboard.door.people import Person
from multirig.dashboard.operator import Operator

pages._find_operator = lambda console: Operator(console, Person)
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.attack
@pytest.mark.limit(120)
async def test_no_event_of_who_looks_reaches_a_handler_though_a_page_has_forgotten_to_ask(
    rigs: Any, start_console: Any, tmp_path: Path, browser: Any, until: Any
) -> None:
    browser.may_complain = True
    make_people(tmp_path)
    rigs.start(cam={"main_sync": True, "adapter": {"type": "fake"}})
    (tmp_path / "forgetful.py").write_text(FORGETFUL)
    url = serve(start_console, tmp_path, program=(str(tmp_path / "forgetful.py"),))
    console, listed = start_console.last, (tmp_path / "remote_rigs.yaml").read_bytes()
    ada, lou = await browser.page(f"{url}/"), await browser.page(f"{url}/")
    await log_in(ada, "ada", OPERATES)
    await log_in(lou, "lou", LOOKS)
    await lou.locator('[data-rig="cam"]').get_by_text("Ready").wait_for(timeout=SLOW)
    # before a session: nothing is begun, no dialog comes, nobody is entered or asked
    before = await lou.evaluate("Object.keys(mounted_app.elements)")
    assert await lou.evaluate(DRIVE) > 200
    assert set(await lou.evaluate("Object.keys(mounted_app.elements)")) <= set(before)
    assert (tmp_path / "remote_rigs.yaml").read_bytes() == listed
    assert await lou.get_by_role("heading", name="Start a session").count() == 1
    assert "refused 'event' of lou, who may only look" in console.log
    # while one goes on: nobody stops, interrupts or marks it
    await ada.get_by_role("checkbox", name="cam").click()
    await ada.get_by_label("Subject").fill("SP_01")
    await ada.get_by_role("button", name="Start recording SP_01 on 1 rig").click()
    await lou.get_by_role("heading", name="Recording", exact=True).wait_for(timeout=SLOW)
    await lou.evaluate(DRIVE)
    [folder] = (tmp_path / "data").glob("mylab/Subjects/SP_01/*/001")
    told = read_history(folder)
    assert str(told.machine.state) == "running"
    assert not [one for one in told.moments if "Marked" in one.kind]
    # the same, sent by who operates, does something: it is no empty threat
    with contextlib.suppress(Exception):  # the page may be left by one of its buttons
        await ada.evaluate(DRIVE)
    await until(lambda: str(read_history(folder).machine.state) != "running", 15)


@pytest.mark.attack
def test_who_looks_keeps_the_console_busy_for_nobody_else(start_console: Any, tmp_path: Path) -> None:
    make_people(tmp_path)
    url = serve(start_console, tmp_path)
    with enter(url, "lou", LOOKS) as lou, enter(url, "ada", OPERATES) as ada:
        with ThreadPoolExecutor(10) as asking:
            codes = [*asking.map(lambda _: lou.get("/history", headers=PAGE).status_code, range(80))]
        assert set(codes) == {200, 429}
        assert PAGES_AT_ONCE <= codes.count(200) < 60
        assert lou.get("/picture/no/camera").status_code == 404  # live pictures are no pages
        assert {ada.get("/history", headers=PAGE).status_code for _ in range(PAGES_AT_ONCE + 10)} == {200}


# -- somebody else's page ------------------------------------------------------------------------------------


def read_page(html: str) -> tuple[str, dict[str, Any]]:
    """Return by what a page is known to the console, and its elements."""
    number = re.search(r"[\"']client_id[\"']: ?[\"']([0-9a-f-]{36})", html).group(1)
    text = re.search(r"createApp\(parseElements\(String\.raw`(.*?)`\)", html, re.DOTALL).group(1)
    for name, letter in (("&lt;", "<"), ("&gt;", ">"), ("&#96;", "`"), ("&#36;", "$"), ("&amp;", "&")):
        text = text.replace(name, letter)
    return number, json.loads(text)


def frames(number: str, elements: dict[str, Any]) -> list[str]:
    """Return what presses everything on a page, as socket.io writes it."""
    made = []
    for key, one in elements.items():
        for event in one.get("events", ()):
            said = {"id": int(key), "client_id": number, "listener_id": event["listener_id"], "args": ["{}"]}
            made.append(f"42{json.dumps(['event', said])}")
    return made


@pytest.mark.attack
def test_a_page_obeys_nobody_but_whom_it_was_made_for(start_console: Any, tmp_path: Path) -> None:
    make_people(tmp_path)
    url = serve(start_console, tmp_path)
    with enter(url, "ada", OPERATES) as ada, enter(url, "lou", LOOKS) as lou:
        number, elements = read_page(ada.get("/", headers=PAGE).text)
        more = f"&implicit_handshake=true&client_id={number}&tab_id=t&document_id=d&next_message_id=0"
        # by the address of hers, were it known, one who looks opens no web socket
        with dial(url, path_more=more, cookie=cookie_of(lou)) as opened:
            opened.send("40")
            said = [opened.recv(timeout=5) for _ in range(2)]
            assert said[1].startswith("44"), said
        # nor are hers pressed over one of their own
        mine, _ = read_page(lou.get("/", headers=PAGE).text)
        own = more.replace(number, mine)
        with (
            dial(url, path_more=more, cookie=cookie_of(ada)) as hers,
            dial(url, path_more=own, cookie=cookie_of(lou)) as opened,
        ):
            hers.send("40")
            assert opened.recv(timeout=5).startswith("0{")
            opened.send("40")
            assert opened.recv(timeout=5).startswith("40")
            # an event that calls itself a connection brings nobody in either
            forged = {"QUERY_STRING": more[1:], "asgi.scope": {"multirig.who": {}}}
            opened.send(f"42{json.dumps(['connect', forged])}")
            for frame in frames(number, elements):
                opened.send(frame)
            opened.send(f'421["ack",{json.dumps({"client_id": number, "next_message_id": 0})}]')
            while not (answer := opened.recv(timeout=5)).startswith("431"):
                pass
            assert answer == "431[false]"


@pytest.mark.attack
def test_who_may_only_look_by_now_operates_no_more_over_a_connection_of_before(
    start_console: Any, tmp_path: Path
) -> None:
    make_people(tmp_path)
    (tmp_path / "remote_rigs.yaml").write_text("cam: udp://127.0.0.1:9\n")
    url = serve(start_console, tmp_path)
    own = {"origin": url}
    with enter(url, "ada", OPERATES) as ada:
        number, elements = read_page(ada.get("/", headers=PAGE).text)
        more = f"&implicit_handshake=true&client_id={number}&tab_id=t&document_id=d&next_message_id=0"
        first = ada.get(POLLING + more, headers=own)
        sid = json.loads(first.text[1:])["sid"]
        over = f"{POLLING}&sid={sid}"
        assert ada.post(over, content="40", headers=own).text == "OK"
        assert "40{" in ada.get(over, headers=own).text
        keep_account(tmp_path / OWN, "ada", role=Role.LOOK)
        assert ada.post(over, content="40", headers=own).status_code == 401
        with enter(url, "ada", OPERATES) as again:
            for frame in frames(number, elements):
                again.post(over, content=frame, headers=own)
            again.post(over, content=f'421["ack",{{"client_id":"{number}"}}]', headers=own)
            answers = again.get(over, headers=own).text.split("\x1e")
            assert "431[false]" in answers
            assert not [one for one in answers if "Add a rig" in one or "Ping" in one]


def test_on_this_pc_people_come_in_by_name_or_by_the_token(tmp_path: Path) -> None:
    make_people(tmp_path)
    program = ConsoleProgram(tmp_path, "--port", 0, "--no-browser")
    try:
        url, _, token = program.url.partition("/?token=")
        assert "Name (empty: for the token in the printed address)" in httpx.get(f"{url}/login").text
        for name, password in (("lou", LOOKS), ("", token)):
            with enter(url, name, password) as client:
                assert ("who may look" in client.get("/").text) is (name == "lou")
        for name, password in (("lou", token), ("", LOOKS)):
            answer = httpx.post(f"{url}/login", data={"name": name, "password": password})
            assert answer.status_code == 401
    finally:
        program.end()
        program.process.stdout.close()
