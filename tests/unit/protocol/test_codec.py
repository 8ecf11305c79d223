import contextlib
import datetime
import enum
import itertools
import json
import math
import pathlib
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.errors import LocalProtocolError, RemoteProtocolError
from multirig.protocol import codec
from multirig.protocol.codec import StreamCutter
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event, Message, Status

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
TRICKY = st.sampled_from(['"', "\\", '\\"', "[", "]", "{", "}", '[{"', "\\\\", "é", "\u2028"])
MESSAGES = st.lists(st.lists(JSON | TRICKY, min_size=1, max_size=4).map(json.dumps), max_size=6)
NOISE = st.text(alphabet=' \r\n\tabc,:"\\]}0', max_size=6)
"""Anything that opens no array and no object."""


class Side(enum.Enum):
    LEFT = "left"


class Scalar:
    """What a numpy scalar looks like to who has no numpy."""

    ndim = 0

    def item(self):
        return 3.5


class Array:
    ndim = 1
    content: ClassVar[list[int]] = [1]

    def item(self):
        raise ValueError("not a scalar")


# -- what multirig sends, byte for byte ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "data"),
    [
        (
            Message(Event.EXPINIT, ({"exp_ref": "2024-05-06_2_SP_01"},)),
            b'[1, {"exp_ref": "2024-05-06_2_SP_01"}]',
        ),
        (Message(Event.EXPINIT, (None,)), b"[1, null]"),
        (Message(Event.EXPSTART, ("2024-05-06_2_SP_01", None)), b'[2, "2024-05-06_2_SP_01", null]'),
        (
            Message(
                Event.EXPSTART,
                (
                    ExpRef.parse({"subject": "SP_01", "date": datetime.date(2024, 5, 6), "sequence": "002"}),
                    {"k": 1},
                ),
            ),
            b'[2, "2024-05-06_2_SP_01", {"k": 1}]',
        ),
        (Message(Event.EXPEND, (None,)), b"[4, null]"),
        (Message(Event.EXPINTERRUPT, ({"error": "X"},)), b'[16, {"error": "X"}]'),
        (Message(Event.EXPCLEANUP, (None,)), b"[8, null]"),
        (Message(Event.EXPSTATUS, (Status.RUNNING,)), b"[32, 20]"),
        (Message(Event.EXPINFO, (Status.CONNECTED, {"main_sync": False})), b'[64, 0, {"main_sync": false}]'),
        (
            Message(Event.ALYX, ("https://alyx.example.org", {"user": {"token": "abc"}})),
            b'[128, "https://alyx.example.org", {"user": {"token": "abc"}}]',
        ),
        (Message(Event.ALYX, (None, {})), b"[128, null, {}]"),
        (
            Message(Event.ALYX, ("https://alyx.example.org", {})),
            b'[128, "https://alyx.example.org", {}]',
        ),
        (Message(Event.ERROR, ("ValueError: boom", Event.EXPSTART)), b'[0, "ValueError: boom", 2]'),
        (Message(Event.EXPEND, ([],)), b"[4, []]"),
        (
            Message(
                Event.EXPINFO,
                (
                    0,
                    {
                        "exp_ref": None,
                        "main_sync": False,
                        "experiment_description": {},
                        "master": False,
                        "rig_version": "8.24.7",
                        "spec_version": "1.0.0",
                        "subject": "x",
                    },
                ),
            ),
            b'[64, 0, {"exp_ref": null, "main_sync": false, "experiment_description": {}, "master": false, '
            b'"rig_version": "8.24.7", "spec_version": "1.0.0", "subject": "x"}]',
        ),
        (Message(Event.EXPINIT, ({"subject": "Ämne"},)), b'[1, {"subject": "\\u00c4mne"}]'),
    ],
    ids=str,
)
def test_a_message_is_written_as_iblutil_writes_it(message, data):
    assert codec.encode_array(message) == data


