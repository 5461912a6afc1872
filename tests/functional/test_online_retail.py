"""The main job on real purchases: every line of Online Retail goes in, one customer goes out, and the proof holds.

Real: all transactions of a British gift shop (UCI Online Retail), fourteen years later by the calendar so that notices
and consents of today cover them. Made up: the customers' identities.
"""

import csv
import gzip
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from common.bytes_of import bytes_of_member
from common.shell import Shell
from common.world import POLICIES, World, consents_of, resident_id
from pdms.audit.verifier import verify_file
from pdms.facts import service as facts
from pdms.facts.names import FactTable

NOW = datetime(2025, 12, 10, 2, 0, tzinfo=UTC)
LINES, WITHOUT_CUSTOMER, CUSTOMERS = 541_909, 135_080, 4_372
CUSTOMER = "17850"
SOURCE = """\
kind: order_lines
system: shop
timezone: Europe/London
currency: GBP
make_orders: true
columns:
  InvoiceNo: {target: key.order}
  StockCode: {target: product}
  Description: {target: product_name}
  Quantity: {target: quantity}
  InvoiceDate: {target: placed_at, format: "%Y-%m-%d %H:%M:%S"}
  UnitPrice: {target: unit_price}
  CustomerID: {target: key.member}
  Country: {target: ignore}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shell]:
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    (policies / "sources" / "online-retail.yaml").write_text(SOURCE, "utf-8")
    world = World.make(tmp_path, policies=policies, now=NOW)
    yield Shell(world)
    world.close()


def moved(path: Path, target: Path) -> set[str]:
    """Copy the data with its years moved; return the customers."""
    with gzip.open(path, "rb") as source:
        text = source.read().decode()
    text = text.replace(",2010-12-", ",2024-12-").replace(",2011-", ",2025-")
    with gzip.open(target, "wb", compresslevel=1) as out:
        out.write(text.encode())
    return {line.rsplit(",", 2)[1] for line in text.splitlines()[1:]} - {""}


def identities(customers: list[str]) -> list[dict[str, str]]:
    from faker import Faker

    faker, dice = Faker("zh_CN"), random.Random(17)
    faker.seed_instance(17)
    names, streets = [faker.name() for _ in range(400)], [faker.street_address() for _ in range(400)]
    people = []
    for number, customer in enumerate(customers):
        born = date(1950, 1, 1) + timedelta(days=dice.randint(0, 20_000))
        people.append(
            {
                "会员编号": customer,
                "姓名": dice.choice(names),
                "手机号": f"139{number:04d}{dice.randint(1000, 9999)}",
                "邮箱": f"c{number}.{dice.randint(10_000, 99_999)}@example.com",
                "身份证号": resident_id(born, number),
                "出生日期": born.isoformat(),
                "性别": dice.choice(("男", "女")),
                "收货地址": f"上海市浦东新区{dice.choice(streets)}{number}号",
                "登录名": f"c{number}_{dice.randint(10_000, 99_999)}",
                "注册时间": "2024-11-30",
            }
        )
    return people


def eligible(shell: Shell) -> tuple[str, int]:
    """Publish; return the release and how many members were eligible."""
    manifest = shell.json("compliance", "view", "build", "member_value")
    return manifest["release_id"], manifest["eligible"]


@pytest.mark.real_data
def test_a_customer_of_a_real_shop_is_erased(shop, tmp_path, real_data, canary):
    world = shop.world
    data = tmp_path / "online_retail.csv.gz"
    customers = sorted(moved(real_data / "retail" / "online_retail" / "online_retail.csv.gz", data))
    assert len(customers) == CUSTOMERS
    people = identities(customers)
    own = next(p for p in people if p["会员编号"] == CUSTOMER)

    consents = [row | {"时间": "2025-03-01 10:00:00"} for row in consents_of(people)]
    for source, rows in (("shop-members", people), ("shop-consents", consents)):
        told = shop.json("ingest", "ingest", source, str(world.file(f"{source}.csv", rows)))
        assert told["rejected"] == 0, told
    told = shop.json("ingest", "ingest", "online-retail", str(data))
    assert told["read"] == LINES
    assert told["accepted"] == LINES - WITHOUT_CUSTOMER
    assert told["rejected_by_rule"] == {"MISSING_MEMBER": WITHOUT_CUSTOMER}
    assert {r["field"] for r in told["rejections"]} == {"CustomerID"}

    first, before = eligible(shop)
    assert before == CUSTOMERS

    stored = bytes_of_member(world, CUSTOMER)
    bought = facts.counts(world.app.home)
    assert {hit.needle for hit in canary.search(world.app.home.root, stored)} == set(range(len(stored)))
    receipt = tmp_path / "receipt.json"
    shop("support", "member", "erase", f"shop:{CUSTOMER}", "--receipt", str(receipt), typed=own["手机号"])
    assert canary.search(world.app.home.root, stored) == []
    stays = facts.counts(world.app.home)
    assert bought[FactTable.ORDER_LINES] == LINES - WITHOUT_CUSTOMER
    assert bought[FactTable.ORDER_LINES] - stays[FactTable.ORDER_LINES] == sum(1 for _ in lines_of(data, CUSTOMER))
    assert bought[FactTable.SUBJECT_ATTRIBUTES] - stays[FactTable.SUBJECT_ATTRIBUTES] == 1
    told_of = [value for key, value in own.items() if key not in ("会员编号", "性别", "注册时间", "姓名")]
    assert canary.search(world.app.home.root, told_of) == []

    second, after = eligible(shop)
    assert after == before - 1
    states = {r["release_id"]: r["state"] for r in shop.json("marketing", "release", "list", "--view", "member_value")}
    assert states == {first: "withdrawn", second: "live"}
    assert canary.search(world.app.home.root, stored) == []

    assert shop.json("compliance", "audit", "verify")["problems"] == []
    check_elsewhere(shop, tmp_path)


def lines_of(path: Path, customer: str) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from (line for line in csv.DictReader(file) if line["CustomerID"] == customer)


def check_elsewhere(shop: Shell, tmp_path: Path) -> None:
    """The export alone, on another machine as it were: no home, no settings, another working folder."""
    export = tmp_path / "log.jsonl"
    shop("compliance", "audit", "export", str(export))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(export, elsewhere / "log.jsonl")
    whole = verified(elsewhere, "log.jsonl")
    assert (whole.returncode, json.loads(whole.stdout)["problems"]) == (0, [])

    content = (elsewhere / "log.jsonl").read_bytes()
    dice = random.Random(5)
    places = [0, len(content) // 2, len(content) - 2, *(dice.randrange(len(content)) for _ in range(40))]
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1
        (elsewhere / "changed.jsonl").write_bytes(changed)
        report = verify_file(elsewhere / "changed.jsonl")
        line = content.count(b"\n", 0, place) + 1
        assert not report.ok, place
        assert line in {problem.line for problem in report.problems}, (place, line, report.problems)
    found = verified(elsewhere, "changed.jsonl")
    assert found.returncode == 7
    assert line in {problem["line"] for problem in json.loads(found.stdout)["problems"]}


def verified(folder: Path, name: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pdms.audit.verifier", name, "--json"]
    return subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, check=False)


def test_the_search_for_stored_bytes_has_something_to_find(shop) -> None:
    person: Any = identities(["17850"])
    shop.world.ingest("shop-members", person)
    assert len(bytes_of_member(shop.world, "17850")) >= 15
