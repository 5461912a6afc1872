import random
from datetime import UTC, datetime

import pytest

from common.policies import SHIPPED
from pdms.errors import InvalidInput
from pdms.ingest.mapping import Binding, Bound, bind
from pdms.ingest.readers import RawBatch
from pdms.policy.loader import load

NOW = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def policy():
    return load(SHIPPED)


@pytest.fixture(scope="module")
def members(policy):
    return policy.sources["shop-members"]


def refused(policy, source, columns):
    with pytest.raises(InvalidInput) as caught:
        bind(policy, source, columns, now=NOW)
    return caught.value


def test_PIPL_51_1_an_unclassified_column_refuses_the_file_and_is_named(policy, members):
    error = refused(policy, members, ["会员编号", "手机号", "微信号"])
    assert error.code == "UNKNOWN_COLUMN"
    assert "微信号" in error.message


def test_a_header_that_looks_like_data_is_not_shown(policy, members):
    error = refused(policy, members, ["会员编号", "13812345678", "wang@shop.example"])
    assert "138" not in error.message
    assert "wang" not in error.message
    assert "column 2, column 3" in error.message
    error = refused(policy, members, ["王小明", "13812345678"])  # no header at all
    assert error.code == "WRONG_SOURCE"
    assert "王小明" not in error.message


def test_a_missing_key_column_refuses_the_file_and_is_named(policy, members):
    error = refused(policy, members, ["手机号", "邮箱"])
    assert error.code == "MISSING_COLUMN"
    assert "会员编号" in error.message


def test_rows_are_cleaned_and_rejected_by_their_first_broken_rule(policy, members):
    binding = bind(policy, members, ["会员编号", "手机号", "性别", "出生日期"], now=NOW)
    raw = RawBatch(
        0,
        [1, 2, 3, 4, 5],
        {
            "会员编号": ["a", "b", "", "d", "e"],
            "手机号": ["13800000001", "12", "13800000003", "", "13800000005"],
            "性别": ["男", "女", "男", "未知", "?"],
            "出生日期": ["1990-03-07", "20245-01-01", "1990-03-07", "", "1990-03-07"],
        },
        [],
        5,
    )
    batch = binding.apply(raw)
    assert batch.numbers == [1, 4]
    assert batch.values["key.member"] == ["a", "d"]
    assert batch.values["field.phone"] == ["+8613800000001", ""]
    assert batch.values["field.gender"] == ["male", ""]
    assert [(one.row, one.field, one.rule) for one in batch.rejected] == [
        (2, "手机号", "PHONE_FORM"),
        (3, "会员编号", "MISSING_KEY"),
        (5, "性别", "VALUE_UNKNOWN"),
    ]


def test_too_long_a_value_is_rejected(policy, members):
    binding = bind(policy, members, ["会员编号", "姓名"], now=NOW)
    batch = binding.apply(RawBatch(0, [1, 2], {"会员编号": ["a", "b"], "姓名": ["张三", "张" * 200]}, [], 2))
    assert [(one.row, one.rule) for one in batch.rejected] == [(2, "TOO_LONG")]


def test_goods_outside_the_category_tree_are_other(policy):
    source = policy.sources["shop-order-lines"]
    binding = bind(policy, source, [c.column for c in source.columns], now=NOW)
    row = dict.fromkeys([c.column for c in source.columns], "1") | {"下单时间": "2024-01-01 00:00:00"}
    raw = RawBatch(0, [1, 2], {k: [v, v] for k, v in row.items()} | {"类目": ["grocery", "gadgets"]}, [], 2)
    assert binding.apply(raw).values["category"] == ["grocery", "other"]


def test_every_starter_source_binds_to_its_own_columns(policy):
    for source in policy.sources.values():
        binding = bind(policy, source, [column.column for column in source.columns], now=NOW)
        assert binding.targets >= {c.target for c in source.columns} - {"ignore"}


@pytest.mark.parametrize("days", [4_000, 1])
def test_what_repeats_within_a_batch_is_read_once(members, days):
    seen = []
    bound = Bound("registered_at", "注册时间", lambda value: seen.append(value) or value)
    cells = [str(at) for at in random.Random(1).choices(range(days), k=20_000)]
    batch = Binding(members, (bound,)).apply(RawBatch(0, range(20_000), {"注册时间": cells}, (), 20_000))
    assert batch.values["registered_at"] == cells
    assert len(seen) == len(set(cells))
