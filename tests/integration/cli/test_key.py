"""``multirig key``, as two people at two PCs meet it; each PC is a folder of keys."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.programs import Program

from multirig.keyring import Keyring, files, read_keys
from multirig.trust.certificate import LabKey
from multirig.trust.keys import Membership
from multirig.trust.roles import Role

LIMIT = 30


class Screen:
    """``multirig key add`` on the lab's PC: what it shows, and a keyboard where it has one."""

    def __init__(self, command: list[str], folder: Path, keys: Path, *, has_keyboard: bool) -> None:
        self._keyboard: int | None = None
        stdin: Any = subprocess.DEVNULL
        if has_keyboard:
            import pty

            self._keyboard, stdin = pty.openpty()
        environment = {
            **os.environ,
            "MULTIRIG_KEYS": str(keys),
            "COLUMNS": "300",
            "PYTHONIOENCODING": "utf-8",
        }
        self.process = Program(
            [sys.executable, "-m", "multirig", "key", "add", "--port", "0", *command],
            cwd=folder,
            env=environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if has_keyboard:
            os.close(stdin)
        self.text = ""
        self._parts: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for part in iter(lambda: self.process.stdout.read(1), ""):
            self._parts.put(part)

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until the screen shows a pattern."""
        end = time.monotonic() + LIMIT
        while (found := re.search(pattern, self.text)) is None:
            try:
                self.text += self._parts.get(timeout=0.05)
            except queue.Empty:
                ended = self.process.poll() is not None and self._parts.empty()
                assert not ended and time.monotonic() < end, f"no {pattern!r} in\n{self.text}"  # noqa: PT018
        return found

    def type(self, text: str) -> None:
        assert self._keyboard is not None
        os.write(self._keyboard, f"{text}\n".encode())

    @property
    def code(self) -> str:
        return self.expect(r"\n +(\d{3} \d{3})\n")[1]

    @property
    def address(self) -> str:
        found = self.expect(r"multirig key join .*:(\d+)\s")
        return f"127.0.0.1:{found[1]}"

    def end(self) -> int:
        """Return its exit code, when all that it showed is read."""
        code = self.process.wait(LIMIT)
        while True:
            try:
                self.text += self._parts.get(timeout=0.2)
            except queue.Empty:
                return int(code)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(LIMIT)
        self.process.stdout.close()
        if self._keyboard is not None:
            os.close(self._keyboard)


@pytest.fixture
def office(multirig, tmp_path: Path) -> Path:
    """Make a lab's key on the PC office, and return its folder."""
    done = multirig("key", "new", "mylab", "--name", "office", MULTIRIG_KEYS=str(tmp_path / "office"))
    assert done.returncode == 0, done.stderr
    return tmp_path / "office"


@pytest.fixture
def add(office: Path, tmp_path: Path) -> Iterator[Callable[..., Screen]]:
    screens: list[Screen] = []

    def start(*command: str, has_keyboard: bool = False) -> Screen:
        screens.append(Screen([*command], tmp_path, office, has_keyboard=has_keyboard))
        return screens[-1]

    yield start
    for one in screens:
        one.close()


@pytest.fixture
def join(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Join from the PC video, with what is typed there; return the exit code, and all that it said."""

    def run(address: str, typed: str, *options: str, pc: str = "video") -> tuple[int, str]:
        environment = {**os.environ, "MULTIRIG_KEYS": str(tmp_path / pc), "COLUMNS": "300"}
        with Program(
            [sys.executable, "-m", "multirig", "key", "join", address, "--name", pc, *options],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            said, _ = process.communicate(f"{typed}\n" if typed else "", LIMIT)
        assert "Traceback" not in said, said
        return process.returncode, said

    return run


needs_terminal = pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminal in Python")


# -- making, and joining -------------------------------------------------------------------------------------


def test_a_lab_gets_a_key_and_its_pc_may_lead(multirig, tmp_path: Path):
    done = multirig("key", "new", "mylab", "--name", "office")
    assert done.returncode == 0
    assert re.search(r"✓ this PC holds the key of the lab mylab now: (\w{4} ?){4}\n", done.stderr)
    assert "✓ this PC, office, is of it, until 20" in done.stderr
    assert "may lead sessions" in done.stderr
    assert "key add" in done.stdout
    assert "key paper" in done.stdout
    keys = read_keys(tmp_path / "keys")
    assert keys is not None
    assert [one.certificate.role for one in keys.memberships] == [Role.LEAD]
    again = multirig("key", "new", "mylab")
    assert again.returncode == 2
    assert "holds the key of the lab mylab already" in again.stderr


def test_a_pc_without_a_key_says_what_to_do(multirig):
    done = multirig("key", "show")
    assert done.returncode == 0
    assert "multirig key join" in done.stderr
    assert "multirig key new" in done.stderr
    for command in (["add", "--yes"], ["paper", "--yes"], ["shut-out", "x", "--yes"], ["renew"]):
        refused = multirig("key", *command)
        assert refused.returncode == 2
        assert "this PC does not hold a lab's key" in refused.stderr


def test_a_second_pc_joins_by_what_the_screens_say(multirig, add, join, office: Path, tmp_path: Path):
    screen = add("--yes", "--role", "look")
    code, said = join(screen.address, screen.code)
    assert code == 0, said
    assert "the code is right: now the other screen asks whether this PC may join" in said
    assert "✓ this PC, video, is of the lab mylab now, until 20" in said
    assert "as look: it may look on, and change nothing" in said
    assert screen.end() == 0, screen.text
    assert "video (127.0.0.1) wants to join the lab mylab" in screen.text
    assert "✓ video is of the lab mylab now" in screen.text
    shown = multirig("key", "show", MULTIRIG_KEYS=str(office)).stdout
    assert re.search(r"^video +look +until 20", shown, re.MULTILINE)
    shown = multirig("key", "show", MULTIRIG_KEYS=str(tmp_path / "video")).stdout
    assert "this PC  look: may look on" in shown
    assert "its PCs" not in shown


@needs_terminal
@pytest.mark.parametrize(("typed", "role"), [("", "rig"), ("lead", "lead"), ("colour\nLOOK", "look")])
def test_the_person_at_the_lab_s_pc_says_what_the_new_one_may_do(add, join, typed: str, role: str):
    screen = add(has_keyboard=True)
    screen.type("no")  # before the question: it is no answer to it
    address, code = screen.address, screen.code
    answers: list[tuple[int, str]] = []
    joining = threading.Thread(target=lambda: answers.append(join(address, code)))
    joining.start()
    screen.expect(r"video \(127\.0\.0\.1\) wants to join")
    screen.expect(r"May it join: as rig, lead or look, or no\? \[rig\]")
    for line in typed.split("\n"):
        time.sleep(0.2)
        screen.type(line)
    joining.join(LIMIT)
    assert answers[0][0] == 0, answers
    assert f"as {role}: it may" in answers[0][1]
    assert screen.end() == 0
    assert ("type rig, lead, look or no" in screen.text) == ("colour" in typed)


@needs_terminal
def test_the_person_at_the_lab_s_pc_says_no(add, join, office: Path):
    screen = add(has_keyboard=True)
    address, code = screen.address, screen.code
    answers: list[tuple[int, str]] = []
    joining = threading.Thread(target=lambda: answers.append(join(address, code)))
    joining.start()
    screen.expect("May it join")
    time.sleep(0.2)
    screen.type("no")
    joining.join(LIMIT)
    assert answers[0][0] == 1
    assert "the person at the lab's PC did not let it in" in answers[0][1]
    assert screen.end() == 1
    assert "it may not join; the code is void" in screen.text


@needs_terminal
@pytest.mark.parametrize("is_asked", [False, True], ids=["while it waits", "while it asks"])
def test_ctrl_c_ends_it_and_the_code_is_worth_nothing(add, join, tmp_path: Path, is_asked: bool):
    screen = add(has_keyboard=True)
    address, code = screen.address, screen.code
    screen.expect("waiting for it")
    answers: list[tuple[int, str]] = []
    joining = threading.Thread(target=lambda: answers.append(join(address, code)))
    if is_asked:
        joining.start()
        screen.expect("May it join")
    screen.process.send_signal(signal.SIGINT)
    assert screen.end() == 130
    assert "interrupted" in screen.text
    assert "Traceback" not in screen.text
    if is_asked:
        joining.join(LIMIT)
    else:
        answers.append(join(address, code))
    assert answers[0][0] == 1
    assert ("has ended the connection" if is_asked else "nobody answers") in answers[0][1]


@pytest.mark.attack
def test_three_wrong_codes_end_it_on_both_screens(add, join, tmp_path: Path):
    screen = add("--yes")
    address, code = screen.address, screen.code
    wrong = f"{(int(code.replace(' ', '')) + 1) % 10**6:06}"
    for left in ("2 more tries", "one more try", "the third one: the code is void"):
        ended, said = join(address, wrong)
        assert ended == 1
        assert "the code is wrong" in said
        assert wrong not in said
        screen.expect(left)
    assert screen.end() == 1
    ended, said = join(address, code)
    assert ended == 1
    assert "nobody answers at 127.0.0.1" in said
    assert read_keys(tmp_path / "video") is None


def test_what_is_typed_wrong_is_told(join, multirig):
    assert "nothing was typed" in join("127.0.0.1:1", "")[1]
    assert "type the 6 digits" in join("127.0.0.1:1", "12345")[1]
    for address in ("", "a b", "127.0.0.1:x", "127.0.0.1:0", "127.0.0.1:99999"):
        ended, said = join(address, "123456")
        assert (ended, "is no address" in said) == (2, True), address
    assert "'\\x1b[2J' is no name" in join("127.0.0.1:1", "123456", "--name", "\x1b[2J")[1]


def test_nobody_is_let_in_where_nobody_can_be_asked(add):
    screen = add()
    assert screen.end() == 2
    assert "give --yes and --role" in screen.text


@pytest.mark.attack
def test_no_option_takes_a_code_or_a_key(multirig):
    for command in ("new", "join", "add", "take"):
        shown = multirig("key", command, "--help").stdout
        assert not re.search(r"--(code|seed|private|password)", shown)


# -- shutting out --------------------------------------------------------------------------------------------


def certify(office: Path, tmp_path: Path, name: str, role: Role = Role.RIG, pc: str | None = None) -> Keyring:
    """Let a PC join without a screen."""
    lab_pc, ring = Keyring(office), Keyring(tmp_path / (pc or name))
    key = lab_pc.find_lab_key()
    ring.make_own_key(name)
    own = ring.read()
    assert own is not None
    ring.add(key.lab, lab_pc.certify(key, own.public, name, role))
    return ring


@pytest.mark.attack
def test_a_pc_that_was_lost_is_shut_out_and_the_others_hear_of_it_by_a_stick(
    multirig, office: Path, tmp_path: Path
):
    lost, other = certify(office, tmp_path, "lost"), certify(office, tmp_path, "other")
    at_office, at_other = {"MULTIRIG_KEYS": str(office)}, {"MULTIRIG_KEYS": str(tmp_path / "other")}
    assert "nobody is shut out" in multirig("key", "list-file", "list.json", **at_office).stderr
    unclear = multirig("key", "shut-out", "lost", **at_office)
    assert unclear.returncode == 2
    assert "give --yes if it is meant; nothing was done" in unclear.stderr
    done = multirig("key", "shut-out", "lost", "--yes", **at_office)
    assert "is ended by multirig stop RIG" in done.stderr
    assert done.returncode == 0
    assert "✓ lost is shut out of the lab mylab" in done.stderr
    assert re.search(r"^lost +rig +shut out", multirig("key", "show", **at_office).stdout, re.MULTILINE)
    assert "already" in multirig("key", "shut-out", "lost", "--yes", **at_office).stderr
    assert multirig("key", "list-file", "list.json", **at_office).returncode == 0
    taken = multirig("key", "take", "list.json", **at_other)
    assert taken.returncode == 0, taken.stderr
    assert "knows the newest list" in taken.stderr
    assert "nothing that is new" in multirig("key", "take", "list.json", **at_other).stderr
    assert multirig("key", "ask", "asks.json", MULTIRIG_KEYS=str(tmp_path / "lost")).returncode == 0
    unasked = multirig("key", "sign", "asks.json", **at_office)  # before anything is asked
    assert "has a key that was shut out of the lab mylab: let it make a new one" in unasked.stderr
    mine, theirs = other.read(), lost.read()
    assert mine is not None
    assert theirs is not None
    with pytest.raises(ValueError, match="was shut out"):
        mine.judge(theirs.memberships[0].certificate, now=int(time.time()))


def test_of_two_pcs_with_one_name_the_number_of_the_key_says_which(multirig, office: Path, tmp_path: Path):
    first, second = (certify(office, tmp_path, "video", pc=pc) for pc in ("one", "two"))
    at_office = {"MULTIRIG_KEYS": str(office)}
    refused = multirig("key", "shut-out", "video", "--yes", **at_office)
    assert refused.returncode == 2
    ids = re.findall(r"([0-9a-f]{16}) \(rig", refused.stderr)
    keys = first.read()
    assert keys is not None
    own = keys.memberships[0].certificate.id
    assert own in ids
    spaced = " ".join(own[at : at + 4] for at in range(0, 16, 4))
    assert multirig("key", "shut-out", spaced, "--yes", **at_office).returncode == 0
    assert multirig("key", "shut-out", "video", "--yes", **at_office).returncode == 0
    register = Keyring(office).register(Keyring(office).find_lab_key().lab)
    assert register.shut_out is not None
    assert len(register.shut_out.keys) == 2
    assert second.folder.exists()


def test_who_is_not_of_the_lab_and_the_lab_s_own_pc_cannot_be_shut_out(multirig, office: Path):
    at_office = {"MULTIRIG_KEYS": str(office)}
    assert (
        "has certified no PC 'nobody'" in multirig("key", "shut-out", "nobody", "--yes", **at_office).stderr
    )
    refused = multirig("key", "shut-out", "office", "--yes", **at_office)
    assert refused.returncode == 2
    assert "that is this PC" in refused.stderr


@pytest.mark.attack
def test_a_pc_that_is_to_do_less_keeps_its_right_and_that_is_said(multirig, office: Path, tmp_path: Path):
    ring = certify(office, tmp_path, "video", Role.LEAD)
    at_office, at_video = {"MULTIRIG_KEYS": str(office)}, {"MULTIRIG_KEYS": str(tmp_path / "video")}
    multirig("key", "ask", "video.json", **at_video)
    more = multirig("key", "sign", "video.json", "--role", "lead", "--yes", **at_office)
    assert "shut-out" not in more.stderr
    multirig("key", "ask", "again.json", **at_video)
    less = multirig("key", "sign", "again.json", "--role", "rig", "--yes", **at_office)
    assert less.returncode == 0
    assert (
        "the certificate by which video may lead sessions, look on, and be led counts until 20" in less.stderr
    )
    keys = ring.read()
    assert keys is not None
    assert f"multirig key shut-out {keys.memberships[0].certificate.id}" in less.stderr


# -- by a stick ----------------------------------------------------------------------------------------------


def test_a_pc_joins_by_a_stick(multirig, office: Path, tmp_path: Path):
    stick = tmp_path / "stick"
    stick.mkdir()
    file, at_office = stick / "video.json", {"MULTIRIG_KEYS": str(office)}
    at_video = {"MULTIRIG_KEYS": str(tmp_path / "video")}
    asked = multirig("key", "ask", file, "--name", "video", **at_video)
    assert asked.returncode == 0, asked.stderr
    (key,) = re.findall(r"its key is ((?:\w{4} ?){4})", asked.stderr)
    assert key in multirig("key", "show", **at_video).stdout
    assert multirig("key", "take", file, "--yes", **at_video).returncode == 2
    signed = multirig("key", "sign", file, "--role", "lead", "--yes", **at_office)
    assert signed.returncode == 0, signed.stderr
    assert f"video asks to join the lab mylab; its key is {key}" in signed.stderr
    taken = multirig("key", "take", file, "--yes", **at_video)
    assert taken.returncode == 0, taken.stderr
    assert "✓ this PC, video, is of the lab mylab now" in taken.stderr
    keys = read_keys(tmp_path / "video")
    assert keys is not None
    assert [one.certificate.role for one in keys.memberships] == [Role.LEAD]
    private = json.loads((tmp_path / "video" / "pc.json").read_text())["private"]
    assert private not in file.read_text()
    assert multirig("key", "take", file, **{"MULTIRIG_KEYS": str(tmp_path / "third")}).returncode == 2


@pytest.mark.attack
def test_what_somebody_has_put_onto_the_stick_is_refused(multirig, office: Path, tmp_path: Path):
    file, at_office = tmp_path / "video.json", {"MULTIRIG_KEYS": str(office)}
    at_video = {"MULTIRIG_KEYS": str(tmp_path / "video")}
    multirig("key", "ask", file, "--name", "video", **at_video)
    request = json.loads(file.read_text())
    requests: list[dict[str, Any]] = [
        {"name": "x\x1b[2J"},
        {"name": "a\nb"},
        {"key": "00"},
        {"kind": "x"},
        {"key": 3},
        {"format": 2},
    ]
    for change in requests:
        file.write_text(json.dumps({**request, **change}))
        refused = multirig("key", "sign", file, "--yes", **at_office)
        assert refused.returncode == 2, change
        assert "\x1b" not in refused.stderr
    file.write_text(json.dumps(request))
    assert multirig("key", "sign", file, "--yes", **at_office).returncode == 0
    answer = json.loads(file.read_text())
    certificate = answer["certificates"][0]
    led = {**certificate, "text": certificate["text"].replace('"rig"', '"lead"')}
    forger = LabKey("mylab", b"\7" * 32)
    changes: list[dict[str, Any]] = [
        {"certificates": [led]},
        {"lab": files.give_lab(forger.lab)},
        {"certificates": [certificate] * 20_000},
        {"certificates": 7},
        {"shut_out": files.give_signed(forger.shut_out(["0" * 16], number=1, now=0))},
    ]
    for change in changes:
        file.write_text(json.dumps({**answer, **change}))
        refused = multirig("key", "take", file, "--yes", **at_video)
        assert refused.returncode == 2, change
        assert "is damaged: it" in refused.stderr
    keys = read_keys(tmp_path / "video")
    assert keys is not None
    assert keys.memberships == ()


@pytest.mark.attack
def test_a_lab_that_is_not_known_is_not_taken_from_a_stick_without_a_question(
    multirig, office: Path, tmp_path: Path
):
    file, at_video = tmp_path / "video.json", {"MULTIRIG_KEYS": str(tmp_path / "video")}
    multirig("key", "ask", file, "--name", "video", **at_video)
    multirig("key", "sign", file, "--yes", MULTIRIG_KEYS=str(office))
    refused = multirig("key", "take", file, **at_video)
    assert refused.returncode == 2
    assert "is of the lab mylab; the lab's key is" in refused.stderr
    assert "nothing was done" in refused.stderr


def test_another_file_is_not_written_over(multirig, office: Path, tmp_path: Path):
    mine = tmp_path / "thesis.docx"
    mine.write_bytes(b"years of work")
    assert "is there already" in multirig("key", "ask", mine, "--name", "x").stderr
    assert mine.read_bytes() == b"years of work"


# -- over the years ------------------------------------------------------------------------------------------


def grow_old(office: Path, ring: Keyring, days: float) -> None:
    """Let a PC's certificate be over in so many days."""
    key = Keyring(office).find_lab_key()
    keys, name = ring.read(), ring.name
    assert keys is not None
    assert name is not None
    now = int(time.time() + days * 86_400)
    before = keys.memberships[0].certificate
    old = key.certify(keys.public, name, before.role, now=now - 5 * 365 * 86_400)
    files.write_membership(ring.folder, Membership(key.lab, old, keys.memberships[0].shut_out))
    register = Keyring(office).register(key.lab)
    certificates = [old if one.id == old.id else one for one in register.certificates]
    files.write_register(office, key.lab, files.Register(tuple(certificates), register.shut_out))


def test_certificates_that_are_nearly_over_are_told_and_renewed(multirig, office: Path, tmp_path: Path):
    at_office, at_video = {"MULTIRIG_KEYS": str(office)}, {"MULTIRIG_KEYS": str(tmp_path / "video")}
    ring = certify(office, tmp_path, "video")
    assert "is over within 60 days" in multirig("key", "renew", **at_office).stderr
    grow_old(office, Keyring(office), 20.5)
    grow_old(office, ring, -2)
    shown = multirig("key", "show", **at_office)
    assert "the certificate of office is over in 20 days" in shown.stderr
    assert "the certificate of video is over: multirig key renew tells how" in shown.stderr
    assert "over since 20" in multirig("key", "show", **at_video).stdout
    told = multirig("key", "renew", **at_office)
    assert "✓ this PC, office, is of the lab mylab until 203" in told.stderr
    assert "nearly over, or over: video" in told.stderr
    assert multirig("key", "renew", "new.json", **at_office).returncode == 0
    taken = multirig("key", "take", "new.json", **at_video)
    assert taken.returncode == 0, taken.stderr
    keys = read_keys(tmp_path / "video")
    assert keys is not None
    assert keys.memberships[0].certificate.until > time.time() + 4.9 * 365 * 86_400
    assert multirig("key", "show", **at_office).stderr == ""


def test_a_lab_changes_its_key_while_its_pcs_are_of_both(multirig, office: Path, tmp_path: Path):
    at_office, at_video = {"MULTIRIG_KEYS": str(office)}, {"MULTIRIG_KEYS": str(tmp_path / "video")}
    certify(office, tmp_path, "video")
    old = Keyring(office).find_lab_key().lab.id
    assert multirig("key", "new", "mylab", "--another", **at_office).returncode == 0
    refused = multirig("key", "paper", "--yes", **at_office)
    assert refused.returncode == 2
    assert "several labs" in refused.stderr
    (new,) = (one.lab.id for one in Keyring(office).lab_keys() if one.lab.id != old)
    multirig("key", "ask", "video.json", **at_video)
    assert multirig("key", "sign", "video.json", "--yes", "--lab", new, **at_office).returncode == 0
    assert multirig("key", "take", "video.json", "--yes", **at_video).returncode == 0
    keys = read_keys(tmp_path / "video")
    assert keys is not None
    assert sorted(one.lab.id for one in keys.memberships) == sorted([old, new])
    for where in (at_video, at_office):
        assert multirig("key", "forget", old, **where).returncode == 2
        done = multirig("key", "forget", old, "--yes", **where)
        assert done.returncode == 0, done.stderr
        keys = read_keys(Path(where["MULTIRIG_KEYS"]))
        assert keys is not None
        assert [one.lab.id for one in keys.memberships] == [new]
    assert [one.lab.id for one in Keyring(office).lab_keys()] == [new]


# -- on paper ------------------------------------------------------------------------------------------------


def type_paper(folder: Path, keys: Path, lines: list[str], lab: str = "mylab") -> tuple[int, str]:
    with Program(
        [sys.executable, "-m", "multirig", "key", "new", lab, "--from-paper", "--name", "spare"],
        cwd=folder,
        env={**os.environ, "MULTIRIG_KEYS": str(keys), "COLUMNS": "300"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        said, _ = process.communicate("".join(f"{one}\n" for one in lines), LIMIT)
    assert "Traceback" not in said
    return process.returncode, said


def test_a_lab_s_key_comes_back_from_paper(multirig, office: Path, tmp_path: Path):
    at_office = {"MULTIRIG_KEYS": str(office)}
    assert multirig("key", "paper", **at_office).returncode == 2
    done = multirig("key", "paper", "--yes", **at_office)
    assert "the key went into a file or another program, not onto a screen" in done.stderr
    shown = done.stdout
    lines = re.findall(r"^  ((?:[0-9A-Z]{4} ?){1,4})$", shown, re.MULTILINE)
    assert len(lines) == 5
    code, said = type_paper(tmp_path, tmp_path / "spare", [one.lower().replace(" ", "") for one in lines])
    assert code == 0, said
    assert "the paper does not say who was shut out" in said
    assert Keyring(tmp_path / "spare").find_lab_key() == Keyring(office).find_lab_key()
    assert not any(one.replace(" ", "") in said.replace(" ", "").upper() for one in lines)


@pytest.mark.attack
def test_a_typo_from_paper_is_found_and_nothing_is_kept(multirig, office: Path, tmp_path: Path):
    shown = multirig("key", "paper", "--yes", MULTIRIG_KEYS=str(office)).stdout
    lines = re.findall(r"^  ((?:[0-9A-Z]{4} ?){1,4})$", shown, re.MULTILINE)
    letter = "7" if lines[2][5] != "7" else "8"
    typo = [*lines[:2], lines[2][:5] + letter + lines[2][6:], *lines[3:]]
    for typed, words in ((typo, "line 3 has a typo"), (lines[:3], "was not typed to its end")):
        code, said = type_paper(tmp_path, tmp_path / "spare", typed)
        assert code == 2
        assert words in said
        assert not any(one[:9] in said for one in lines)
    code, said = type_paper(tmp_path, tmp_path / "spare", lines, lab="my lab")
    assert (code, "the lab's name (my lab)" in said) == (2, True)
    assert not (tmp_path / "spare").exists()


def test_who_was_shut_out_stays_so_when_the_key_comes_back_from_paper(multirig, office: Path, tmp_path: Path):
    at_spare = {"MULTIRIG_KEYS": str(tmp_path / "spare")}
    for name in ("lost", "other", "next"):
        certify(office, tmp_path, name)
    multirig("key", "shut-out", "lost", "--yes", MULTIRIG_KEYS=str(office))
    shown = multirig("key", "paper", "--yes", MULTIRIG_KEYS=str(office)).stdout
    lines = re.findall(r"^  ((?:[0-9A-Z]{4} ?){1,4})$", shown, re.MULTILINE)
    multirig("key", "list-file", "list.json", MULTIRIG_KEYS=str(office))
    assert type_paper(tmp_path, tmp_path / "spare", lines)[0] == 0
    assert multirig("key", "take", "list.json", **at_spare).returncode == 0
    keys = read_keys(tmp_path / "next")
    assert keys is not None
    done = multirig("key", "shut-out", keys.memberships[0].certificate.id, "--yes", **at_spare)
    assert done.returncode == 0, done.stderr
    key = Keyring(tmp_path / "spare").find_lab_key()
    made = Keyring(tmp_path / "spare").register(key.lab).shut_out
    assert made is not None
    assert len(made.keys) == 2
    before = Keyring(office).register(key.lab).shut_out
    assert before is not None
    assert made.number > before.number


# -- what it costs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "heavy"),
    [(["--help"], ("spake2", "multirig.cli.key_joining")), (["key", "--help"], ("cryptography", "spake2"))],
    ids=["multirig --help", "multirig key --help"],
)
def test_who_asks_for_help_does_not_wait_for_what_makes_keys(words: list[str], heavy: tuple[str, ...]):
    code = (
        f"import sys; from multirig.cli.main import run; run({words!r});"
        f"print([one for one in {heavy!r} if one in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stderr.strip() == "[]"
    assert "key" in done.stdout


def test_a_pc_that_has_joined_makes_no_second_lab_by_mistake(multirig, office: Path, tmp_path: Path):
    """Whoever types the first command on both PCs has two labs of one name, which never speak."""
    certify(office, tmp_path, "video")
    at_video = {"MULTIRIG_KEYS": str(tmp_path / "video")}
    before = multirig("key", "show", **at_video).stdout
    refused = multirig("key", "new", "mylab", "--yes", **at_video)
    assert refused.returncode == 2
    assert "this PC is of the lab mylab already, whose key lies on another PC" in refused.stderr
    assert multirig("key", "show", **at_video).stdout == before
    elsewhere = multirig("key", "add", "--yes", "--role", "rig", **at_video)
    assert "that of the lab mylab lies on the PC where it was made" in elsewhere.stderr
    assert "or make one here" not in elsewhere.stderr
    assert multirig("key", "new", "mylab", "--another", "--yes", **at_video).returncode == 0
