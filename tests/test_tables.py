"""Texts of tables and sentences."""

from rnnexp.tables import counted


def test_one_thing_is_no_several() -> None:
    found = [counted(number, "network") for number in (0, 1, 2000)]
    assert found == ["0 networks", "1 network", "2,000 networks"]
