from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pdms.ingest.normalise import Broken
from pdms.ingest.values import code_reader, instant_reader, line_number, money_reader, price_reader, quantity, truth

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


def rule(read, value):
    with pytest.raises(Broken) as caught:
        read(value)
    return caught.value.rule


def test_instants_without_offset_are_read_in_the_sources_zone():
    read = instant_reader(zone="Asia/Shanghai", now=NOW)
    assert read("2024-05-01 08:30:00") == datetime(2024, 5, 1, 0, 30, tzinfo=UTC)
    assert read("2024-05-01T08:30:00Z") == datetime(2024, 5, 1, 8, 30, tzinfo=UTC)
    assert read("2024-05-01T08:30:00+02:00") == datetime(2024, 5, 1, 6, 30, tzinfo=UTC)
    assert read("2024/5/1 8:30") == datetime(2024, 5, 1, 0, 30, tzinfo=UTC)
    assert read("2024-05-01") == datetime(2024, 4, 30, 16, 0, tzinfo=UTC)
    assert read("") is None
    assert read("  ") is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("20245-01-01 00:00:00", "INSTANT_YEAR"),
        ("1969-12-30", "INSTANT_YEAR"),
        ("0001-01-01 00:00:00", "INSTANT_YEAR"),
        ("0001-01-01T00:00:00+08:00", "INSTANT_YEAR"),
        ("9999-12-31T23:59:59-05:00", "INSTANT_FUTURE"),
        ("2026-11-24", "INSTANT_FUTURE"),
        ("2024-02-30 10:00:00", "INSTANT_IMPOSSIBLE"),
        ("yesterday", "INSTANT_FORM"),
        ("1714500000", "INSTANT_FORM"),
    ],
)
def test_broken_instants(given, expected):
    assert rule(instant_reader(zone="Asia/Shanghai", now=NOW), given) == expected


def test_instants_of_a_stated_form():
    read = instant_reader(zone="Europe/London", now=NOW, form="%d.%m.%Y %H:%M")
    assert read("01.07.2011 08:26") == datetime(2011, 7, 1, 7, 26, tzinfo=UTC)
    assert instant_reader(zone="Asia/Shanghai", now=NOW, form="epoch_ms")("1714500000000") == datetime(
        2024, 4, 30, 18, 0, tzinfo=UTC
    )


def test_amounts_are_decimals_rounded_to_cents():
    read = money_reader()
    assert read("12.345") == Decimal("12.35")
    assert read("-12.345") == Decimal("-12.35")
    assert read("1,234.50") == Decimal("1234.50")
    assert read("￥99") == Decimal("99.00")
    assert read("1.5e3") == Decimal("1500.00")
    assert read("") is None
    assert money_reader(form="cents")("1999") == Decimal("19.99")
    assert rule(read, "12,5") == "NUMBER_FORM"
    assert rule(read, "nan") == "NUMBER_FORM"
    assert rule(read, "1e99") == "NUMBER_RANGE"
    assert rule(read, "10000000000000000") == "NUMBER_RANGE"


def test_quantities_prices_lines_and_truths():
    assert quantity("-6") == Decimal("-6.000")
    assert price_reader()("0.001") == Decimal("0.0010")
    assert line_number("3") == 3
    assert rule(line_number, "1.5") == "NUMBER_FORM"
    assert truth("是") is True
    assert truth("0") is False
    assert truth("") is None
    assert rule(truth, "maybe") == "TRUTH_VALUE"
    assert code_reader()(" A 1 ") == "A 1"
    assert rule(code_reader(longest=3), "ABCD") == "TOO_LONG"
