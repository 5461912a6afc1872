"""Addresses of old databases: no password in them, no code loaded by them, one name however one gets in."""

import pytest

from pdms.db.outside import open_outside
from pdms.errors import InvalidInput

SECRET = "hunter2-canary"


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://reader:{SECRET}@old-shop/shop",
        f"postgresql+psycopg://reader:{SECRET}@old-shop/shop",
        f"postgresql://reader@old-shop/shop?password={SECRET}",
        f"postgresql://reader@old-shop/shop?sslmode=require&sslpassword={SECRET}",
        "postgresql://reader:@old-shop/shop",
    ],
)
def test_a_password_in_the_address_is_refused_and_not_repeated(address):
    with pytest.raises(InvalidInput) as caught:
        open_outside(address)
    assert caught.value.code == "PASSWORD_ON_COMMAND_LINE"
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("plugin", ["plugin=no-such", "plugin=a&plugin=b", "plugin=" + SECRET])
def test_an_address_loads_no_plugin(plugin):
    for scheme in ("postgresql", "postgresql+psycopg"):
        with pytest.raises(InvalidInput) as caught:
            open_outside(f"{scheme}://reader@old-shop/shop?{plugin}")
        assert caught.value.code == "URL_FORM"
        assert SECRET not in str(caught.value)


def test_the_name_says_where_and_who_but_not_how_one_gets_in():
    plain = open_outside("postgresql://reader@old-shop/shop")
    for same in (
        open_outside("postgresql://reader@old-shop/shop", password=SECRET),
        open_outside("postgresql://reader@old-shop/shop?passfile=/etc/pass", password=SECRET),
        open_outside("postgresql://reader@old-shop/shop?passfile=/etc/pass"),
        open_outside("postgresql+psycopg://reader@old-shop/shop?sslmode=require&sslrootcert=/etc/ca.pem"),
    ):
        assert same.name == plain.name
        assert SECRET not in same.name
    others = (
        "postgresql://reader@old-shop/other",
        "postgresql://clerk@old-shop/shop",
        "postgresql://reader@elsewhere/shop",
        "postgresql://reader@old-shop:5433/shop",
        "postgresql://reader@/shop?host=/run/a",
        "postgresql://reader@/shop?host=/run/b",
        "postgresql://reader@/shop?service=old",
    )
    names = [open_outside(one).name for one in others]
    assert len({plain.name, *names}) == len(others) + 1


def test_the_password_given_apart_is_used():
    opened = open_outside("postgresql://reader@old-shop/shop", password=SECRET)
    assert opened.engine.url.password == SECRET
    assert SECRET not in repr(opened)
