"""What the rigs file says of the meaning of a rig, and that nobody loses it."""

import pytest

from multirig.conductor.roster import Roster, add_rig, register_rig, remove_rig
from multirig.errors import ConfigError
from multirig.lifecycle.policy import DEFAULT_POLICY, RigPolicy, Role
from multirig.protocol.events import SECOND

WRITTEN = """\
# rigs of room 3
ephys:
  uri: udp://192.168.1.20:11001   # the big one
  role: essential        # no session without it
  limits: {initialise: 2 min, stop: "90"}
# starts when the probe is in
cameras:
  after:
    - ephys     # for its clock
  uri: udp://192.168.1.21:11001
  poll_status: 5 s
  role: optional
# behind glass
imaging: udp://192.168.1.22:11001
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "remote_rigs.yaml"


@pytest.fixture
def written(file):
    file.write_text(WRITTEN)
    return file


def refusal(action):
    with pytest.raises(ConfigError) as caught:
        action()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_each_chosen_rig_has_its_policy(written):
    rigs = Roster.load(written)
    assert rigs.policies(["cameras", ["ephys", "imaging"]]) == {
        "cameras": RigPolicy(role=Role.OPTIONAL, after=("ephys",), poll_every=5 * SECOND),
        "ephys": RigPolicy(role=Role.ESSENTIAL, initialise=120 * SECOND, stop=90 * SECOND),
        "imaging": DEFAULT_POLICY,
    }
    assert list(rigs.policies(["imaging"])) == ["imaging"]
    assert rigs.policies([]) == {}


def test_a_rig_that_the_file_does_not_hold_means_what_rigs_usually_do(written):
    rigs = Roster.load(written)
    assert rigs.policies({"new": "udp://new", "ephys": "udp://elsewhere"}) == {
        "new": DEFAULT_POLICY,
        "ephys": rigs.entries["ephys"].policy,
    }
    assert "no rig 'ehpys'" in refusal(lambda: rigs.policies(["ehpys"]))


def test_one_rig_to_wait_for_needs_no_list_and_counts_once(file):
    file.write_text("a: {uri: a, after: b}\nb: b\nc: {uri: c, after: [b, a, b]}\n")
    policies = Roster.load(file).policies(["a", "c"])
    assert policies["a"].after == ("b",)
    assert policies["c"].after == ("b", "a")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "a: {uri: a, rol: x}\n",
            "a.rol is not a key that exists: did you mean 'role'? The keys are uri,",
        ),
        ("a: {uri: a, role: esential}\n", "a.role is 'esential': give 'essential', 'expected' or 'optional'"),
        ("a: {uri: a, after: 5}\n", "a.after is 5: give a list, such as [a, b]"),
        ("a: {uri: a, after: [5]}\n", "a.after[0] is 5: give text"),
        (
            "a: {uri: a, after: ehpys}\nephys: b\n",
            "a.after: there is no rig 'ehpys': did you mean 'ephys'? The rigs are a, ephys; "
            "correct it, or add ehpys first",
        ),
        ("a: {uri: a, after: a}\n", "a.after: a cannot wait for itself: take it out"),
        (
            "a: {uri: a, after: b}\nb: {uri: b, after: a}\nc: {uri: c, after: a}\n",
            "a after b and b after a wait for each other: take one out of 'after'",
        ),
        ("a: {uri: a, limits: 5}\n", "a.limits is 5: give key: value pairs"),
        (
            "a: {uri: a, limits: {strat: 5}}\n",
            "a.limits.strat is not a key that exists: did you mean 'start'?",
        ),
        ("a: {uri: a, limits: {start: soon}}\n", "a.limits.start: 'soon' is not a duration: write seconds"),
        (
            "a: {uri: a, poll_status: 0.5}\n",
            "a.poll_status: 0.5 s is too often for a rig that records: write",
        ),
        ("a: {uri: a, poll_status: on}\n", "a.poll_status: 'on' is not a duration"),
    ],
)
def test_a_wrong_key_or_value_is_refused_in_one_line_with_what_to_do(file, content, message):
    file.write_text(content)
    text = refusal(lambda: Roster.load(file))
    assert text.startswith(f"{file}: ")
    assert message in text


def test_only_those_that_wait_for_each_other_are_named(file):
    file.write_text(
        "z: {uri: z, after: a}\na: {uri: a, after: b}\nb: {uri: b, after: [d, c]}\n"
        "c: {uri: c, after: a}\nd: d\n"
    )
    assert refusal(lambda: Roster.load(file)).startswith(
        f"{file}: a after b, b after c and c after a wait for each other: take one out"
    )


def test_a_rig_that_is_entered_again_keeps_what_it_means(written):
    add_rig(written, "cameras", "udp://new", replace=True)
    register_rig(written, "ephys", "tcp://moved")
    expected = WRITTEN.replace("udp://192.168.1.21:11001", "udp://new:11001")
    assert written.read_text() == expected.replace("udp://192.168.1.20:11001", "tcp://moved:11001")


def test_a_rig_that_is_added_or_removed_leaves_the_lines_of_others_alone(written):
    add_rig(written, "photometry", "udp://p")
    remove_rig(written, "imaging")
    kept = WRITTEN.replace("imaging: udp://192.168.1.22:11001\n", "")
    assert written.read_text() == kept + "photometry: udp://p:11001\n"


@pytest.mark.parametrize(
    "last", ["after:\n    - ephys  # why\n", "after: [ephys]\n", "limits:\n    start: 5 s\n"]
)
def test_a_removed_rig_takes_all_of_its_keys_along_and_no_comment_of_the_next(file, last):
    entry = f"cameras:\n  uri: udp://c:11001\n  {last}"
    file.write_text(f"ephys: udp://e:11001\n{entry}# behind glass\nimaging: udp://i:11001\n")
    remove_rig(file, "cameras")
    assert file.read_text() == "ephys: udp://e:11001\n# behind glass\nimaging: udp://i:11001\n"


def test_in_another_style_of_yaml_the_keys_are_kept_too(file):
    file.write_text('{"a": {"uri": "udp://a", "role": "essential"}, "b": {"uri": "udp://b", "after": "a"}}\n')
    add_rig(file, "c", "udp://c")
    add_rig(file, "b", "udp://new", replace=True)
    rigs = Roster.load(file)
    assert rigs.entries["a"].role is Role.ESSENTIAL
    assert rigs.entries["b"].after == ("a",)
    assert str(rigs.entries["b"].uri) == "udp://new:11001"


def test_a_rig_that_another_one_waits_for_is_not_removed(written):
    message = refusal(lambda: remove_rig(written, "ephys"))
    assert "cameras would come after a rig that there is not: take ephys out of 'after' first" in message
    assert written.read_text() == WRITTEN


def test_a_rig_that_is_waited_for_may_be_added_last(file):
    file.write_text("cameras: {uri: udp://c, after: ephys}\n")
    refusal(lambda: Roster.load(file))
    add_rig(file, "ephys", "udp://e")
    assert Roster.load(file).policies("cameras")["cameras"].after == ("ephys",)
