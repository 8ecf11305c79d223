"""Who may read a file on Windows, by its access list as Windows writes it."""

from __future__ import annotations

import pytest

from multirig.keyring.windows import find_readers_in, make_list

ME = "S-1-5-21-1004336348-1177238915-682003330-1001"


def test_what_is_set_lets_nobody_else_in() -> None:
    for is_folder in (False, True):
        assert find_readers_in(make_list(ME, is_folder=is_folder), ME) == []
    assert make_list(ME, is_folder=True) == f"D:P(A;OICI;FA;;;{ME})(A;OICI;FA;;;SY)"


@pytest.mark.parametrize(
    "sddl",
    [
        f"D:PAI(A;OICI;FA;;;{ME})(A;OICI;FA;;;SY)",
        f"O:{ME}G:{ME}D:P(A;;FA;;;BA)(A;;FA;;;SY)(A;;FA;;;{ME})",
        f"D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;FA;;;{ME})",  # what a user's own folder hands down
        f"D:P(A;OICIIO;GA;;;CO)(A;;FA;;;{ME})",  # for what is made in it, to its maker
        f"D:P(D;;FA;;;WD)(A;;FA;;;{ME})",
        f"D:P(A;;0x100080;;;WD)(A;;FA;;;{ME})",  # to see that it is there
    ],
)
def test_a_list_that_lets_nobody_else_read(sddl: str) -> None:
    assert find_readers_in(sddl, ME) == []


@pytest.mark.attack
@pytest.mark.parametrize(
    ("entry", "who"),
    [
        ("(A;OICI;0x1200a9;;;WD)", "WD"),
        ("(A;;FR;;;BU)", "BU"),
        ("(A;;GR;;;AU)", "AU"),
        ("(A;;GA;;;S-1-5-21-1-2-3-1002)", "S-1-5-21-1-2-3-1002"),
        ("(A;;CCSWRPLOCR;;;BU)", "BU"),
        ("(A;;DC;;;BU)", "BU"),  # may write
        ("(A;;WD;;;BU)", "BU"),  # may let others
        ("(A;ID;0x1301bf;;;BU)", "BU"),
        ("(A;;FR;;;LA)", "LA"),
    ],
)
def test_whoever_else_can_read_or_change_it_is_named(entry: str, who: str) -> None:
    assert find_readers_in(f"D:P(A;;FA;;;{ME}){entry}", ME) == [who]


@pytest.mark.attack
def test_a_file_without_a_list_is_everybody_s() -> None:
    assert find_readers_in("", ME) == ["everybody"]
    assert find_readers_in("D:NO_ACCESS_CONTROL", ME) == ["everybody"]


def test_the_first_administrator_of_a_pc_has_letters() -> None:
    assert find_readers_in("D:P(A;;FA;;;LA)", "S-1-5-21-1-2-3-500") == []
