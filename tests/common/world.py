"""A real home with the starter policies, and the verbs of the story: shop files go in, people act, time passes.

Nothing is patched: every verb is a public service or a command line, on real databases in a temporary folder.
"""

import csv
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine, inspect

from common.policies import generous
from pdms.access import approvals
from pdms.access import service as access
from pdms.bootstrap import approving
from pdms.bootstrap.app import App
from pdms.bootstrap.initialise import initialise
from pdms.clock import FixedClock
from pdms.crypto import new_root_text
from pdms.ingest.service import IngestReport
from pdms.rights import service as rights
from pdms.settings import Settings
from pdms.taxonomy import GuardedAct, MemberId, Scope
from pdms.unit_of_work import Actor, ActorKind, UnitOfWork
from pdms.vault import service as vault

POLICIES = generous()
NOW = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)
TRAINED = date(2030, 1, 1)
ROOT_VARIABLE = "PDMS_TEST_ROOT"
SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英"
CATEGORIES = ("grocery", "fresh", "beverages", "apparel", "electronics", "beauty", "books", "household")
CITIES = ("北京市", "上海市", "浙江省杭州市", "四川省成都市", "广东省佛山市", "河北省保定市", "甘肃省天水市")


def resident_id(born: date, sequence: int, area: str = "330102") -> str:
    """An ID number with a valid check digit (GB 11643)."""
    body = f"{area}{born:%Y%m%d}{sequence % 1000:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]


def bytes_of_rows(engine: Engine) -> bytes:
    """Every value of every row of one database, one after the other."""
    found = []
    with engine.begin() as connection:
        for table in inspect(connection).get_table_names():
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}"):
                found += [one if isinstance(one, bytes) else str(one).encode() for one in row]
    return b"\n".join(found)


@dataclass
class World:
    """One home under test."""

    app: App
    folder: Path
    clock: FixedClock
    tokens: dict[str, str]
    """API key of each role."""
    admin_token: str
    sent: list[Any] = field(default_factory=list)

    @classmethod
    def make(
        cls,
        folder: Path,
        *,
        policies: Path = POLICIES,
        now: datetime = NOW,
        file_root: bool = False,
        database: str | None = None,
    ) -> "World":
        """Make a home below `folder` with one operator in each role; `database`: on PostgreSQL, None: in files."""
        os.environ.setdefault(ROOT_VARIABLE, new_root_text())
        settings = Settings(
            home=folder / "home",
            policies=policies,
            root_key=None if file_root else f"env:{ROOT_VARIABLE}",
            database_url=None if database is None else SecretStr(database),
        )
        clock = FixedClock(now)
        made = initialise(settings, clock=clock)
        assert made.first_key is not None
        app = App.open(settings, clock=clock)
        world = cls(app, folder, clock, {}, made.first_key.text)
        admin = app.authenticate(made.first_key.text)
        for role in ("compliance", "marketing", "ingest", "support"):
            issued = app.run(admin, access.create_operator, label=f"test-{role}", role=role, trained_until=TRAINED)
            world.tokens[role] = issued.text
        world.tokens["admin"] = made.first_key.text
        return world

    def actor(self, role: str) -> Actor:
        """The operator in a role, as their key authenticates."""
        return self.app.authenticate(self.tokens[role])

    def member(self, member_id: MemberId) -> Actor:
        """A member acting for themself."""
        return Actor(id="member", kind=ActorKind.MEMBER, scopes=frozenset({Scope.MEMBER}), member_id=member_id)

    @contextmanager
    def unit(self, role: str = "compliance") -> Iterator[UnitOfWork]:
        """One unit as the operator in a role."""
        with self.app.unit(self.actor(role)) as uow:
            yield uow

    def run(self, role: str, service: Any, *args: Any, **kwargs: Any) -> Any:
        """One operation of the identified side."""
        return self.app.run(self.actor(role), service, *args, **kwargs)

    def run_anon(self, role: str, service: Any, *args: Any, **kwargs: Any) -> Any:
        """One operation of the anonymised side."""
        return self.app.run_anon(self.actor(role), service, *args, **kwargs)

    def approve(self, role: str, act: GuardedAct, *, by: str = "second", **asked: str | None) -> str:
        """The operator in a role asks for an act, and a second officer approves it; its id."""
        if by not in self.tokens:
            made = self.app.run(
                self.actor("admin"), access.create_operator, label=by, role="compliance", trained_until=TRAINED
            )
            self.tokens[by] = made.text
        question = approving.ask(self.app, self.actor(role), act=act, **asked)
        self.run(by, approvals.approve, approval_id=question.approval_id)
        return question.approval_id

    def pass_time(self, **delta: float) -> None:
        """Move the clock on."""
        self.clock.instant += timedelta(**delta)

    def id_of(self, number: str, *, system: str = "shop") -> MemberId:
        """The member behind a shop number."""
        with self.unit("support") as uow:
            found = vault.find_external(uow, system=system, external_id=number)
        assert found is not None, number
        return found

    @property
    def in_files(self) -> bool:
        """Whether the databases are files; where they are not, nothing is claimed of bytes."""
        return self.app.main.dialect.name == "sqlite"

    def rows(self, engine: Engine, statement: str, *values: object) -> list[Any]:
        """What a statement finds in one database."""
        with engine.begin() as connection:
            return list(map(tuple, connection.exec_driver_sql(statement, values)))

    def bytes_of(self, engine: Engine, pattern: str) -> bytes:
        """All bytes of one database: of its files, or of every row where it has none."""
        if self.in_files:
            return b"".join(path.read_bytes() for path in self.app.home.root.glob(pattern))
        return bytes_of_rows(engine)

    def file(self, name: str, rows: Sequence[Mapping[str, object]]) -> Path:
        """Write a CSV of the shop."""
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    def ingest(self, source: str, rows: Sequence[Mapping[str, object]] | Path) -> IngestReport:
        """Take rows (or a file) in through the ingest operator."""
        path = rows if isinstance(rows, Path) else self.file(f"{source}.csv", rows)
        return rights.ingest(self.app.units(self.actor("ingest")), source=source, path=path)

    def close(self) -> None:
        """Let go of the home."""
        self.app.close()


