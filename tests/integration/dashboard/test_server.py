"""The console's server as a program: who gets in, from where, and what refuses the others."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.dashboard.conftest import ConsoleProgram
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from multirig.dashboard.door.access import FREE_TRIES
from multirig.dashboard.door.connections import HEAD_LIMIT, MOST_OF_ONE
from multirig.dashboard.door.guard import CLOSED
from multirig.dashboard.door.password import keep_password

PASSWORD = "correct horse"
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
POLLING = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"
PAGE = {"accept": "text/html"}
PLAIN = "without TLS whoever listens in this network reads the password: leave out --plain-http"


@pytest.fixture(scope="module")
def here(start_console, tmp_path_factory) -> str:
    """A console on loopback."""
    return start_console(tmp_path_factory.mktemp("here")).url


@pytest.fixture(scope="module")
def locked(start_console, tmp_path_factory) -> str:
    """A console that other PCs reach, by its address on this one."""
    return start_locked(start_console, tmp_path_factory.mktemp("locked"))


def start_locked(start_console: Any, folder: Path, *options: object) -> str:
    keep_password(folder / "remote_rigs.yaml", PASSWORD)
    if "--tls-cert" not in options:
        options = ("--plain-http", *options)
    url = start_console(folder, "--host", "0.0.0.0", *options).url
    return re.sub(r"//[^:]+", "//127.0.0.1", url)


@contextlib.contextmanager
def log_in(url: str, **options: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, **options) as client:
        assert client.post("/login", data={"password": PASSWORD}).status_code == 303
        yield client


def forgive(url: str) -> None:
    """Make up for wrong passwords of this test with the right one."""
    with log_in(url):
        pass


def dial(url: str, *, origin: Any = "", path_more: str = "", **headers: str) -> Any:
    """Open the page's web socket, as its own page would; `path_more` is put behind its address."""
    address = url.replace("http", "ws", 1) + SOCKET + path_more
    context = None
    if url.startswith("https"):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if origin == "":
        origin = url
    return connect(address, origin=origin, additional_headers=named, ssl=context, proxy=None)


# -- on this PC ----------------------------------------------------------------------------------------------


def test_on_loopback_nobody_is_asked_for_a_password(here: str) -> None:
    answer = httpx.get(here, headers=PAGE)
    assert answer.status_code == 200
    assert answer.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert httpx.get(f"{here}/login").headers["location"] == "/"
    assert httpx.get(f"{here}/signed-in").status_code == 204
    with dial(here) as opened:
        assert opened.recv().startswith("0{")


@pytest.mark.parametrize("path", ["/", "/login", "/favicon.ico", POLLING])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8090", "192.0.2.7"])
@pytest.mark.attack
def test_under_another_name_the_console_does_not_answer(here: str, path: str, host: str) -> None:
    answer = httpx.get(f"{here}{path}", headers={"host": host})
    assert answer.status_code == 403
    assert host in answer.text
    assert answer.text.count("\n") == 1


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null", "https://localhost"])
@pytest.mark.attack
def test_a_page_from_elsewhere_is_refused_whatever_it_asks(here: str, origin: str) -> None:
    for method, path in (
        ("GET", "/"),
        ("GET", POLLING),
        ("POST", POLLING),
        ("POST", "/login"),
        ("OPTIONS", "/"),
    ):
        answer = httpx.request(method, f"{here}{path}", headers={"origin": origin})
        assert answer.status_code == 403, (method, path)
        assert "access-control-allow-origin" not in answer.headers
    with pytest.raises(InvalidStatus, match="403"):
        dial(here, origin=origin)


@pytest.mark.attack
def test_a_web_socket_that_does_not_say_whose_it_is_or_comes_by_another_name_is_refused(here: str) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        dial(here, origin=None)
    port = here.rpartition(":")[2]
    origin: Any = f"http://evil.example:{port}"
    with (
        socket.create_connection(("127.0.0.1", int(port))) as raw,
        pytest.raises(InvalidStatus, match="403"),
    ):
        # by DNS, a page's own name has become this PC's address
        connect(f"ws://evil.example:{port}{SOCKET}", origin=origin, sock=raw, proxy=None)