@given(args=st.lists(JSON, max_size=4))
def test_a_message_is_what_json_dumps_makes_of_it_and_reads_back(args):
    message = Message(Event.EXPINFO, tuple(args))
    data = codec.encode_array(message)
    assert data == json.dumps([64, *args]).encode()
    assert Message.parse(codec.decode(data)) == message


@given(args=st.lists(JSON, max_size=4))
def test_the_text_inside_a_frame_has_no_spaces_and_reads_back(args):
    message = Message(Event.EXPINFO, tuple(args))
    text = codec.encode_text(message)
    assert text == json.dumps([64, *args], separators=(",", ":"))
    assert codec.decode(codec.encode_frame({"n": 1}, text)) == {"n": 1, "m": [64, *args]}


# -- W38: what JSON does not know ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "null"),
        (math.inf, "null"),
        (-math.inf, "null"),
        ([1.5, math.nan], "[1.5, null]"),
        (datetime.date(2024, 5, 6), '"2024-05-06"'),
        (datetime.datetime(2024, 5, 6, 7, 8, 9), '"2024-05-06T07:08:09"'),
        (pathlib.PurePosixPath("/data/x"), '"/data/x"'),
        (pathlib.PureWindowsPath("C:/data"), '"C:\\\\data"'),
        (ExpRef.parse("2024-05-06_002_x"), '"2024-05-06_2_x"'),
        ({"b", "a"}, '["a", "b"]'),
        (frozenset({2}), "[2]"),
        ((1, (2,)), "[1, [2]]"),
        (Side.LEFT, '"left"'),
        (Status.RUNNING, "20"),
        (Scalar(), "3.5"),
        ({datetime.date(2024, 5, 6): math.nan}, '{"2024-05-06": null}'),
        ({"deep": [{"at": datetime.date(2024, 5, 6)}]}, '{"deep": [{"at": "2024-05-06"}]}'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_w38_nan_dates_paths_and_the_like_are_written_as_json_can_carry_them(value, text):
    assert codec.encode_array(Message(Event.EXPEND, (value,))) == f"[4, {text}]".encode()
    assert json.loads(codec.encode_text(Message(Event.EXPEND, (value,)))) == [4, json.loads(text)]


@pytest.mark.parametrize(
    ("value", "where", "what"),
    [
        ({"camera": {"handle": object()}}, "message[1].camera.handle", "object"),
        ([0, b"raw"], "message[1][1]", "bytes"),
        ({"frames": Array()}, "message[1].frames", "Array"),
        ({"inner": {(1, 2): 3}}, "message[1].inner", "tuple"),
    ],
    ids=["object", "bytes", "array", "key"],
)
def test_w38_what_cannot_be_carried_is_refused_with_the_name_of_its_key(value, where, what):
    for encode in (codec.encode_array, codec.encode_text):
        with pytest.raises(LocalProtocolError) as caught:
            encode(Message(Event.EXPINIT, (value,)))
        assert where in str(caught.value)
        assert what in str(caught.value)


def test_w38_what_holds_itself_is_refused():
    ring: list[object] = []
    ring.append(ring)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for endless in (ring, deep):
        for encode in (codec.encode_array, codec.encode_text):
            with pytest.raises(LocalProtocolError, match="nested"):
                encode(Message(Event.EXPINIT, (endless,)))


# -- W17: what is no JSON --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"[", b"\xff\xfe", b"[1, \xe9]", b"[1,]", b"\xef\xbb\xbf[1]", b"[" * 100_000, b"nonsense"],
    ids=lambda data: repr(data[:12]),
)
def test_w17_what_is_not_json_in_utf8_is_refused_whatever_it_is(data):
    with pytest.raises(RemoteProtocolError, match="not JSON in UTF-8"):
        codec.decode(data)


@given(data=st.binary(max_size=40))
def test_w17_no_bytes_raise_anything_else(data):
    with contextlib.suppress(RemoteProtocolError):
        codec.decode(data)


# -- W16: what is too long -------------------------------------------------------------------------------


