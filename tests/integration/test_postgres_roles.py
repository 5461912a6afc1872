"""Roles on a real PostgreSQL: what each login may read, what marketing's may do, and what the server writes down."""

import traceback
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from pydantic import SecretStr
from sqlalchemy.exc import IntegrityError

from common.postgres import Server
from common.world import World, people
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.bootstrap.app import App
from pdms.db import begin, insert_rows, parts
from pdms.db.parts import Databases, Part
from pdms.errors import Conflict, InvalidInput
from pdms.settings import Home, Settings
from pdms.vault import service as vault

ROLES = Path(parts.__file__).with_name("postgres_roles.sql").read_text("ascii")


@pytest.fixture(scope="module")
def shop(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, App, Server, str]]:
    """A home whose databases `init` made as owner and which is used by a login for each part, with members in it."""
    name = "roles"
    postgres_server.run(f"CREATE DATABASE {name}")
    postgres_server.run(ROLES, database=name)
    made = World.make(tmp_path_factory.mktemp("roles"), database=postgres_server.url(name, login="pdms_owner"))
    postgres_server.run(ROLES, database=name)
    urls = {f"database_url_{part.value}": SecretStr(postgres_server.url(name, login=part.schema)) for part in Part}
    made.app.close()
    made.app = App.open(
        Settings(home=made.app.home.root, policies=made.app.settings.policies, **urls), clock=made.clock
    )
    made.ingest("shop-members", people(20))
    yield made, made.app, postgres_server, name
    made.app.close()
    postgres_server.run(f"DROP DATABASE {name} WITH (FORCE)", *(f"DROP ROLE pdms_{r}" for r in ROLE_NAMES))


ROLE_NAMES = ("owner", "vault", "keys", "held", "anon")


def tables(server: Server, name: str) -> list[tuple[str, str]]:
    return [
        (schema, table)
        for schema, table in server.run(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2",
            database=name,
        )
    ]


def allowed(server: Server, name: str, login: str, statement: str) -> bool:
    with psycopg.connect(server.url(name, login=login), autocommit=True) as connection:
        try:
            connection.execute(statement)
        except errors.InsufficientPrivilege:
            return False
    return True


@pytest.mark.parametrize("part", Part)
def test_each_login_reads_the_tables_of_its_own_part_and_no_other(shop, part):
    _, _, server, name = shop
    found = tables(server, name)
    assert {schema for schema, _ in found} == {one.schema for one in Part}
    readable = {
        (schema, table)
        for schema, table in found
        if allowed(server, name, part.schema, f'SELECT * FROM {schema}."{table}"')
    }
    assert readable == {(schema, table) for schema, table in found if schema == part.schema}


def test_marketing_may_change_nothing_identified_and_append_events_only(shop):
    _, _, server, name = shop
    for schema, table in tables(server, name):
        if schema == Part.ANON.schema:
            continue
        for statement in (
            f'DELETE FROM {schema}."{table}"',
            f'TRUNCATE {schema}."{table}"',
            f'COPY {schema}."{table}" TO STDOUT',
        ):
            assert not allowed(server, name, "pdms_anon", statement), statement
        place = f'{schema}."{table}"'
        privileges = server.run(
            "SELECT string_agg(p, ',') FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE',"
            f" 'REFERENCES', 'TRIGGER', 'MAINTAIN']) AS p WHERE has_table_privilege('pdms_anon', '{place}', p)",
            database=name,
        )[0][0]
        assert privileges == ("INSERT" if table == "audit_event" else None), table
    for role in ("pdms_vault", "pdms_keys", "pdms_held", "pdms_owner"):
        assert not allowed(server, name, "pdms_anon", f"SET ROLE {role}")
    assert not allowed(server, name, "pdms_anon", "CREATE TABLE pdms_vault.audit_event_seen (seq bigint)")
    assert not allowed(server, name, "pdms_anon", "CREATE TABLE public.copied (seq bigint)")
    assert not allowed(server, name, "pdms_anon", "SELECT last_value FROM pdms_vault.audit_event_seq_seq")


def test_what_marketing_does_is_in_the_log_and_the_log_verifies(shop):
    world, app, *_ = shop
    with app.anon_unit(world.actor("marketing")) as uow:
        uow.record(EventKind.SEGMENT_SAVED, refs={"segment": "loyal"})
    app.sequence()
    with begin(app.main, read_only=True) as session:
        found = audit.list_events(session, kinds=[EventKind.SEGMENT_SAVED]).items
        key = audit.note_key(app.unit(world.actor("compliance")).log_signer)
        assert audit.verify(session, key=key).ok
    assert [one.event.refs["segment"] for one in found] == ["loyal"]


def test_the_parts_work_together_under_their_own_logins(shop):
    world, app, *_ = shop
    member = world.id_of("H00003")
    with app.unit(world.actor("support")) as uow:
        assert vault.masked(uow, member)["phone"].startswith("****")


def test_marketings_engine_refuses_by_name_what_its_role_may_not(shop):
    _, app, *_ = shop
    with pytest.raises(Conflict) as told, begin(app.audit_writer) as session:
        session.connection().exec_driver_sql("SELECT member_id FROM member")
    assert told.value.code == "DATABASE_ROLE"


def test_a_violated_constraint_tells_no_value_and_the_server_writes_none_down(shop):
    _, app, server, name = shop
    secret = "王秀英-13800138000"
    values = (secret, "2026-11-22T04")
    twice = "INSERT INTO reveal_count (actor, hour, reveals) SELECT ?, ?, 1 FROM generate_series(1, 2)"
    with pytest.raises(IntegrityError, match="23505") as broken, begin(app.main) as session:
        session.connection().exec_driver_sql(twice, values)
    seen = "".join(traceback.format_exception(broken.value))
    with pytest.raises(Exception, match="22007") as broken, begin(app.main) as session:
        session.connection().exec_driver_sql("UPDATE member SET turns_14 = ?", (secret,))
    seen += "".join(traceback.format_exception(broken.value))
    columns = (("actor", "text"), ("hour", "text"), ("reveals", "int4"))
    with pytest.raises(IntegrityError, match="23505") as broken, begin(app.main) as session:
        insert_rows(session.connection(), "reveal_count", columns, [(*values, 1), (*values, 2)])
    seen += "".join(traceback.format_exception(broken.value))
    assert "reveal_count_pkey" in seen
    assert secret not in seen
    assert secret not in server.log()
    with pytest.raises(errors.InvalidDatetimeFormat):  # any other role's errors are written down, as servers do
        server.run(f"SELECT '{secret}'::date", database=name)
    assert secret in server.log()


def test_errors_of_the_server_have_our_names(postgres_server, tmp_path):
    def told(url: str) -> str:
        with pytest.raises((Conflict, InvalidInput)) as error:
            Databases(Home(tmp_path), url).open(Part.VAULT).connect()
        assert "hidden" not in str(error.value)
        return error.value.code

    assert told(f"host={tmp_path} dbname=x password=hidden") == "DATABASE_UNREACHABLE"
    assert told(postgres_server.url("nosuchdatabase")) == "DATABASE_UNREACHABLE"
    assert told(postgres_server.url(login="nosuchrole")) == "DATABASE_UNREACHABLE"
    assert told("mysql://host/name") == "DATABASE_URL"


def test_a_password_is_not_noted_in_the_home(postgres, tmp_path):
    made = World.make(tmp_path, database=f"{postgres} password=a-secret-word")
    made.app.close()
    texts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert texts
    assert not any(b"a-secret-word" in text for text in texts)
    assert "a-secret-word" not in repr(made.app)