def test_a_link_from_another_page_is_followed_and_what_it_embeds_is_not(here: str) -> None:
    foreign = {"sec-fetch-site": "cross-site"}
    link = {**foreign, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert httpx.get(here, headers=link).status_code == 200
    assert httpx.get(here, headers={**foreign, "sec-fetch-mode": "no-cors"}).status_code == 403
    assert httpx.post(here, headers=link).status_code == 403


@pytest.mark.attack
async def test_a_page_elsewhere_cannot_reach_into_a_console_on_loopback(here: str, browser) -> None:
    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>elsewhere</title>")

        def log_message(self, *_: object) -> None: ...

    browser.may_complain = True
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = await browser.page(f"http://127.0.0.1:{server.server_address[1]}/")
        code = """async ([here, socket, polling]) => {
          const opened = new Promise(done => {
            const one = new WebSocket(here.replace("http", "ws") + socket);
            one.onopen = () => done("opened");
            one.onerror = () => done("refused");
          });
          const read = await fetch(here + polling).then(() => "read", () => "refused");
          const framed = new Promise(done => {
            const frame = document.body.appendChild(document.createElement("iframe"));
            frame.onload = () => done("whatever");
            frame.src = here;
          });
          return [await opened, read, await framed];
        }"""
        found = await page.evaluate(code, [here, SOCKET, POLLING])
        server.shutdown()
    assert found[:2] == ["refused", "refused"]
    frame = page.frames[-1]
    assert "multirig" not in await frame.title()


# -- from other PCs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/history", POLLING, "/_nicegui/3/static/nicegui.js", "/nonsense", "/signed-in", "/picture/rig/left"],
)
def test_without_the_password_nothing_is_given(locked: str, path: str) -> None:
    for method in ("GET", "POST", "PUT"):
        answer = httpx.request(method, f"{locked}{path}")
        assert answer.status_code in (401, 405), (method, answer.status_code)
        assert len(answer.text) < 100


def test_whoever_opens_a_page_is_led_to_the_password_and_then_to_that_page(locked: str) -> None:
    answer = httpx.get(f"{locked}/history?text=a%20b", headers=PAGE)
    assert answer.status_code == 303
    form = httpx.get(f"{locked}{answer.headers['location']}")
    target = re.search(r'name="next" value="([^"]+)"', form.text).group(1)
    answer = httpx.post(f"{locked}/login", data={"password": PASSWORD, "next": target})
    assert answer.headers["location"] == "/history?text=a%20b"
    answer = httpx.post(f"{locked}/login", data={"password": PASSWORD, "next": "//evil.example"})
    assert answer.headers["location"] == "/"


