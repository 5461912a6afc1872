from datetime import date, datetime

import pytest

from common.policies import SHIPPED
from pdms.ingest.derive import attributes_of
from pdms.policy.loader import load

TODAY = date(2026, 11, 22)


@pytest.fixture(scope="module")
def policy():
    return load(SHIPPED)


def derived(policy, **fields):
    return attributes_of(policy, fields, today=TODAY)


@pytest.mark.parametrize(
    ("birth", "band"),
    [
        ("2013-11-23", "<14"),
        ("2012-11-22", "<14"),  # fourteen today: the year is full tomorrow
        ("2012-11-21", "14-17"),
        ("2008-11-21", "18-24"),
        ("1960-01-01", "65+"),
        ("1905-01-01", "65+"),
    ],
)
def test_age_bands_are_leaves_of_the_policy(policy, birth, band):
    assert derived(policy, birth_date=birth).age_band == band
    assert band in {row[0] for row in policy.hierarchies["age_band"].rows}


@pytest.mark.parametrize(
    ("address", "prefecture", "tier"),
    [
        ("浙江省杭州市西湖区示例路1号", "杭州市", "tier-new-1"),
        ("浙江杭州西湖区", "杭州市", "tier-new-1"),
        ("浙江省 杭州市 西湖区", "杭州市", "tier-new-1"),
        ("杭州市西湖区示例路", "杭州市", "tier-new-1"),
        ("北京市朝阳区", "北京市", "tier-1"),
        ("北京朝阳区", "北京市", "tier-1"),
        ("内蒙古自治区呼伦贝尔市陈巴尔虎旗", "呼伦贝尔市", None),
        ("四川省凉山彝族自治州宁南县", "凉山彝族自治州", None),
        ("新疆维吾尔自治区乌鲁木齐市", "乌鲁木齐市", None),
        ("贵州省黔东南苗族侗族自治州黄平县", "黔东南苗族侗族自治州", None),
        ("某个地方", None, None),
    ],
)
def test_places(policy, address, prefecture, tier):
    found = derived(policy, address=address)
    assert found.prefecture == prefecture
    if tier:
        assert found.city_tier == tier


def test_the_address_wins_over_the_place_of_the_id(policy):
    assert derived(policy, id_number="330106199003071234").prefecture == "杭州市"
    assert derived(policy, id_number="330106199003071234", address="上海市静安区").prefecture == "上海市"


def test_the_rest(policy):
    found = derived(policy, gender="female", registered_at="2024-04-30T17:00:00+00:00")
    assert found.gender == "female"
    assert found.registered_on == date(2024, 5, 1)  # already May in Shanghai
    empty = derived(policy)
    assert empty == type(empty)(None, None, None, None, None)
    assert datetime.fromisoformat("2024-04-30T17:00:00+00:00").tzinfo is not None


def test_every_prefecture_is_found_from_its_full_address(policy):
    for place in policy.prefectures:
        address = place.name if place.name == place.province else place.province + place.name
        assert derived(policy, address=address + "某某路1号").prefecture == place.name
