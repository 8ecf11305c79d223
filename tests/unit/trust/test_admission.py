import pytest

from multirig.trust.admission import Admission, AllowList, Doors, is_private, is_this_pc
from multirig.trust.budget import Refusals

NEAR = [
    "127.0.0.1",
    "127.1.2.3",
    "::1",
    "10.0.0.7",
    "172.16.0.1",
    "192.168.1.20",
    "169.254.3.4",
    "fe80::1",
    "fe80::1%eth0",
    "fd00::7",
    "::ffff:192.168.1.20",
]
FAR = ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "100.64.0.1"]


@pytest.mark.parametrize("host", NEAR)
def test_w22_loopback_and_private_addresses_may_speak_by_default(host: str) -> None:
    assert AllowList().permits(host)


@pytest.mark.parametrize("host", FAR)
def test_w22_others_may_not_speak_unless_they_are_named(host: str) -> None:
    assert not AllowList().permits(host)
    assert AllowList(anybody=True).permits(host)


def test_w22_a_named_address_or_network_may_speak_and_its_neighbour_may_not() -> None:
    allow = AllowList(["8.8.8.8", "2606:4700::/32", "100.64.0.1/10"])
    assert allow.permits("8.8.8.8")
    assert allow.permits("::ffff:8.8.8.8")
    assert allow.permits("2606:4700::1111")
    assert allow.permits("100.127.255.255")
    assert not allow.permits("8.8.4.4")
    assert not allow.permits("2607::1")


@pytest.mark.parametrize("host", ["", "rig.lab.example.org", "1.2.3", "10.0.0.7 ", "x%eth0"])
def test_what_is_no_ip_address_may_not_speak(host: str) -> None:
    assert not AllowList(["10.0.0.0/8"]).permits(host)


def test_a_judgement_does_not_change_with_repetition_or_with_a_flood_of_others() -> None:
    allow = AllowList()
    for number in range(5000):
        allow.permits(f"8.8.{number // 256}.{number % 256}")
    assert allow.permits("10.0.0.7")
    assert allow.permits("10.0.0.7")
    assert not allow.permits("8.8.8.8")
    assert len(allow._known) <= 4097


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("fe80::1%eth0", True),
        ("100.64.1.2", False),
        ("8.8.8.8", False),
    ],
)
def test_rigs_admit_of_themselves_what_is_private(host: str, admitted: bool) -> None:
    assert is_private(host) is admitted
    assert AllowList().permits(host) is admitted


def test_only_this_pc_is_let_in_without_a_key() -> None:
    doors = Doors(["10.0.0.8"])
    assert {doors.admit(one) for one in ("127.0.0.1", "::1", "::ffff:127.0.0.1")} == {Admission.OPEN}
    assert doors.admit("10.0.0.8") is Admission.IBL
    assert {doors.admit(one) for one in (*NEAR[3:], *FAR)} == {Admission.PROVED}
    assert {Doors(is_open=True).admit(one) for one in (*NEAR, *FAR)} == {Admission.OPEN}
    assert not is_this_pc("10.0.0.8")
    assert Doors().admit("no address") is Admission.PROVED


def test_where_only_ibls_wire_is_spoken_a_list_says_by_whom() -> None:
    assert AllowList().admit("10.0.0.7") is Admission.IBL
    assert AllowList().admit("8.8.8.8") is Admission.NOBODY


def test_the_first_message_that_is_not_usual_is_told_whatever_came_before() -> None:
    refusals = Refusals()
    assert [refusals.note("192.168.1.77", 0, from_count=100) for _ in range(3)] == [None, None, None]
    assert refusals.note("192.168.1.77", 0) == 4
    assert refusals.note("192.168.1.77", 0) is None