def test_the_cookie_is_for_this_console_alone_and_no_script_sees_it(locked: str) -> None:
    answer = httpx.post(f"{locked}/login", data={"password": PASSWORD})
    port = locked.rpartition(":")[2]
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name.startswith(f"multirig_{port}=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    assert "Secure" not in attributes


def test_a_wrong_password_is_told_and_gives_no_cookie(locked: str) -> None:
    answer = httpx.post(f"{locked}/login", data={"password": "wrong horse"})
    assert answer.status_code == 401
    assert "That is not the password" in answer.text
    assert "set-cookie" not in answer.headers
    forgive(locked)


@pytest.mark.parametrize("body", [b"", b"password", b"\xff\xfe", b"password=" + b"x" * 10_000])
def test_a_strange_form_is_refused(locked: str, body: bytes) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = httpx.post(f"{locked}/login", content=body, headers=kind)
    assert answer.status_code in (400, 401)
    forgive(locked)


@pytest.mark.attack
def test_a_web_socket_is_refused_without_the_cookie_and_ends_with_the_session(locked: str) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        dial(locked)
    with pytest.raises(InvalidStatus, match="403"):
        dial(locked, cookie=f"multirig_{locked.rpartition(':')[2]}=made.2000000000.up")
    with log_in(locked) as client:
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        assert client.get("/").status_code == 200
        with dial(locked, cookie=cookie) as opened:
            assert opened.recv().startswith("0{")
            assert client.post("/logout").status_code == 303
            opened.send("40")
            with pytest.raises(ConnectionClosed, match=str(CLOSED)):
                list(opened)
        with pytest.raises(InvalidStatus, match="403"):
            dial(locked, cookie=cookie)
        assert httpx.get(locked, headers={"cookie": cookie}).status_code == 401


async def test_the_password_page_works_without_scripts(locked: str, browser) -> None:
    browser.may_complain = True  # of the answer 401
    page = await browser.page(f"{locked}/", java_script_enabled=False)
    assert page.url.startswith(f"{locked}/login")
    await page.keyboard.type("wrong horse")
    await page.keyboard.press("Enter")
    alert = page.get_by_role("alert")
    await alert.wait_for()
    assert await alert.inner_text() == "That is not the password: type it again."
    await page.get_by_label("Password of this console").fill(PASSWORD)
    await page.get_by_role("button", name="Open the console").click()
    await page.wait_for_url(f"{locked}/")


async def test_a_page_whose_session_ends_asks_for_the_password_again(locked: str, browser) -> None:
    browser.may_complain = True  # of the web socket that is closed
    page = await browser.page(f"{locked}/")
    await page.get_by_label("Password of this console").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_function("window.did_handshake === true")
    await page.evaluate("fetch('/logout', {method: 'POST', redirect: 'manual'}).then(() => null)")
    await page.wait_for_url(re.compile("/login"), timeout=15_000)
    assert browser.foreign == []


async def test_who_has_logged_in_can_log_out_on_the_page(locked: str, browser) -> None:
    browser.may_complain = True  # of the answer 401
    page = await browser.page(f"{locked}/")
    await page.get_by_label("Password of this console").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Log out").click()
    await page.wait_for_url(re.compile("/login"), timeout=15_000)
    await page.goto(f"{locked}/history")
    assert "/login" in page.url


@pytest.mark.attack
def test_who_guesses_has_to_wait_and_others_do_not(start_console, tmp_path: Path) -> None:
    url = start_locked(start_console, tmp_path)
    for _ in range(FREE_TRIES):
        assert httpx.post(f"{url}/login", data={"password": "a guess"}).status_code == 401
    for password in ("a guess", PASSWORD):
        answer = httpx.post(f"{url}/login", data={"password": password})
        assert answer.status_code == 429
        assert 50 < int(answer.headers["retry-after"]) <= 61
        assert re.search(r"Too many wrong passwords: wait \d\d s, then try again\.", answer.text)
    if sys.platform == "linux":  # where all of 127/8 is this PC's
        with log_in(url, transport=httpx.HTTPTransport(local_address="127.0.0.2")) as client:
            assert client.get("/").status_code == 200


@pytest.mark.attack
def test_guesses_at_the_same_time_are_no_way_round(start_console, tmp_path: Path) -> None:
    url = start_locked(start_console, tmp_path)
    codes: list[int] = []

    def guess() -> None:
        codes.append(httpx.post(f"{url}/login", data={"password": "a guess"}, timeout=30).status_code)

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(codes) == [401] * FREE_TRIES + [429] * (12 - FREE_TRIES)


def test_a_session_outlives_the_console(start_console, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = start_locked(start_console, tmp_path, "--port", port)
    with log_in(url) as client:
        assert start_console.last.end()[0] == 0
        start_locked_again = start_console(tmp_path, "--host", "0.0.0.0", "--plain-http", "--port", port)
        assert str(port) in start_locked_again.url
        assert client.get("/").status_code == 200


@pytest.mark.attack
def test_who_has_logged_out_stays_so_when_the_console_is_started_again(start_console, tmp_path: Path) -> None:
    url = start_locked(start_console, tmp_path)
    port = url.rpartition(":")[2]
    with log_in(url) as client:
        kept = dict(client.cookies)
        client.post("/logout")
        assert start_console.last.end()[0] == 0
        start_console(tmp_path, "--host", "0.0.0.0", "--plain-http", "--port", port).url  # noqa: B018  it waits
        for name, value in kept.items():  # whoever had copied it
            client.cookies.set(name, value)
        assert client.get("/").status_code == 401


# -- the token -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mine(tmp_path_factory) -> Iterator[ConsoleProgram]:
    """A console on loopback, as it is when nobody says more: for whoever has its address."""
    program = ConsoleProgram(tmp_path_factory.mktemp("mine"), "--port", 0, "--no-browser")
    yield program
    program.end()
    program.process.stdout.close()


def split(program: ConsoleProgram) -> tuple[str, str]:
    url, _, token = program.url.partition("/?token=")
    assert len(token) == 24
    return url, token


@pytest.mark.attack
def test_without_the_token_no_other_user_of_this_pc_sees_or_does_anything(mine: ConsoleProgram) -> None:
    url, token = split(mine)
    for path in ("/", "/history", "/picture/cam/left", POLLING):
        for more in ("", "?token=", f"?token={token[:-1]}", f"?token={token}x", f"?TOKEN={token}"):
            assert httpx.get(url + path.partition("?")[0] + more).status_code == 401
    assert httpx.post(f"{url}/?token={token}").status_code == 401
    with pytest.raises(InvalidStatus):
        dial(url)
    asked = httpx.get(url, headers=PAGE, follow_redirects=True)
    assert "type what stands in it behind token=" in asked.text
    assert "multirig" not in httpx.get(url).headers.get("set-cookie", "")


def test_the_printed_address_opens_it_and_does_not_stay_in_the_browser(mine: ConsoleProgram) -> None:
    url, token = split(mine)
    with httpx.Client(base_url=url) as client:
        answer = client.get("/history", params={"token": token})
        assert (answer.status_code, answer.headers["location"]) == (303, "/history")
        assert client.get("/history").status_code == 200
    with httpx.Client(base_url=url) as client:
        assert client.post("/login", data={"password": f" {token} "}).status_code == 303
        assert client.get("/").status_code == 200
    assert token not in mine.log


async def test_a_browser_is_in_by_the_printed_address(mine: ConsoleProgram, browser) -> None:
    page = await browser.page(mine.url)
    await page.get_by_role("heading", name="Rigs", exact=True).wait_for(timeout=15_000)
    assert "token" not in page.url
    assert (
        await page.evaluate("performance.getEntriesByType('navigation')[0].name.includes('token')") is False
    )


def test_the_address_is_the_same_when_it_is_started_again_and_can_be_asked_for(mine: ConsoleProgram) -> None:
    url, token = split(mine)
    port = url.rpartition(":")[2]
    command = [sys.executable, "-m", "multirig", "console", "--address", "--port", port]
    environment = {**os.environ, "XDG_STATE_HOME": str(mine.folder / "state")}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30).stdout
    assert said == f"http://127.0.0.1:{port}/?token={token}\n"


# -- who wants to keep others out ----------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has more than one address of its own")
@pytest.mark.attack
def test_thirty_wrong_passwords_a_minute_from_all_over_keep_nobody_out(start_console, tmp_path: Path) -> None:
    url = start_locked(start_console, tmp_path)
    for number in range(35):
        with httpx.Client(transport=httpx.HTTPTransport(local_address=f"127.0.1.{number + 1}")) as guesser:
            assert guesser.post(f"{url}/login", data={"password": "a guess"}).status_code == 401
    with log_in(url, transport=httpx.HTTPTransport(local_address="127.0.2.1"), timeout=10) as client:
        assert client.get("/").status_code == 200


@pytest.mark.attack
def test_a_browser_that_knew_the_password_gets_in_though_its_address_has_to_wait(
    start_console, tmp_path: Path
) -> None:
    url = start_locked(start_console, tmp_path)
    with log_in(url) as client:
        client.post("/logout")
        assert client.get("/").status_code == 401
        for _ in range(FREE_TRIES):
            httpx.post(f"{url}/login", data={"password": "a guess"})
        assert httpx.post(f"{url}/login", data={"password": PASSWORD}).status_code == 429
        assert client.post("/login", data={"password": PASSWORD}).status_code == 303
        assert client.get("/").status_code == 200


@contextlib.contextmanager
def dialled(url: str, count: int, here: str = "127.0.0.1", said: bytes = b"GET /") -> Iterator[list[Any]]:
    """Open many connections, and say nothing whole."""
    port = int(url.rpartition(":")[2])
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(count):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10, (here, 0)))
            one.sendall(said)
            made.append(one)
        yield made


