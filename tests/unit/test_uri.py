import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from multirig.config import DEFAULT_PORT, Uri
from multirig.errors import ConfigError, MultirigError

LABELS = st.from_regex(r"[A-Za-z_]([A-Za-z0-9_-]{0,10}[A-Za-z0-9_])?", fullmatch=True)
HOSTS = st.one_of(
    st.lists(LABELS, min_size=1, max_size=4).map(".".join),
    st.ip_addresses().map(str),
    st.ip_addresses(v=6, network="fe80::/10").map(lambda address: f"{address}%eth0"),
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("udp://192.168.1.20:11002", "udp://192.168.1.20:11002"),
        ("tcp://192.168.1.20:11002", "tcp://192.168.1.20:11002"),
        ("ws://192.168.1.20:11002", "tcp://192.168.1.20:11002"),
        ("wss://192.168.1.20", "tcp://192.168.1.20:11001"),
        ("192.168.1.20", "udp://192.168.1.20:11001"),
        ("192.168.1.20:80", "udp://192.168.1.20:80"),
        ("[::1]:11001", "udp://[::1]:11001"),
        ("tcp://[::1]:5", "tcp://[::1]:5"),
        ("udp://[::]", "udp://[::]:11001"),
        ("::1", "udp://[::1]:11001"),
        ("udp://::1", "udp://[::1]:11001"),
        ("2001:DB8:0:0::1", "udp://[2001:db8::1]:11001"),
        ("[fe80::1%eth0.5]:7", "udp://[fe80::1%eth0.5]:7"),
        ("UDP://localhost/", "udp://localhost:11001"),
        ("  localhost  ", "udp://localhost:11001"),
        ("CAM_PC-2.lab.example.org.", "udp://cam_pc-2.lab.example.org.:11001"),
        ("a:1", "udp://a:1"),
        (ipaddress.ip_address("10.0.0.1"), "udp://10.0.0.1:11001"),
        (ipaddress.ip_address("::1"), "udp://[::1]:11001"),
        (Uri("tcp", "a", 5), "tcp://a:5"),
    ],
)
def test_every_form_of_an_address_has_one_canonical_text(text, canonical):
    assert str(Uri.parse(text)) == canonical


def test_parts_left_out_mean_udp_and_the_port_of_wire_1():
    assert Uri.parse("Rig_1.Lab") == Uri("udp", "rig_1.lab", DEFAULT_PORT)
    assert DEFAULT_PORT == 11001


@given(
    uri=st.builds(
        Uri.parse,
        st.builds(
            lambda scheme, host, port: (
                f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
            ),
            st.sampled_from(["udp", "tcp", "ws", "wss", "TCP"]),
            HOSTS,
            st.integers(1, 65535),
        ),
    )
)
def test_the_canonical_text_reads_back_as_the_same_address(uri):
    assert Uri.parse(str(uri)) == uri


@given(text=st.text(max_size=40))
def test_any_text_is_an_address_or_is_refused_in_one_line(text):
    try:
        answer = str(Uri.parse(text))
        assert str(Uri.parse(answer)) == answer
    except ConfigError as error:
        answer = str(error)
    assert len(answer.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "the host is missing"),
        ("udp://", "the host is missing"),
        ("udp://:11001", "the host is missing"),
        ("http://cameras", "the scheme 'http'"),
        ("udp://cameras:", "the port ''"),
        ("udp://cameras:eleven", "the port 'eleven'"),
        ("udp://cameras:70000", "the port 70000"),
        ("udp://cameras:0", "the port 0"),
        ("udp://cameras:+5", "the port '+5'"),
        ("udp://cameras:１", "the port '１'"),
        ("udp://cameras:11001/path", "the port '11001/path'"),
        ("udp://cam eras", "the host 'cam eras'"),
        ("udp://user@cameras", "the host 'user@cameras'"),
        ("udp://a..b", "the host 'a..b'"),
        ("udp://-a", "the host '-a'"),
        ("udp://" + "a" * 64, "the host"),
        ("udp://" + "a." * 127 + "a", "the host"),
        ("udp://192.168.1.300", "the host '192.168.1.300' is not an IP address"),
        ("udp://192.168.1", "the host '192.168.1' is not an IP address"),
        ("11001", "the host '11001' is not an IP address"),
        ("::1:11001", "the host '::1:11001' is not an IPv6 address"),
        ("udp://[cameras]:11001", "the host 'cameras' is not an IPv6 address"),
        ("udp://[fe80::1%a b]", "is not an IPv6 address"),
        ("udp://[::1:11001", "brackets"),
        ("udp://[::1]11001", "brackets"),
    ],
)
def test_a_bad_address_names_the_wrong_part_and_shows_a_good_one(text, part):
    with pytest.raises(ConfigError) as caught:
        Uri.parse(text)
    message = str(caught.value)
    assert part in message
    assert "udp://host:11001" in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("value", [None, 11001, 1.5, ["udp://a"], b"udp://a"])
def test_what_is_no_text_is_no_address(value):
    with pytest.raises(ConfigError, match="is not an address: write udp://host:11001"):
        Uri.parse(value)


def test_a_refused_address_is_also_a_value_error():
    with pytest.raises(ValueError, match="port") as caught:
        Uri.parse("a:b")
    assert isinstance(caught.value, MultirigError)


def test_any_free_port_is_for_listening_only():
    anywhere = Uri.parse("udp://0.0.0.0:0", listening=True)
    assert anywhere == Uri("udp", "0.0.0.0", 0)
    with pytest.raises(ConfigError, match="the port 0 is not in 1 to 65535"):
        Uri.parse(anywhere)


def test_an_address_is_a_field_of_a_pydantic_model():
    class Model(BaseModel):
        uri: Uri

    model = Model.model_validate({"uri": "cameras:5"})
    assert model.uri == Uri("udp", "cameras", 5)
    assert model.model_dump_json() == '{"uri":"udp://cameras:5"}'
    assert Model.model_validate_json(model.model_dump_json()) == model
    assert Model.model_json_schema()["properties"]["uri"]["type"] == "string"
    with pytest.raises(ValidationError, match="the port"):
        Model.model_validate({"uri": "cameras:x"})
