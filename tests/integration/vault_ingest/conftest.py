"""A small real home: databases, key store, facts folder, and a policy of a few fields."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import pdms.audit.tables
import pdms.consent.tables
import pdms.db.tables
import pdms.ingest.tables
import pdms.vault.tables  # noqa: F401
from pdms.audit import service as audit
from pdms.clock import FixedClock
from pdms.crypto import create_root, new_root_text
from pdms.db import begin
from pdms.db.bases import AnonTable, HeldTable, MainTable
from pdms.db.parts import Databases, Part
from pdms.keystore import KeyStore
from pdms.policy.definitions import Controller, FieldDefinition, Policy, Source, SourceColumn
from pdms.settings import Home
from pdms.taxonomy import Language, Scope
from pdms.unit_of_work import Actor, ActorKind, UnitOfWork

INGEST = Actor("op-" + "1" * 32, ActorKind.OPERATOR, frozenset({Scope.INGEST}))
SUPPORT = Actor("op-" + "2" * 32, ActorKind.OPERATOR, frozenset({Scope.SUPPORT}))


def _field(
    name: str, code: int, normaliser: str, index: str | None, mask: str, max_length: int = 200
) -> FieldDefinition:
    texts = {Language.ZH: name, Language.EN: name}
    return FieldDefinition(name, texts, code, "basic", normaliser, index, mask, True, max_length)


FIELDS = {
    one.name: one
    for one in (
        _field("name", 1, "name", None, "name"),
        _field("phone", 2, "phone_cn", "phone", "phone"),
        _field("email", 3, "email", "email", "email"),
        _field("id_number", 4, "resident_id", "id_number", "id_number"),
        _field("birth_date", 5, "date", None, "all"),
        _field("gender", 6, "gender", None, "all"),
        _field("address", 7, "text", None, "address"),
        _field("login", 8, "text", "login", "login"),
    )
}


def column(name: str, target: str, **more: object) -> SourceColumn:
    return SourceColumn(name, target, **more)  # type: ignore[arg-type]


MEMBER_COLUMNS = (
    column("会员编号", "key.member"),
    column("姓名", "field.name"),
    column("手机", "field.phone"),
    column("邮箱", "field.email"),
    column("身份证", "field.id_number"),
    column("生日", "field.birth_date"),
    column("性别", "field.gender", values={"男": "male", "女": "female"}),
    column("地址", "field.address"),
    column("登录名", "field.login"),
    column("注册时间", "registered_at"),
    column("备注", "ignore"),
)


@dataclass
class SmallHome:
    """One home and ways into it."""

    home: Home
    policy: Policy
    clock: FixedClock
    keys: KeyStore
    engines: dict[str, object]
    actor: Actor = INGEST
    events: list[object] = field(default_factory=list)

    def unit(self, actor: Actor | None = None) -> UnitOfWork:
        return UnitOfWork(
            actor=actor or self.actor,
            clock=self.clock,
            policy=self.policy,
            home=self.home,
            append_events=self._append,
            anon_engine=self.engines["anon"],
            main_engine=self.engines["main"],
            held_engine=self.engines["held"],
            keys=self.keys,
            origin="pdms.test/audit",
        )

    def _append(self, events: object) -> None:
        with begin(self.engines["main"]) as session:
            audit.append(session, events)

    def with_sources(self, *sources: Source) -> "SmallHome":
        self.policy = replace(self.policy, sources=dict(self.policy.sources) | {s.name: s for s in sources})
        return self

    def sql(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with begin(self.engines["main"], read_only=True) as session:
            found = session.connection().exec_driver_sql(statement, values)
            return [tuple(one.isoformat() if isinstance(one, date) else one for one in row) for row in found]


def source(name: str, kind: str, *columns: SourceColumn, **more: object) -> Source:
    parts = {"system": "shop", "timezone": "Asia/Shanghai", "currency": None, "evidence": None, "defaults": {}} | more
    return Source(name=name, kind=kind, columns=columns, **parts)  # type: ignore[arg-type]


def small_policy() -> Policy:
    texts = {Language.ZH: "测试", Language.EN: "Test"}
    controller = Controller("shop", texts, texts, "a@example.com", "officer", "merchant", False, "cn", "small", texts)
    return Policy(
        digest="0" * 64, strict_separate=True, controller=controller, fields=FIELDS, categories={}, purposes={},
        recipients={}, roles={}, pipias={}, notices={},
        sources={"members": source("members", "members", *MEMBER_COLUMNS)},
        views={}, hierarchies={}, prefectures=(), calendars={}, segments={}, tests=(),
    )  # fmt: skip


def make_home(folder: Path, *, root_uri: str, fresh: bool = True, database: str | None = None) -> SmallHome:
    home = Home(folder)
    folder.mkdir(mode=0o700, exist_ok=True)
    home.facts.mkdir(exist_ok=True)
    home.spill.mkdir(exist_ok=True)
    clock = FixedClock(datetime(2026, 11, 22, 4, 0, tzinfo=UTC))
    from pdms.crypto import open_root

    parts = Databases(home, database)
    keys = KeyStore(parts.open(Part.KEYS), root=open_root(root_uri), clock=clock)
    engines = {"main": parts.open(Part.VAULT), "held": parts.open(Part.HELD), "anon": parts.open(Part.ANON)}
    if fresh:
        keys.initialise()
        MainTable.metadata.create_all(engines["main"])
        HeldTable.metadata.create_all(engines["held"])
        AnonTable.metadata.create_all(engines["anon"])
    return SmallHome(home, small_policy(), clock, keys, engines)


@pytest.fixture
def root_uri(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PDMS_TEST_ROOT", new_root_text())
    create_root("env:PDMS_TEST_ROOT")
    return "env:PDMS_TEST_ROOT"


@pytest.fixture
def small_home(tmp_path: Path, root_uri: str, database: str | None):
    made = make_home(tmp_path / "home", root_uri=root_uri, database=database)
    yield made
    for engine in (*made.engines.values(), made.keys.engine):
        engine.dispose()


@pytest.fixture
def make_source() -> Callable[..., Source]:
    return source


@pytest.fixture
def make_column() -> Callable[..., SourceColumn]:
    return column
