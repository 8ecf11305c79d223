from __future__ import annotations

import pytest

from multirig.conductor.registration import Choice, check_address, choose_uri
from multirig.config import Uri
from multirig.errors import ConfigError

EVERYWHERE = Uri("udp", "0.0.0.0", 11001)
LAN = {"192.168.1.20": "Ethernet"}
TWO_CARDS = {"192.168.1.20": "Ethernet", "10.0.0.5": "Wi-Fi"}


def refused(choice: Choice) -> str:
    assert choice.uri is None
    assert choice.remark is not None
    assert len(choice.remark.splitlines()) == 1
    return choice.remark


def published(choice: Choice) -> str:
    assert choice.remark is None
    return str(choice.uri)


def test_a_rig_that_listens_everywhere_is_published_at_the_one_address_of_its_pc() -> None:
    assert published(choose_uri([EVERYWHERE], LAN)) == "udp://192.168.1.20:11001"


def test_the_port_and_scheme_that_it_really_has_are_published() -> None:
    assert published(choose_uri([Uri("tcp", "0.0.0.0", 40123)], LAN)) == "tcp://192.168.1.20:40123"


def test_a_rig_that_listens_at_one_address_is_published_there_whatever_others_its_pc_has() -> None:
    listening = [Uri("udp", "10.0.0.5", 11001)]
    assert published(choose_uri(listening, TWO_CARDS)) == "udp://10.0.0.5:11001"


def test_a_host_name_in_the_config_is_published_as_it_is() -> None:
    assert published(choose_uri([Uri("udp", "cam_pc.lab", 11001)], TWO_CARDS)) == "udp://cam_pc.lab:11001"


def test_several_network_cards_are_named_with_the_option_that_settles_it() -> None:
    assert refused(choose_uri([EVERYWHERE], TWO_CARDS)) == (
        "this PC has several addresses, 192.168.1.20 (Ethernet) and 10.0.0.5 (Wi-Fi): "
        "say at which one others reach it, such as --address 192.168.1.20"
    )


def test_an_address_that_is_given_settles_it() -> None:
    assert published(choose_uri([EVERYWHERE], TWO_CARDS, "10.0.0.5")) == "udp://10.0.0.5:11001"


def test_several_addresses_in_the_config_are_as_ambiguous_as_several_cards() -> None:
    listening = [Uri("udp", host, 11001) for host in TWO_CARDS]
    assert "--address 192.168.1.20" in refused(choose_uri(listening, TWO_CARDS))


def test_two_ports_at_one_address_are_not_ambiguous_and_the_first_one_counts() -> None:
    listening = [EVERYWHERE, Uri("tcp", "0.0.0.0", 11002)]
    assert published(choose_uri(listening, LAN)) == "udp://192.168.1.20:11001"


def test_a_rig_on_loopback_is_not_published_and_says_why() -> None:
    assert refused(choose_uri([Uri("udp", "127.0.0.1", 11001)], LAN)) == (
        "the rig listens at udp://127.0.0.1:11001, where only this PC reaches it: set uri in its config, "
        "or give --address 127.0.0.1 if the session is led from this PC"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.1.1", "::1", "localhost"])
def test_every_way_to_write_loopback_is_known(host: str) -> None:
    assert "only this PC" in refused(choose_uri([Uri("udp", host, 11001)], LAN))


def test_a_pc_without_a_network_is_not_published_and_says_why() -> None:
    remark = refused(choose_uri([EVERYWHERE], {}))
    assert "this PC has no address in a network: connect it to the network" in remark


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_loopback_address_that_is_given_is_published_with_a_warning(host: str) -> None:
    choice = choose_uri([EVERYWHERE], LAN, host)
    assert choice.uri == Uri("udp", host, 11001)
    assert choice.remark == f"only programs on this PC reach it at {host}"


def test_an_address_that_this_pc_does_not_have_is_published_with_a_warning() -> None:
    choice = choose_uri([EVERYWHERE], LAN, "192.168.1.99")
    assert choice.uri == Uri("udp", "192.168.1.99", 11001)
    assert choice.remark is not None
    assert "192.168.1.99 is not an address of this PC (192.168.1.20)" in choice.remark


def test_an_address_where_the_rig_does_not_listen_is_published_with_a_warning() -> None:
    choice = choose_uri([Uri("udp", "127.0.0.1", 11001)], LAN, "192.168.1.20")
    assert choice.uri == Uri("udp", "192.168.1.20", 11001)
    assert (
        choice.remark == "the rig listens at udp://127.0.0.1:11001: see that others reach it at 192.168.1.20"
    )


def test_a_host_name_that_is_given_is_published() -> None:
    assert published(choose_uri([EVERYWHERE], TWO_CARDS, "cam_pc")) == "udp://cam_pc:11001"


def test_the_given_address_takes_the_port_of_where_it_is_served() -> None:
    listening = [Uri("udp", "10.0.0.5", 1), Uri("udp", "192.168.1.20", 2)]
    assert published(choose_uri(listening, TWO_CARDS, "192.168.1.20")) == "udp://192.168.1.20:2"


def test_ipv4_goes_before_ipv6_since_ibls_peers_speak_nothing_else() -> None:
    own = {"fd00::2": "Ethernet", **LAN, "fe80::1%eth0": "Ethernet"}
    listening = [Uri("udp", "::", 11001), EVERYWHERE]
    assert published(choose_uri(listening, own)) == "udp://192.168.1.20:11001"


def test_a_rig_that_listens_by_ipv6_only_is_published_so() -> None:
    own = {"fd00::2": "Ethernet", **LAN, "fe80::1%eth0": "Ethernet"}
    assert published(choose_uri([Uri("udp", "::", 11001)], own)) == "udp://[fd00::2]:11001"


def test_what_a_card_without_a_network_gives_itself_counts_only_where_there_is_nothing_else() -> None:
    assert published(choose_uri([EVERYWHERE], {"169.254.7.7": "Ethernet 2", **LAN})).startswith(
        "udp://192.168"
    )
    assert published(choose_uri([EVERYWHERE], {"169.254.7.7": "Ethernet"})) == "udp://169.254.7.7:11001"


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("192.168.1.20", "192.168.1.20"),
        (" CAM_PC ", "cam_pc"),
        ("[fd00::2]", "fd00::2"),
        ("FD00::2", "fd00::2"),
        ("localhost", "localhost"),
    ],
)
def test_an_address_is_a_host_in_any_spelling(text: str, host: str) -> None:
    assert check_address(text) == host


@pytest.mark.parametrize("text", ["192.168.1.20:11001", "udp://192.168.1.20", "[fd00::2]:11001", "cam_pc:1"])
def test_an_address_with_scheme_or_port_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ConfigError, match="write its name or IP address alone, such as 192"):
        check_address(text)


@pytest.mark.parametrize("text", ["0.0.0.0", "::", "", "192.168.1", "no host"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        check_address(text)
