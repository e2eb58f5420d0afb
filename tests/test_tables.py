"""Texts of tables and sentences."""

from rnnexp.tables import counted, number


def test_one_thing_is_no_several() -> None:
    found = [counted(number, "network") for number in (0, 1, 2000)]
    assert found == ["0 networks", "1 network", "2,000 networks"]


def test_numbers_of_a_diverged_run_have_an_exponent() -> None:
    found = [number(one) for one in (0, 0.25, 1234.5, 9e6, 1e7, -8.8153837e35, 0.00001234)]
    assert found == ["0", "0.25", "1,234", "9,000,000", "1e+07", "-8.815e+35", "1.234e-05"]
