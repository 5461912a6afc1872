import pytest

from common.policies import SHIPPED
from pdms.policy.loader import load
from pdms.vault.masks import HIDDEN, MASKS, mask


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("phone", "+8613812345678", "****5678"),
        ("phone", "12345", HIDDEN),
        ("email", "zhang.wei@shop.example", "z****@shop.example"),
        ("email", "z@shop.example", "****@shop.example"),
        ("email", "no address", HIDDEN),
        ("name", "张三丰", "张**"),
        ("name", "张", HIDDEN),
        ("name", "Johannes Gutenberg", "J***"),
        ("id_number", "110101199003071233", "1****3"),
        ("address", "浙江省杭州市西湖区", "浙江省****"),
        ("address", "某地", HIDDEN),
        ("login", "zhangwei", "zh****"),
        ("all", "1990-03-07", HIDDEN),
        ("none", "male", "male"),
        ("a mask nobody wrote", "value", HIDDEN),
        ("phone", "", ""),
    ],
)
def test_masks(name, value, shown):
    assert mask(name, value) == shown


def test_every_mask_of_the_starter_policy_exists():

    policy = load(SHIPPED)
    assert {field.mask for field in policy.fields.values()} <= set(MASKS)