def people(count: int, *, seed: int = 7, born: date | None = None) -> list[dict[str, str]]:
    """Member rows in the form of the source `shop-members`, all different; adults unless `born` says otherwise."""
    dice = random.Random(seed)
    rows = []
    for number in range(count):
        day = born or date(1960, 1, 1) + timedelta(days=dice.randint(0, 45 * 365 - 2000))
        rows.append(
            {
                "会员编号": f"H{number:05d}",
                "姓名": dice.choice(SURNAMES) + dice.choice(GIVEN) + dice.choice(GIVEN),
                "手机号": f"138{number:05d}{dice.randint(100, 999)}",
                "邮箱": f"m{number}.{dice.randint(1000, 9999)}@example.com",
                "身份证号": resident_id(day, number),
                "出生日期": day.isoformat(),
                "性别": dice.choice(("男", "女")),
                "收货地址": f"{dice.choice(CITIES)}示例路{dice.randint(1, 999)}号{dice.randint(1, 30)}栋{number}室",
                "登录名": f"login_{number}_{dice.randint(1000, 9999)}",
                "注册时间": (date(2025, 6, 1) - timedelta(days=dice.randint(0, 1200))).isoformat(),
            }
        )
    return rows


def orders_of(
    members: Sequence[Mapping[str, str]], *, seed: int = 11, until: datetime = NOW
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Orders and their lines (sources `shop-orders`, `shop-order-lines`): one to twelve a member within a year."""
    dice = random.Random(seed)
    orders: list[dict[str, object]] = []
    lines: list[dict[str, object]] = []
    for member in members:
        for _ in range(dice.choice((1, 1, 2, 2, 3, 5, 8, 12))):
            at = (until - timedelta(days=dice.randint(1, 360), seconds=dice.randint(0, 86_000))).replace(tzinfo=None)
            number, total = f"B{len(orders):07d}", 0.0
            for line in range(dice.randint(1, 3)):
                quantity, price = dice.randint(1, 4), dice.choice((9.9, 25.0, 59.5, 120.0, 299.0))
                total += quantity * price
                lines.append(
                    {
                        "会员编号": member["会员编号"],
                        "订单号": number,
                        "行号": line + 1,
                        "下单时间": f"{at:%Y-%m-%d %H:%M:%S}",
                        "商品编码": f"P{dice.randint(1, 300)}",
                        "商品名称": "示例商品",
                        "类目": dice.choice(CATEGORIES),
                        "数量": quantity,
                        "单价": price,
                        "金额": round(quantity * price, 2),
                    }
                )
            orders.append(
                {
                    "会员编号": member["会员编号"],
                    "订单号": number,
                    "下单时间": f"{at:%Y-%m-%d %H:%M:%S}",
                    "完成时间": f"{at:%Y-%m-%d %H:%M:%S}",
                    "订单金额": round(total, 2),
                    "状态": "已完成",
                    "是否开票": dice.choice(("是", "否", "否", "否")),
                }
            )
    return orders, lines


def consents_of(
    members: Sequence[Mapping[str, str]], purposes: Sequence[str] = ("分群分析", "邮件营销"), *, state: str = "同意"
) -> list[dict[str, object]]:
    """Imported consents (source `shop-consents`): every member to every purpose."""
    return [
        {
            "会员编号": member["会员编号"],
            "目的": purpose,
            "状态": state,
            "时间": "2026-03-01 10:00:00",
            "方式": "同意",
            "采集渠道": "网站",
            "证据编号": f"EV-{number:05d}-{place}",
        }
        for number, member in enumerate(members)
        for place, purpose in enumerate(purposes)
    ]


def populated(
    folder: Path, *, count: int = 400, file_root: bool = False, database: str | None = None
) -> tuple[World, list[dict[str, str]]]:
    """A world whose members have orders and have consented to segmentation and e-mail."""
    world = World.make(folder, file_root=file_root, database=database)
    members = people(count)
    orders, lines = orders_of(members)
    for source, rows in (
        ("shop-members", members),
        ("shop-orders", orders),
        ("shop-order-lines", lines),
        ("shop-consents", consents_of(members)),
    ):
        report = world.ingest(source, rows)
        assert report.rejected == 0, (source, report.by_rule)
    return world, members
