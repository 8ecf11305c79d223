import pytest
from hypothesis import given
from hypothesis import strategies as st

from multirig.errors import RemoteProtocolError
from multirig.protocol.messages import Event, Message, Status

NO_EVENTS = [3, 5, 256, -1, 1.0, 2.5, True, False, None, "", "EXPSTOP", "EXPEND|EXPINTERRUPT", "1", [1], {}]
NO_STATUSES = [1, -10, 20.0, True, None, "", "IDLE", "20", [20]]


@pytest.mark.parametrize("event", list(Event))
def test_an_event_is_read_from_its_number_and_its_name_in_any_case(event):
    for text in (event.name, event.name.lower(), event.name.title(), f" {event.name} "):
        assert Event.parse(text) is event
    assert Event.parse(int(event)) is event
    assert Event.parse(event) is event


def test_the_numbers_of_the_events_are_ibls():
    assert {event.name: event.value for event in Event} == {
        "ERROR": 0,
        "EXPINIT": 1,
        "EXPSTART": 2,
        "EXPEND": 4,
        "EXPCLEANUP": 8,
        "EXPINTERRUPT": 16,
        "EXPSTATUS": 32,
        "EXPINFO": 64,
        "ALYX": 128,
    }


@pytest.mark.parametrize("value", NO_EVENTS, ids=repr)
def test_compound_negative_boolean_float_and_unknown_events_are_refused(value):
    with pytest.raises(RemoteProtocolError, match="unknown event"):
        Event.parse(value)


@pytest.mark.parametrize("value", ["x" * 100_000, "é" * 100_000, list(range(100_000))], ids=len)
def test_the_refusal_of_an_event_is_short_however_long_the_event_is(value):
    with pytest.raises(RemoteProtocolError) as caught:
        Event.parse(value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("status", list(Status))
def test_a_status_is_read_from_its_number_and_its_name_in_any_case(status):
    for value in (status, int(status), status.name, status.name.lower(), f" {status.name} "):
        assert Status.parse(value) is status


@pytest.mark.parametrize("value", NO_STATUSES, ids=repr)
def test_anything_else_is_no_status(value):
    with pytest.raises(RemoteProtocolError, match="unknown status"):
        Status.parse(value)


def test_an_array_of_one_element_is_an_event_without_arguments():
    assert Message.parse([32]) == Message(Event.EXPSTATUS)
    assert Message.parse(["expstatus"]) == Message(Event.EXPSTATUS)


@pytest.mark.parametrize("array", [[], {}, "EXPINIT", 1, None, {"event": 1}, (1, None)], ids=repr)
def test_only_an_array_with_an_event_is_a_message(array):
    with pytest.raises(RemoteProtocolError, match="a message is an array"):
        Message.parse(array)


@given(
    event=st.sampled_from(Event),
    args=st.lists(st.one_of(st.none(), st.integers(), st.text(), st.dictionaries(st.text(), st.integers()))),
)
def test_a_message_reads_back_from_its_array(event, args):
    message = Message(event, tuple(args))
    assert Message.parse(message.to_array()) == message
    assert type(message.to_array()[0]) is int


def test_a_message_is_called_by_its_event():
    assert str(Message(Event.EXPSTART, ("2024-05-06_2_SP_01", None))) == "EXPSTART"
