"""Checksums and ranges, by published examples and by changing one digit."""

import pytest

from pdms.discovery import checks


def test_luhn_accepts_published_card_and_refuses_every_other_last_digit() -> None:
    assert checks.is_bank_card("4111111111111111")
    assert not any(checks.is_bank_card("411111111111111" + digit) for digit in "023456789")


def test_resident_id_of_the_standard_and_its_neighbours() -> None:
    assert checks.is_resident_id("11010519491231002X")  # the example of GB 11643-1999
    assert checks.is_resident_id("11010519491231002x")
    assert not any(checks.is_resident_id("11010519491231002" + digit) for digit in "0123456789")


@pytest.mark.parametrize(
    "number",
    ["01010519491231002X", "11010519491331002X", "11010519490230002X", "11010517491231002X", "1101051949123100", ""],
    ids=["province", "month", "day", "century", "short", "empty"],
)
def test_resident_shape_refuses(number: str) -> None:
    assert not checks.is_resident_shape(number)


def test_codes_with_other_checksums() -> None:
    assert checks.is_uscc("91350100M000100Y43")  # the example of GB 32100-2015
    assert not checks.is_uscc("91350100M000100Y44")
    assert checks.is_imei("490154203237518") is False  # 49 no longer allocates; the Luhn digit is right
    assert checks.is_imei("356938035643809")
    assert checks.is_iban("GB82WEST12345698765432")
    assert not checks.is_iban("GB82WEST12345698765433")
    assert checks.is_hong_kong_id("G123456(A)")
    assert not checks.is_hong_kong_id("G123456(7)")


def test_addresses_and_positions() -> None:
    assert checks.is_ip("203.0.113.7")
    assert checks.is_ip("2001:db8::1")
    assert not checks.is_ip("203.0.113.256")
    assert not checks.is_ip("127.0.0.1")
    assert checks.is_position("116.40", "39.90")
    assert checks.is_position("39.90", "116.40")
    assert not checks.is_position("116.40", "139.90")
