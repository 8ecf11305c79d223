import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from multirig import writing
from multirig.conductor import yaml_file
from multirig.conductor.roster import Roster, add_rig, find_rigs_file, remove_rig, set_role
from multirig.config import Uri
from multirig.errors import ConfigError
from multirig.lifecycle.policy import Role

WRITTEN = """\
# rigs of room 3
cameras: udp://192.168.1.20:11001   # two cameras

# the big one
ephys:
  uri: tcp://ephys_pc.lab   # moved in May
# behind glass
cameras:left: 192.168.1.21
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "remote_rigs.yaml"


@pytest.fixture
def written(file):
    file.write_text(WRITTEN)
    return file


def names(path):
    return {name: str(entry.uri) for name, entry in Roster.load(path).entries.items()}


def refusal(action, *parts):
    with pytest.raises(ConfigError) as caught:
        action()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for part in parts:
        assert str(part) in message
    return message


# -- where the file is ---------------------------------------------------------------------------------------


@pytest.fixture
def no_variable(monkeypatch):
    monkeypatch.delenv("MULTIRIG_RIGS", raising=False)


def test_the_option_goes_before_the_variable_and_the_variable_before_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MULTIRIG_RIGS", str(tmp_path / "by_variable.yaml"))
    assert find_rigs_file(tmp_path / "by_option.yaml") == tmp_path / "by_option.yaml"
    assert find_rigs_file() == tmp_path / "by_variable.yaml"
    monkeypatch.setenv("MULTIRIG_RIGS", "")
    assert find_rigs_file().name == "remote_rigs.yaml"


@pytest.mark.skipif(
    sys.platform != "linux", reason="the user's folder can be moved by a variable on Linux only"
)
def test_without_either_it_is_in_the_users_folder(tmp_path, monkeypatch, no_variable):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "multirig"
    assert find_rigs_file() == folder / "remote_rigs.yaml"
    folder.mkdir()
    (folder / "remote_devices.yaml").write_text("")
    assert find_rigs_file() == folder / "remote_devices.yaml"
    (folder / "remote_rigs.yaml").write_text("")
    assert find_rigs_file() == folder / "remote_rigs.yaml"


def test_in_a_folder_either_name_is_found(tmp_path):
    assert find_rigs_file(tmp_path) == tmp_path / "remote_rigs.yaml"
    (tmp_path / "remote_devices.yaml").write_text("")
    assert find_rigs_file(tmp_path) == tmp_path / "remote_devices.yaml"


def test_the_home_folder_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert find_rigs_file("~/rigs.yaml") == tmp_path / "rigs.yaml"


# -- reading -------------------------------------------------------------------------------------------------


def test_bare_addresses_and_mappings_are_entries(written):
    assert names(written) == {
        "cameras": "udp://192.168.1.20:11001",
        "ephys": "tcp://ephys_pc.lab:11001",
        "cameras:left": "udp://192.168.1.21:11001",
    }


@pytest.mark.parametrize("content", [None, "", "# nothing yet\n", "{}", "---\n"])
def test_a_missing_or_empty_file_is_an_empty_roster(file, content):
    if content is not None:
        file.write_text(content)
    assert Roster.load(file).entries == {}


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("- a\n", ["the file holds a list", "write key: value lines, such as"]),
        ("a: udp://a\nb: udp://b\na: udp://c\n", ["line 3, column 1", "the key 'a' is given twice"]),
        ("a: udp://a:x\n", ["a.uri", "the port 'x'", "write udp://host:11001"]),
        ("a: udp://a:0\n", ["a.uri", "the port 0"]),
        ("a:\n", ["a.uri", "is not an address"]),
        ("a: [udp://a]\n", ["a.uri", "is not an address"]),
        ("a: {ury: udp://a}\n", ["a.ury is not a key", "did you mean 'uri'?"]),
        ("a: {}\n", ["a.uri is missing", "add it"]),
        ("a/b: udp://a\n", ["a/b", "cannot name a rig"]),
        ("5: udp://a\n", ["5 is not a key that fits", "give text, in quotes"]),
        ("a: b: c\n", ["line 1, column 5", "not YAML"]),
    ],
)
def test_a_bad_file_is_refused_in_one_line_with_file_rig_and_next_action(file, content, parts):
    file.write_text(content)
    refusal(lambda: Roster.load(file), file, *parts)
    refusal(lambda: add_rig(file, "new", "udp://new"), file, *parts)
    assert file.read_text() == content


# -- choosing ------------------------------------------------------------------------------------------------


def test_names_are_chosen_in_the_order_in_which_they_are_given(written):
    rigs = Roster.load(written)
    assert list(rigs.select(["ephys", "cameras"])) == ["ephys", "cameras"]
    assert rigs.select("cameras:left") == {"cameras:left": Uri("udp", "192.168.1.21", 11001)}
    assert rigs.select([]) == {}


def test_nested_names_are_flattened_and_counted_once(written):
    chosen = Roster.load(written).select(
        ["ephys", ("cameras", ["ephys", ["cameras:left"]]), iter(["cameras"])]
    )
    assert list(chosen) == ["ephys", "cameras", "cameras:left"]


def test_a_mapping_brings_its_own_addresses(written):
    chosen = Roster.load(written).select(
        {"new": "tcp://new:5", "cameras": None, "ephys": Uri("udp", "other")}
    )
    assert {name: str(uri) for name, uri in chosen.items()} == {
        "new": "tcp://new:5",
        "cameras": "udp://192.168.1.20:11001",
        "ephys": "udp://other:11001",
    }


def test_unknown_names_are_refused_with_those_that_exist(written):
    rigs = Roster.load(written)
    refusal(
        lambda: rigs.select(["camras", "cameras", "x"]),
        written,
        "no rig 'camras' and no rig 'x'",
        "did you mean 'cameras'? The rigs are cameras, ephys, cameras:left",
        "multirig rigs add",
    )


def test_in_an_empty_roster_the_way_to_fill_it_is_named(file):
    refusal(lambda: Roster.load(file).select("a"), file, "no rig 'a'", "multirig rigs add NAME URI")


def test_two_names_at_one_address_are_refused(file):
    file.write_text("a: udp://Cam_PC\nb: cam_pc:11001\nc: tcp://cam_pc\n")
    rigs = Roster.load(file)
    refusal(lambda: rigs.select(["a", "b"]), file, "a and b are both at udp://cam_pc:11001", "name one")
    assert list(rigs.select(["a", "c"])) == ["a", "c"]


def test_one_name_at_two_addresses_is_refused(written):
    refusal(
        lambda: Roster.load(written).select(["cameras", {"cameras": "udp://b"}]),
        "cameras is named at both",
        "name it once",
    )


@pytest.mark.parametrize("names", [5, [None], [["a", 5]], b"cameras"])
def test_what_is_no_name_is_refused(written, names):
    refusal(lambda: Roster.load(written).select(names), "is not the name of a rig")


# -- adding --------------------------------------------------------------------------------------------------


def test_the_first_rig_makes_the_file_and_its_folder(tmp_path):
    file = tmp_path / "new" / "folder" / "remote_rigs.yaml"
    assert add_rig(file, "cameras", "192.168.1.20") is True
    assert file.read_text() == "cameras: udp://192.168.1.20:11001\n"


def test_a_new_rig_is_one_more_line_and_nothing_else_changes(written):
    add_rig(written, "imaging", Uri("udp", "::1", 5))
    add_rig(written, "5: odd #name", "udp://odd")
    text = written.read_text()
    assert text.startswith(WRITTEN)
    assert names(written)["imaging"] == "udp://[::1]:5"
    assert names(written)["5: odd #name"] == "udp://odd:11001"
    assert len(text.splitlines()) == len(WRITTEN.splitlines()) + 2


def test_the_same_address_again_changes_nothing(written):
    before = written.stat().st_mtime_ns
    assert add_rig(written, "ephys", "tcp://EPHYS_PC.lab:11001") is False
    assert written.read_text() == WRITTEN
    assert written.stat().st_mtime_ns == before


def test_another_address_is_refused_and_shows_the_old_one(written):
    refusal(
        lambda: add_rig(written, "cameras", "udp://new"),
        written,
        "cameras is already at udp://192.168.1.20:11001",
        "--replace",
        "udp://new:11001",
    )
    assert written.read_text() == WRITTEN


def test_an_address_is_replaced_where_it_stands(written):
    assert add_rig(written, "cameras", "udp://[::1]", replace=True) is True
    assert add_rig(written, "ephys", "udp://new", replace=True) is True
    expected = WRITTEN.replace("udp://192.168.1.20:11001", "udp://[::1]:11001")
    assert written.read_text() == expected.replace("tcp://ephys_pc.lab", "udp://new:11001")


@pytest.mark.parametrize(
    "content",
    [
        "{a: udp://a, b: udp://b}\n",
        "a: &a {uri: udp://a}\nb: *a\n",
        "a: udp://a\nb: udp://b\n...\n",
        "  a: udp://a\n  b: udp://b\n",
        "a: udp://a\nb: udp://b",
        "? a\n: udp://a\nb: >-\n  udp://b\n",
        'a: "udp://a"\n"b": {"uri": "udp://b"}\n',
        "a: udp://a\r\nb: udp://b\r\n",
        "x: &x udp://a\n<<: {a: *x, b: udp://b}\n",
    ],
)
def test_whatever_the_style_of_the_file_its_rigs_are_kept(file, content):
    file.write_bytes(content.encode())
    before = names(file)
    add_rig(file, "c", "udp://c")
    assert names(file) == {**before, "c": "udp://c:11001"}
    add_rig(file, "b", "udp://[::1]", replace=True)
    assert names(file) == {**before, "b": "udp://[::1]:11001", "c": "udp://c:11001"}
    remove_rig(file, "b")
    del before["b"]
    assert names(file) == {**before, "c": "udp://c:11001"}
    ends = file.read_bytes()
    assert ends.count(b"\r\n") == (ends.count(b"\n") if "\r\n" in content else 0)


def test_a_byte_order_mark_does_not_cost_the_comments(file):
    file.write_text("# room 3\na: udp://a  # left\n", encoding="utf-8-sig")
    add_rig(file, "a", "udp://b", replace=True)
    assert file.read_text(encoding="utf-8") == "# room 3\na: udp://b:11001  # left\n"


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", " a", "a" * 65])
def test_a_bad_name_is_refused(file, name):
    refusal(lambda: add_rig(file, name, "udp://a"), "cannot name a rig")
    assert not file.exists()


@pytest.mark.parametrize("uri", ["udp://0.0.0.0", "tcp://[::]:11001"])
def test_an_address_for_listening_is_refused(file, uri):
    refusal(lambda: add_rig(file, "a", uri), "a: ", uri, "give its own IP address or name")


# -- removing ------------------------------------------------------------------------------------------------


def test_a_removed_rig_takes_its_lines_along_and_no_others(written):
    remove_rig(written, "ephys")
    assert written.read_text() == WRITTEN.replace("ephys:\n  uri: tcp://ephys_pc.lab   # moved in May\n", "")
    remove_rig(written, "cameras:left")
    remove_rig(written, "cameras")
    assert Roster.load(written).entries == {}
    assert "# rigs of room 3" in written.read_text()


def test_removing_a_rig_that_is_not_there_is_refused(written, tmp_path):
    refusal(lambda: remove_rig(written, "camera"), written, "no rig 'camera'", "did you mean 'cameras'?")
    nowhere = tmp_path / "no" / "rigs.yaml"
    refusal(lambda: remove_rig(nowhere, "a"), nowhere, "no rig 'a'")
    assert not nowhere.parent.exists()


# -- the file as a file --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cameras", "ephys", "cameras:left"])
def test_a_role_is_set_and_all_else_stays_as_it_was_written(written, name):
    before = names(written)
    for role in (Role.ESSENTIAL, Role.OPTIONAL, Role.OPTIONAL, Role.EXPECTED):
        set_role(written, name, role)
        roles = {one: entry.role for one, entry in Roster.load(written).entries.items()}
        assert roles == {one: role if one == name else Role.EXPECTED for one in before}
    assert names(written) == before
    text = written.read_text()
    for comment in ("# rigs of room 3", "# two cameras", "# the big one", "# moved in May", "# behind glass"):
        assert comment in text


def test_a_role_is_set_in_a_file_of_one_line(file):
    file.write_text("{left: {uri: 'udp://h:1'}, right: udp://h:2}\n")
    set_role(file, "left", Role.OPTIONAL)
    set_role(file, "right", Role.ESSENTIAL)
    entries = Roster.load(file).entries
    assert (entries["left"].role, entries["right"].role) == (Role.OPTIONAL, Role.ESSENTIAL)


def test_a_role_of_a_rig_that_is_not_there_is_refused(written, tmp_path):
    refusal(lambda: set_role(written, "camera", Role.OPTIONAL), "there is no rig 'camera'", "cameras")
    refusal(lambda: set_role(tmp_path / "none" / "rigs.yaml", "cameras", Role.OPTIONAL), "there is no rig")


def test_twenty_programs_adding_at_once_leave_twenty_entries(file):
    code = "import sys; from multirig.conductor.roster import add_rig; add_rig(*sys.argv[1:])"
    programs = [
        subprocess.Popen([sys.executable, "-c", code, str(file), f"rig:{number}", f"10.0.0.{number}"])
        for number in range(1, 21)
    ]
    assert [program.wait(timeout=60) for program in programs] == [0] * 20
    assert names(file) == {f"rig:{number}": f"udp://10.0.0.{number}:11001" for number in range(1, 21)}
    assert {path.name for path in file.parent.iterdir()} <= {file.name, f"{file.name}.lock"}


def test_a_reader_never_sees_half_a_file(file):
    add_rig(file, "first", "udp://first")
    done = threading.Event()
    seen = []

    def read():
        while not done.is_set():
            seen.append(len(Roster.load(file).entries))
            time.sleep(0.002)  # Windows replaces no file that is always open

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(20):
        add_rig(file, f"rig{number}", f"udp://rig{number}")
    done.set()
    reader.join(timeout=30)
    assert not reader.is_alive()
    assert seen == sorted(seen)
    assert min(seen) >= 1


def test_a_lock_that_is_not_let_go_is_named(file, monkeypatch):
    monkeypatch.setattr(yaml_file, "LOCK_SECONDS", 0.05)
    with FileLock(f"{file}.lock"):
        refusal(lambda: add_rig(file, "a", "udp://a"), file, "another program has held", ".lock", "try again")
    assert add_rig(file, "a", "udp://a") is True


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "rigs.yaml"
    refusal(lambda: add_rig(path, "a", "udp://a"), path, "cannot be changed", "check the rights")


@pytest.mark.parametrize("failures", [2, writing.TRIES])
def test_a_file_that_windows_holds_for_a_moment_is_tried_again(written, monkeypatch, failures):
    real, calls = os.replace, []

    def replace(source, target):
        calls.append(target)
        if len(calls) <= failures:
            raise PermissionError(13, "in use by another process")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(writing, "PAUSE", 0.001)
    if failures < writing.TRIES:
        assert add_rig(written, "a", "udp://a") is True
        assert "a" in names(written)
    else:
        refusal(lambda: add_rig(written, "a", "udp://a"), written, "cannot be changed (")
        assert written.read_text() == WRITTEN
    assert not list(written.parent.glob(".*.new"))


@pytest.mark.skipif(sys.platform == "win32", reason="what Windows does is played")
def test_a_file_that_is_being_replaced_is_read_again(written, monkeypatch):
    real, calls = Path.read_bytes, []

    def read_bytes(path):
        calls.append(path)
        if len(calls) <= 2:
            raise PermissionError(13, "in use by another process")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    monkeypatch.setattr(writing, "PAUSE", 0.001)
    assert "ephys" in names(written)
    calls[:] = []
    monkeypatch.setattr(writing, "TRIES", 2)
    refusal(lambda: Roster.load(written), written, "cannot be read (in use")


def test_a_crash_before_the_replacement_leaves_the_old_file(written, monkeypatch):
    def crash(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        add_rig(written, "a", "udp://a")
    monkeypatch.undo()
    assert written.read_text() == WRITTEN
    assert add_rig(written, "a", "udp://a") is True


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither these rights nor, for users, links")
def test_the_rights_of_the_file_and_a_link_to_it_are_kept(tmp_path, written):
    written.chmod(0o664)
    link = tmp_path / "link.yaml"
    link.symlink_to(written)
    add_rig(link, "a", "udp://a")
    assert link.is_symlink()
    assert "a" in names(written)
    assert stat.S_IMODE(written.stat().st_mode) == 0o664


def test_looking_for_the_file_and_reading_it_write_nothing(tmp_path):
    Roster.load(find_rigs_file(tmp_path))
    assert list(tmp_path.iterdir()) == []
