"""``multirig rigs``."""

from pathlib import Path


def test_a_rig_is_added_listed_and_removed(multirig, tmp_path: Path):
    assert multirig("rigs", "add", "cameras:left", "192.168.1.20", "--rigs-file", "rigs.yaml").returncode == 0
    listed = multirig("rigs", "list", MULTIRIG_RIGS=str(tmp_path / "rigs.yaml"))
    assert "cameras:left" in listed.stdout
    assert "udp://192.168.1.20:11001" in listed.stdout
    assert multirig("rigs", "remove", "cameras:left", "--rigs-file", "rigs.yaml").returncode == 0
    assert "no rigs in" in multirig("rigs", "list", "--rigs-file", "rigs.yaml").stderr


def test_without_a_command_the_rigs_are_listed(multirig, tmp_path: Path):
    (tmp_path / "rigs.yaml").write_text("ephys: udp://10.0.0.7\n")
    assert "ephys" in multirig("rigs", MULTIRIG_RIGS=str(tmp_path / "rigs.yaml")).stdout


def test_roles_and_order_are_listed_where_the_file_says_them(multirig, tmp_path: Path):
    (tmp_path / "rigs.yaml").write_text("ephys: {uri: e, role: essential}\ncameras: {uri: c, after: ephys}\n")
    lines = [line.split() for line in multirig("rigs", "--rigs-file", "rigs.yaml").stdout.splitlines()]
    assert lines == [
        ["rig", "address", "role", "after"],
        ["ephys", "udp://e:11001", "essential"],
        ["cameras", "udp://c:11001", "expected", "ephys"],
    ]
    (tmp_path / "rigs.yaml").write_text("ephys: e\n")
    assert "role" not in multirig("rigs", "--rigs-file", "rigs.yaml").stdout


def test_an_ipv6_address_is_shown_whole(multirig, tmp_path: Path):
    (tmp_path / "rigs.yaml").write_text("ephys: udp://[fe80::1]:11001\n")
    assert "udp://[fe80::1]:11001" in multirig("rigs", "--rigs-file", "rigs.yaml").stdout


def test_an_entry_is_never_overwritten_silently(multirig, tmp_path: Path):
    (tmp_path / "rigs.yaml").write_text("ephys: udp://10.0.0.7\n")
    refused = multirig("rigs", "add", "ephys", "10.0.0.8", "--rigs-file", "rigs.yaml")
    assert refused.returncode == 2
    assert "--replace" in refused.stderr
    assert "10.0.0.7" in (tmp_path / "rigs.yaml").read_text()
    assert (
        multirig("rigs", "add", "ephys", "10.0.0.8", "--replace", "--rigs-file", "rigs.yaml").returncode == 0
    )
    assert "10.0.0.8" in (tmp_path / "rigs.yaml").read_text()


def test_a_ping_tells_who_answers_and_who_does_not(rig, multirig, tmp_path: Path):
    uri = rig("ephys", main_sync=True).uri
    (tmp_path / "rigs.yaml").write_text(
        f"ephys: {uri}\ncameras: udp://127.0.0.1:9\nscope: udp://no.such.pc.invalid\n"
    )
    done = multirig("rigs", "ping", "--rigs-file", "rigs.yaml")
    assert done.returncode == 1
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "✓" in lines["ephys"]
    assert "main sync" in lines["ephys"]
    assert "connected" in lines["ephys"]
    assert "nothing listens there" in lines["cameras"]
    assert "is not known on this network" in lines["scope"]
    assert multirig("rigs", "ping", "ephys", "--rigs-file", "rigs.yaml").returncode == 0


def test_the_file_may_be_named_before_the_command_too(multirig, tmp_path: Path):
    users = tmp_path / "users.yaml"
    users.write_text("ephys: udp://10.0.0.7\n")
    added = multirig(
        "rigs", "--rigs-file", "X.yaml", "add", "cam", "udp://10.0.0.8", MULTIRIG_RIGS=str(users)
    )
    assert added.returncode == 0
    assert users.read_text() == "ephys: udp://10.0.0.7\n"
    assert (tmp_path / "X.yaml").read_text() == "cam: udp://10.0.0.8:11001\n"
    for command in (["list"], ["role", "cam", "optional"], ["remove", "cam"]):
        assert multirig("rigs", "--rigs-file", "X.yaml", *command, MULTIRIG_RIGS=str(users)).returncode == 0
    assert users.read_text() == "ephys: udp://10.0.0.7\n"
    refused = multirig("rigs", "--rigs-file", "X.yaml", "list", "--rigs-file", "Y.yaml")
    assert refused.returncode == 2
    assert "--rigs-file is given twice, as X.yaml and Y.yaml: give one" in refused.stderr