def test_w16_what_passes_the_limit_is_refused_with_its_size_and_the_limit():
    codec.check_size(65_507, stream=False)
    codec.check_size(65_508, stream=True)
    with pytest.raises(LocalProtocolError, match="EXPINFO has 65,508 bytes, the limit is 65,507; use a tcp"):
        codec.check_size(65_508, stream=False, what=Message(Event.EXPINFO))
    with pytest.raises(LocalProtocolError, match=r"the limit is 16,777,216$"):
        codec.check_size(16_777_217, stream=True)


# -- W13, W14: messages in a stream ----------------------------------------------------------------------


def feed(cutter, data, cuts):
    """Feed the data in pieces that end at the cuts; return all messages."""
    out = []
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        out += cutter.feed(data[start:end])
    return out


@given(
    texts=MESSAGES, noise=st.lists(NOISE, min_size=7, max_size=7), cuts=st.lists(st.integers(0), max_size=9)
)
def test_w14_any_messages_with_noise_between_come_back_from_any_pieces(texts, noise, cuts):
    data = noise[0].encode()
    for text, after in zip(texts, noise[1:], strict=False):
        data += text.encode() + after.encode()
    cutter = StreamCutter()
    assert feed(cutter, data, cuts) == [text.encode() for text in texts]
    assert (cutter.skipped > 0) == any(part.strip() for part in noise[: len(texts) + 1])


@given(texts=MESSAGES)
def test_w14_messages_come_back_when_they_arrive_byte_by_byte(texts):
    data = "".join(json.dumps(json.loads(text), ensure_ascii=False) for text in texts).encode()
    cutter = StreamCutter()
    out = feed(cutter, data, range(len(data)))
    assert [json.loads(one) for one in out] == [json.loads(text) for text in texts]
    assert cutter.skipped == 0


def test_w13_two_messages_in_one_segment_are_two_messages():
    assert StreamCutter().feed(b'[4, null][2, "2024-05-06_2_x", null]') == [
        b"[4, null]",
        b'[2, "2024-05-06_2_x", null]',
    ]


def test_w14_both_wires_come_out_of_one_stream():
    assert StreamCutter().feed(b'{"multirig":2}[32, 0]{"multirig":2}') == [
        b'{"multirig":2}',
        b"[32, 0]",
        b'{"multirig":2}',
    ]


@given(cuts=st.lists(st.integers(0), max_size=5), length=st.integers(2, 60))
def test_w14_the_limit_is_the_length_of_the_message_however_it_is_cut(cuts, length):
    cutter = StreamCutter(limit=30)
    data = b"[" + b"1" * (length - 2) + b"]"
    if length <= 30:
        assert feed(cutter, data, cuts) == [data]
    else:
        with pytest.raises(RemoteProtocolError, match="passes 30 bytes"):
            feed(cutter, data, cuts)


def test_w14_after_an_overlong_message_the_cutter_begins_anew():
    cutter = StreamCutter(limit=10)
    with pytest.raises(RemoteProtocolError):
        cutter.feed(b'["' + b"x" * 20)
    assert cutter.feed(b"[32, 0]") == [b"[32, 0]"]


def test_w14_a_long_message_in_many_pieces_is_read_once():
    """Each byte is scanned once: positions only go forward, so 4 MB in 64 kB pieces are no 4² work."""
    cutter = StreamCutter()
    message = b'["' + b'{\\"' * 1_300_000 + b'"]'
    out = []
    scanned = []
    for start in range(0, len(message), 65_536):
        before = cutter._scanned
        out += cutter.feed(message[start : start + 65_536])
        scanned.append(cutter._scanned - before)
    assert out == [message]
    assert sum(scanned[:-1]) <= len(message)
    assert all(one >= 65_535 for one in scanned[1:-1])


def test_a_flood_of_brackets_is_given_up_at_once_and_the_next_message_is_taken():
    cutter = StreamCutter()
    with pytest.raises(RemoteProtocolError, match="nested deeper than 100"):
        cutter.feed(b"[" * 1_000_000)
    assert cutter.feed(b"[32]") == [b"[32]"]
