from datetime import UTC, date, datetime

import pytest

from common.policies import SHIPPED
from pdms.errors import InvalidInput
from pdms.ingest.normalise import (
    NORMALISERS,
    Broken,
    clean,
    day,
    email,
    field_normaliser,
    gender,
    login,
    name,
    normalise_value,
    phone_cn,
    resident_id,
    translated,
)
from pdms.policy.loader import load

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def policy():
    return load(SHIPPED)


def rule(function, value, **more):
    with pytest.raises(Broken) as caught:
        function(value, **more)
    return caught.value.rule


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("13812345678", "+8613812345678"),
        ("+86 138 1234 5678", "+8613812345678"),
        ("0086-138-1234-5678", "+8613812345678"),
        ("86 13812345678", "+8613812345678"),
        ("１３８１２３４５６７８", "+8613812345678"),
        ("＋86 138-1234-5678", "+8613812345678"),
        ("(010) 6278-1234", "+861062781234"),
        ("+44 20 7946 0958", "+442079460958"),
        ("00442079460958", "+442079460958"),
        ("+852 5123 4567", "+85251234567"),
        ("", ""),
        ("   ", ""),
    ],
)
def test_phones_become_e164(given, expected):
    assert phone_cn(given) == expected


@pytest.mark.parametrize(
    "given", ["12345", "138123456789", "23812345678", "call me", "1381234567a", "+1", "+999123456"]
)
def test_what_is_no_phone_is_refused(given):
    assert rule(phone_cn, given) == "PHONE_FORM"


def test_mainland_mobiles_agree_with_phonenumbers_wherever_it_knows_the_range():
    import phonenumbers

    for prefix in range(130, 200):
        number = f"{prefix}12345678"
        parsed = phonenumbers.parse(number, "CN")
        if phonenumbers.is_valid_number(parsed):
            assert phone_cn(number) == phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Zhang.Wei@Shop.EXAMPLE", "zhang.wei@shop.example"),
        (" wei+news@mail.shop.example ", "wei+news@mail.shop.example"),
        ("ｗｅｉ@shop.example", "wei@shop.example"),
        ("", ""),
    ],
)
def test_emails(given, expected):
    assert email(given) == expected


@pytest.mark.parametrize(
    "given",
    ["nobody", "a@b", "a@@b.example", "a b@shop.example", ".a@shop.example", "a@-shop.example", "a@shop.123",
     "x" * 250 + "@shop.example", "张@shop.example"],
)  # fmt: skip
def test_what_is_no_email_is_refused(given):
    assert rule(email, given) == "EMAIL_FORM"


def test_resident_ids():
    assert resident_id("11010519491231002X") == "11010519491231002X"  # the example of GB 11643-1999
    assert resident_id("11010519491231002x") == "11010519491231002X"
    assert resident_id("110105 19491231 002X") == "11010519491231002X"
    assert resident_id("110105491231002") == "11010519491231002X"  # fifteen places, before 1999
    assert resident_id("") == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("110105194912310021", "ID_CHECKSUM"),
        ("1101051949123100", "ID_FORM"),
        ("11010519491231002Y", "ID_FORM"),
        ("00010519491231002X", "ID_REGION"),
        ("110105194913310022", "ID_CHECKSUM"),
    ],
)
def test_broken_resident_ids(given, expected):
    assert rule(resident_id, given) == expected


def test_a_resident_id_of_an_impossible_day_is_refused():
    from pdms.ingest.normalise import _check_digit

    digits = "11010519490230002"
    assert rule(resident_id, digits + _check_digit(digits)) == "ID_DATE"


def test_resident_id_check_agrees_with_stdnum():
    from stdnum.cn import ric

    from pdms.ingest.normalise import _check_digit

    for serial in range(0, 1000, 7):
        digits = f"33010619900307{serial:03d}"
        assert ric.is_valid(digits + _check_digit(digits))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1990-03-07", "1990-03-07"),
        ("1990/3/7", "1990-03-07"),
        ("1990.03.07", "1990-03-07"),
        ("1990年3月7日", "1990-03-07"),
        ("19900307", "1990-03-07"),
        ("1990-03-07 00:00:00", "1990-03-07"),
        ("", ""),
    ],
)
def test_dates(given, expected):
    assert day(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("20245-01-01", "DATE_YEAR"),
        ("1990-02-30", "DATE_IMPOSSIBLE"),
        ("1890-01-01", "DATE_YEAR"),
        ("0000-01-01", "DATE_IMPOSSIBLE"),
        ("07/03/1990", "DATE_FORM"),
        ("soon", "DATE_FORM"),
        ("1990-03", "DATE_FORM"),
    ],
)
def test_broken_dates(given, expected):
    assert rule(day, given) == expected


def test_dates_of_a_stated_form():
    assert day("07/03/1990", form="%d/%m/%Y") == "1990-03-07"
    assert day("1990-03-07", form="%d/%m/%Y") == "1990-03-07"  # its own result stays what it is
    assert rule(day, "1990/3/7", form="%d/%m/%Y") == "DATE_FORM"


def test_birth_dates_do_not_lie_in_the_future(policy):
    read = field_normaliser(policy, "birth_date", today=date(2026, 11, 22))
    assert read("2026-11-22") == "2026-11-22"
    assert rule(read, "2026-11-23") == "DATE_FUTURE"


def test_genders():
    assert [gender(one) for one in ("男", "F", "female", "1", "2", "保密", "", "other")] == [
        "male", "female", "female", "male", "female", "", "", "other",
    ]  # fmt: skip
    assert rule(gender, "maybe") == "GENDER_VALUE"


def test_names_and_text():
    assert name("  王　小明 ") == "王 小明"
    assert name("买买提•艾力") == "买买提·艾力"
    assert name("Ｗａｎｇ") == "Wang"
    assert login(" WangWei ") == "wangwei"
    assert rule(clean, "a\x00b") == "CONTROL_CHARACTER"
    assert rule(clean, "a\u200eb\x07") == "CONTROL_CHARACTER"
    assert rule(clean, "\ud800") == "CONTROL_CHARACTER"


def test_coded_values_are_translated_and_unknown_ones_refused():
    read = translated(gender, {"男": "male", "女": "female", "未知": ""})
    assert read("男") == "male"
    assert read(" 女 ") == "female"
    assert read("未知") == ""
    assert read("") == ""
    assert read("male") == "male"
    assert rule(read, "?") == "VALUE_UNKNOWN"
    assert translated(clean, {"a": "x", "*": "other"})("b") == "other"


def test_every_normaliser_of_the_starter_policy_exists(policy):
    assert {field.normaliser for field in policy.fields.values()} <= {*NORMALISERS, "date"}


def test_one_value_is_normalised_for_look_ups_and_the_error_names_the_rule_only(policy):
    assert normalise_value(policy, field="phone", value="138 1234 5678", now=NOW) == "+8613812345678"
    with pytest.raises(InvalidInput) as caught:
        normalise_value(policy, field="phone", value="secret-number", now=NOW)
    assert caught.value.code == "PHONE_FORM"
    assert caught.value.message == "phone: not a telephone number (PHONE_FORM)"
    with pytest.raises(InvalidInput):
        normalise_value(policy, field="name", value="x" * 200, now=NOW)
    with pytest.raises(InvalidInput):
        normalise_value(policy, field="shoe_size", value="44", now=NOW)