def is_cut(one: socket.socket, limit: float) -> bool:
    one.settimeout(limit)
    try:
        return one.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has more than one address of its own")
@pytest.mark.attack
def test_connections_that_say_nothing_whole_are_bounded_and_cut_and_keep_nobody_out(
    start_console, tmp_path: Path
) -> None:
    url = start_locked(start_console, tmp_path)
    with contextlib.ExitStack() as stack:
        for number in range(5):
            made = stack.enter_context(dialled(url, MOST_OF_ONE, f"127.0.1.{number + 1}"))
        began = time.monotonic()
        [one] = stack.enter_context(dialled(url, 1, "127.0.1.5", b""))
        assert is_cut(one, 5)  # that address has enough
        with log_in(url, transport=httpx.HTTPTransport(local_address="127.0.2.1"), timeout=10) as client:
            assert client.get("/").status_code == 200
        while time.monotonic() < began + HEAD_LIMIT - 3:  # byte by byte is no way round
            with contextlib.suppress(OSError):
                made[0].sendall(b"x")
            time.sleep(0.5)
        assert not is_cut(made[0], 0.1)
        assert is_cut(made[0], 10)
        assert all(is_cut(one, 1) for one in made)


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\nx: ", b"GET / HTTP/1.1\r\n", b"GET /"])
@pytest.mark.attack
def test_a_head_without_end_is_cut(locked: str, said: bytes) -> None:
    with dialled(locked, 1, said=said) as [one]:
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                one.sendall(b"a: b\r\n" * 500 if said.endswith(b"\n") else b"a" * 3000)
        assert is_cut(one, HEAD_LIMIT / 2)


