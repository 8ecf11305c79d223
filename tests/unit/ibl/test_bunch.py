"""A dictionary with its keys as attributes."""

import pytest
import yaml

from multirig.ibl.bunch import Bunch, bunched, unbunched


def test_a_key_is_an_attribute_and_an_attribute_a_key():
    bunch = Bunch(SUBJECT_NAME="x")
    bunch.NTRIALS = 3
    assert bunch.SUBJECT_NAME == "x"
    assert bunch == {"SUBJECT_NAME": "x", "NTRIALS": 3}
    del bunch.NTRIALS
    assert "NTRIALS" not in bunch


def test_a_missing_attribute_is_an_attribute_error_so_that_hasattr_and_getattr_work():
    bunch = Bunch(a=1)
    assert not hasattr(bunch, "b")
    assert getattr(bunch, "b", 5) == 5
    with pytest.raises(AttributeError, match="only a"):
        _ = bunch.b
    with pytest.raises(AttributeError):
        del bunch.b


def test_a_copy_is_a_bunch_of_its_own():
    bunch = Bunch(a=1)
    copied = bunch.copy()
    copied.a = 2
    assert isinstance(copied, Bunch)
    assert bunch.a == 1


def test_mappings_at_any_depth_become_bunches_and_plain_again():
    plain = {"device_bpod": {"COM_BPOD": "COM3"}, "list": [{"a": 1}]}
    bunch = bunched(plain)
    assert bunch.device_bpod.COM_BPOD == "COM3"
    assert bunch.list[0].a == 1
    back = unbunched(bunch)
    assert back == plain
    assert type(back["device_bpod"]) is dict
    assert yaml.safe_load(yaml.safe_dump(back)) == plain


def test_the_keys_are_offered_for_completion():
    assert "SUBJECT_NAME" in dir(Bunch(SUBJECT_NAME="x"))
