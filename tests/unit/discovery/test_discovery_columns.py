"""Columns are told by header and by values, alone and together; evidence holds no value."""

import random

import pytest

from pdms.discovery.columns import UNDECIDED, classify
from pdms.discovery.headers import claim, is_opaque, words_of
from pdms.discovery.scan import scan_table

_RANDOM = random.Random(7)
PHONES = [f"1{_RANDOM.choice('3578')}{_RANDOM.randrange(10**9):09d}" for _ in range(60)]
NAMES = [
    "王丽娟",
    "李建国",
    "张伟",
    "刘思雨",
    "陈晓明",
    "欧阳静",
    "赵敏",
    "周杰",
    "吴秀兰",
    "郑浩然",
    "扎西顿珠",
    "买买提·艾力",
] * 5
EMAILS = [f"member{number}@example.com" for number in range(60)]


@pytest.mark.parametrize(
    ("header", "field", "label"),
    [
        ("手机号", "phone", "PHONE"),
        ("收件人手机", "phone", "PHONE"),
        ("UserMobile", "phone", "PHONE"),
        ("会员姓名", "name", "PERSON"),
        ("customer_name", "name", "PERSON"),
        ("email_address", "email", "EMAIL"),
        ("邮箱地址", "email", "EMAIL"),
        ("登录IP地址", None, "IP"),
        ("MAC地址", None, "MAC"),
        ("商品名称", "product_name", None),
        ("brand_name", None, None),
        ("user_name", "login", None),
        ("会员编号", "member_id", None),
        ("CustomerID", "member_id", None),
        ("出生日期", "birth_date", "BIRTH_DATE"),
        ("注册日期", "registered_at", None),
        ("收货地址", "address", "ADDRESS"),
        ("证件号码", "id_number", "ID_CARD"),
        ("买家备注", "text", "FREETEXT"),
        ("下单时间", "placed_at", None),
        ("邮编", None, None),
    ],
)
def test_headers_say(header: str, field: str | None, label: str | None) -> None:
    said = claim(header)
    assert said is not None
    assert (said.field, said.label) == (field, label)


def test_opaque_headers_say_nothing() -> None:
    assert all(is_opaque(header) for header in ("c00", "col_3", "字段12", "Unnamed: 0", "", "X"))
    assert claim("c00") is None
    assert words_of("UserMobile_No") == "user mobile no"


@pytest.mark.parametrize(
    ("values", "label"),
    [
        (PHONES, "PHONE"),
        ([f"+86 {phone[:3]} {phone[3:7]} {phone[7:]}" for phone in PHONES], "PHONE"),
        (EMAILS, "EMAIL"),
        (NAMES, "PERSON"),
        (["男", "女"] * 20, "GENDER"),
        ([f"19{60 + number}-0{1 + number % 9}-15" for number in range(40)], "BIRTH_DATE"),
        ([f"2026-0{1 + number % 9}-15 10:00:00" for number in range(40)], None),
        ([f"江苏省南京市江宁区上元大街{number}号" for number in range(1, 40)], "ADDRESS"),
        ([f"{number}.{number % 7}.{number % 12}.{number % 20}" for number in range(40)], None),
        ([f"203.0.{number}.{number % 99}" for number in range(40)], "IP"),
        ([f"2026{number:014d}" for number in range(7 * 10**12, 7 * 10**12 + 40)], None),
        (["小米", "华为", "李宁", "王老吉", "周大福"] * 8, None),
        ([f"物流很快，就是包装有点破，第{number}次买了" for number in range(40)], "FREETEXT"),
        (["WHITE HANGING HEART T-LIGHT HOLDER", "SET OF 3 CAKE TINS", "JUMBO BAG RED RETROSPOT"] * 9, None),
    ],
    ids=[
        "phone",
        "grouped",
        "email",
        "person",
        "gender",
        "birth",
        "instant",
        "address",
        "version",
        "ip",
        "order",
        "brand",
        "text",
        "goods",
    ],
)
def test_values_alone_settle(values: list[str], label: str | None) -> None:
    assert classify("c7", values).label == label


def test_header_and_values_together_are_surer_than_values() -> None:
    alone, both = classify("c7", NAMES), classify("姓名", NAMES)
    assert both.confidence > alone.confidence > 0.5
    assert (both.field, both.category) == ("name", "basic")


def test_values_outrank_a_wrong_header_and_say_so() -> None:
    proposal = classify("姓名", EMAILS)
    assert (proposal.label, proposal.field) == ("EMAIL", "email")
    assert "conflict:header says PERSON" in proposal.evidence


def test_a_header_that_the_values_contradict_is_left_to_a_person() -> None:
    proposal = classify("手机号是否验证", ["是", "否"] * 20)
    assert (proposal.label, proposal.field, proposal.category) == (None, None, UNDECIDED)
    assert proposal.confidence < 0.5


def test_masked_values_keep_the_label_of_their_header() -> None:
    proposal = classify("手机号", [f"{phone[:3]}****{phone[7:]}" for phone in PHONES])
    assert proposal.label == "PHONE"
    assert proposal.confidence <= 0.5


def test_personal_data_without_a_field_is_labelled_and_undecided() -> None:
    proposal = classify("车牌", ["粤B12345", "京N8P8F8", "沪AD12345"])
    assert (proposal.label, proposal.field, proposal.category) == ("PLATE", None, UNDECIDED)


def test_an_empty_column_is_only_what_its_header_says() -> None:
    proposal = classify("手机号", ["", "  "])
    assert proposal.label == "PHONE"
    assert proposal.confidence < 0.5
    assert classify("c1", []).label is None


def test_free_text_is_looked_into() -> None:
    proposal = classify("评价", ["电话13812345678，请尽快联系我", "很好，还会再来的"])
    assert "inside:PHONE in 1/2 texts" in proposal.evidence


def test_evidence_holds_no_value() -> None:
    tables = {
        "手机": PHONES,
        "c1": NAMES,
        "邮箱": EMAILS,
        "评价": [f"我叫王丽娟，{email}，请回复我" for email in EMAILS],
    }
    for proposal in scan_table(tables):
        text = " ".join(proposal.evidence)
        assert not any(value in text for value in tables[proposal.header])
        assert "王丽娟" not in text
        assert "example" not in text


def test_a_table_keeps_the_order_of_its_columns() -> None:
    assert [proposal.header for proposal in scan_table({"b": ["1"], "a": ["2"]})] == ["b", "a"]