# -- encrypted -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    """Make a certificate of this PC's own, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext".split()
    try:
        subprocess.run(
            [*command, "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
            check=True,
            capture_output=True,
            timeout=60,
        )
    except FileNotFoundError:
        pytest.skip("no openssl on this machine to make a certificate with: apt-get install openssl")
    return cert, key


def test_with_tls_all_is_encrypted_and_the_cookie_goes_nowhere_else(
    start_console, tmp_path, certificate
) -> None:
    cert, key = certificate
    url = start_locked(start_console, tmp_path, "--tls-cert", cert, "--tls-key", key)
    assert url.startswith("https://")
    trusted = ssl.create_default_context(cafile=str(cert))
    with httpx.Client(base_url=url, verify=trusted) as client:
        answer = client.post("/login", data={"password": PASSWORD})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-multirig_")
        assert "Secure" in cookie.split("; ")
        page = client.get("/")
        assert page.status_code == 200
        assert all("secure" in one.lower() for one in page.headers.get_list("set-cookie"))
        pair = cookie.partition(";")[0]
        with dial(url, cookie=pair) as opened:
            assert opened.recv().startswith("0{")
        with pytest.raises(InvalidStatus, match="403"):
            dial(url)
    with pytest.raises(httpx.TransportError):
        httpx.get(url.replace("https", "http"))
    code, said = start_console.last.end()
    assert code == 0
    assert "TLS" not in said


def test_other_pcs_come_encrypted_by_a_certificate_of_this_pcs_own_which_it_tells(
    start_console, tmp_path: Path
) -> None:
    keep_password(tmp_path / "remote_rigs.yaml", PASSWORD)
    told = []
    for _ in range(2):
        program = start_console(tmp_path, "--host", "0.0.0.0")
        assert re.fullmatch(r"https://[\d.]+:\d+", program.url)
        url = re.sub(r"//[^:]+", "//127.0.0.1", program.url)
        own = program.own_folder / "certificate.pem"
        with httpx.Client(base_url=url, verify=ssl.create_default_context(cafile=str(own))) as client:
            answer = client.post("/login", data={"password": PASSWORD})
            assert answer.status_code == 303
            assert answer.headers["set-cookie"].startswith("__Host-multirig_")
            assert client.get("/").status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(url.replace("https", "http"))
        served = ssl.get_server_certificate(("127.0.0.1", int(url.rpartition(":")[2])))
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(served)).digest().hex(":").upper()
        code, said = program.end()
        assert code == 0
        told.append((digest, "has made a new certificate" in said))
        assert said.splitlines()[-1] == digest
        assert "go on only if its SHA-256 fingerprint is this one" in said
        assert os.name == "nt" or own.stat().st_mode & 0o077 == 0
    assert told == [(digest, True), (digest, False)]
    command = [sys.executable, "-m", "multirig", "console", "--fingerprint"]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert done.stdout == f"{digest}\n"


def test_without_encryption_only_by_an_option_that_says_so(start_console, tmp_path: Path) -> None:
    url = start_locked(start_console, tmp_path)
    assert url.startswith("http://")
    code, said = start_console.last.end()
    assert (code, said.partition("without")[1:]) == (0, ("without", f"{PLAIN.removeprefix('without')}\n"))
    program = start_console(
        tmp_path, "--host", "0.0.0.0", "--plain-http", "--tls-cert", "a", "--tls-key", "b"
    )
    assert program.process.wait(30) == 2
    assert "--plain-http is without encryption: leave out" in program.process.stderr.read()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--tls-cert", "CERT"), "give both --tls-cert and --tls-key"),
        (("--tls-cert", "CERT", "--tls-key", "none.pem"), "none.pem: there is no such file"),
        (("--tls-cert", "CERT", "--tls-key", "CERT"), "are not a certificate and its key"),
        (("--tls-cert", "KEY", "--tls-key", "KEY"), "are not a certificate and its key"),
    ],
)
def test_tls_files_that_do_not_fit_are_one_line(start_console, tmp_path, certificate, options, words) -> None:
    files = dict(zip(("CERT", "KEY"), certificate, strict=True))
    program = start_console(tmp_path, *(files.get(one, one) for one in options))
    assert_refused(program, words)


# -- the command ---------------------------------------------------------------------------------------------


def assert_refused(program: Any, *words: str) -> None:
    code = program.process.wait(30)
    said = program.process.stderr.read()
    assert code == 2, said
    assert said.count("\n") == 1
    assert program.process.stdout.read() == ""
    for word in words:
        assert word in said


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1.example.invalid"])
def test_other_pcs_are_let_in_with_a_password_only(start_console, tmp_path: Path, host: str) -> None:
    program = start_console(tmp_path, "--host", host, "--tls-cert", "a.pem", "--tls-key", "b.pem")
    assert_refused(program, host, "no password", "multirig console --set-password")


def test_an_address_of_another_pc_is_one_line(start_console, tmp_path: Path) -> None:
    keep_password(tmp_path / "remote_rigs.yaml", PASSWORD)
    program = start_console(tmp_path, "--host", "192.0.2.1", "--plain-http")
    assert program.process.wait(30) == 2
    warning, refusal = program.process.stderr.read().splitlines()
    assert "without TLS" in warning
    assert "192.0.2.1" in refusal


def test_a_port_that_is_in_use_is_one_line_with_another_one(start_console, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        program = start_console(tmp_path, "--port", port)
        assert_refused(program, f"127.0.0.1:{port}", "choose another port: --port")


def test_without_the_extra_one_line_names_it(start_console, tmp_path: Path) -> None:
    (tmp_path / "nicegui.py").write_text("raise ImportError('there is none')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    # it starts cold, for it has to look for what it needs
    program = start_console(tmp_path, environment={"PYTHONPATH": path, "PYTHONHASHSEED": "0"})
    assert_refused(program, "pip install 'multirig[console]'")


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a child")
def test_ctrl_c_ends_it_at_once_though_a_page_is_open(start_console, tmp_path: Path) -> None:
    program = start_console(tmp_path)
    with dial(program.url) as opened:
        assert opened.recv().startswith("0{")
        program.process.send_signal(signal.SIGINT)
        assert program.process.wait(10) == 0
    assert program.process.stderr.read() == ""
    assert program.process.stdout.read() == ""


@pytest.mark.limit(120)
async def test_ctrl_c_leaves_a_session_alone_and_says_so_in_one_line(rigs, console, browser) -> None:
    browser.may_complain = True  # the console is away for a while
    rigs.start(monitor={"main_sync": True, "adapter": {"type": "fake"}})
    first = console()
    page = await browser.page(first.url)
    await page.locator('[data-rig="monitor"]').get_by_text("Ready").wait_for(timeout=15_000)
    await page.get_by_role("checkbox", name="monitor").click()
    await page.get_by_label("Subject").fill("SP_01")
    await page.get_by_role("button", name="Start recording SP_01 on 1 rig").click()
    await page.get_by_role("heading", name="Recording", exact=True).wait_for(timeout=15_000)
    code, said = first.end()
    assert code == 0
    assert re.fullmatch(
        r"session [\d-]+_1_SP_01 goes on: multirig console shows it again, and can stop it\n", said
    )
    again = await browser.page(console().url)
    await again.get_by_role("button", name="Stop", exact=True).click(timeout=15_000)
    await again.get_by_role("heading", name="GOOD", exact=True).wait_for(timeout=15_000)


def test_the_secret_of_the_installation_is_for_its_user_only_and_stays(start_console, tmp_path: Path) -> None:
    secrets = []
    for _ in range(2):
        program = start_console(tmp_path)
        assert program.url
        assert program.end()[0] == 0
        file = tmp_path / "state" / "multirig" / "console" / "secret"
        secrets.append(file.read_bytes())
        assert os.name == "nt" or file.stat().st_mode & 0o077 == 0
    assert secrets[0] == secrets[1]
    assert len(secrets[0]) == 32


def test_nothing_of_the_web_is_loaded_by_the_other_commands() -> None:
    code = (
        "import sys; from multirig.cli.main import load_commands; load_commands(); "
        "print(sorted({'nicegui', 'fastapi', 'uvicorn', 'socketio', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
