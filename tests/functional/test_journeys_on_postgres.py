"""The three journeys on a home whose databases lie on PostgreSQL, through the command line alone; then a backup."""

import json
from pathlib import Path
from typing import Any

import pytest

from common.autumn import CAMPAIGN, SEGMENT
from common.shell import Answer, command_line
from common.world import NOW, POLICIES, ROOT_VARIABLE, bytes_of_rows, consents_of, orders_of, people
from pdms.crypto import new_root_text
from pdms.db.parts import Databases, Part
from pdms.settings import Home


class Line:
    """Command lines on one home, each as an operator in a role."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.tokens: dict[str, str] = {}

    def __call__(self, role: str | None, *words: str, typed: str = "", expect: int = 0, **environment: str) -> Answer:
        options = ["--policies", str(POLICIES), "--json"]
        token = self.tokens[role] if role else None
        answer = command_line(self.home, token, *options, *words, typed=typed, environment=environment, at=NOW)
        assert answer.code == expect, (words, answer.code, answer.text)
        return answer

    def write(self, name: str, rows: Any) -> str:
        """A file of the shop, or a document."""
        import csv

        path = self.folder / name
        if name.endswith(".yaml"):
            path.write_text(json.dumps(rows, ensure_ascii=False), "utf-8")
        else:
            with path.open("w", encoding="utf-8", newline="") as out:
                writer = csv.DictWriter(out, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        return str(path)


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setenv(ROOT_VARIABLE, new_root_text())
    return Line(tmp_path)


def test_the_three_journeys(line: Line, postgres_server: Any, tmp_path: Path) -> None:
    members = people(160)
    phone, erased = members[1]["手机号"], members[2]
    with postgres_server.bare() as url, postgres_server.bare() as second:
        made = line(None, "init", "--database", url, PDMS_ROOT_KEY=f"env:{ROOT_VARIABLE}").json
        line.tokens["admin"] = made["api_key"]
        assert {path.name for path in line.home.glob("*.db*")} == set()
        for role in ("ingest", "marketing", "support", "compliance"):
            issued = line("admin", "access", "create", f"test-{role}", "--role", role, "--trained-until", "2030-01-01")
            line.tokens[role] = issued.json["text"] if "text" in issued.json else issued.json["api_key"]
        orders, lines = orders_of(members)
        for source, rows in (
            ("shop-members", members),
            ("shop-orders", orders),
            ("shop-order-lines", lines),
            ("shop-consents", consents_of(members)),
        ):
            report = line("ingest", "ingest", source, line.write(f"{source}.csv", rows)).json
            assert (report["accepted"], report["rejected"]) == (len(rows), 0)

        # Marketing: a release, a segment, a campaign; nobody's name.
        line("compliance", "view", "build", "member_value")
        line("marketing", "segment", "save", line.write("segment.yaml", SEGMENT))
        line("marketing", "campaign", "create", line.write("campaign.yaml", CAMPAIGN))
        line("support", "consent", "withdraw", "shop:H00000", "--purpose", "market_email")
        line("marketing", "campaign", "send", "autumn", "--record")
        counts = line("compliance", "campaign", "officer-counts", "autumn").json["members"]
        assert counts["handed_over"] == 159
        line("marketing", "member", "show", "shop:H00001", expect=4)

        # The member: sees, corrects, withdraws, is erased.
        line("support", "member", "show", "shop:H00001")
        corrected = f"{phone}\n北京市朝阳区示例路8号2栋1203室"
        line("support", "member", "correct", "shop:H00001", "address", typed=corrected)
        line("support", "member", "erase", "shop:H00002", typed=erased["手机号"])
        line("support", "member", "show", "shop:H00002", expect=5)
        again = line("ingest", "ingest", "shop-members", line.write("again.csv", [erased])).json
        assert (again["accepted"], again["rejected"]) == (0, 1)

        # The officer: audits, and proves.
        line("admin", "sweep")
        history = line("compliance", "consent", "history", "shop:H00000").json
        assert "withdrawn" in [record["state"] for record in history]
        for words in ("report consent", "audit decisions", "audit list", "request list", "request held", "keys show"):
            line("compliance", *words.split())
        line("admin", "access", "list")
        line("marketing", "release", "list")
        line("marketing", "campaign", "counts", "autumn")
        line("compliance", "view", "build", "member_value")
        line("compliance", "audit", "verify")
        line("compliance", "audit", "export", str(tmp_path / "log.jsonl"))
        line(None, "audit", "verify", str(tmp_path / "log.jsonl"))

        # No value of anybody in the clear, in any part.
        parts = Databases(Home(line.home), url)
        for part in Part:
            engine = parts.open(part)
            held = bytes_of_rows(engine)
            engine.dispose()
            for member in members[:20]:
                clear = [member[name].encode() for name in ("手机号", "邮箱", "身份证号", "收货地址", "登录名")]
                assert not [value for value in clear if value in held], part

        # A backup, restored into another database.
        sealed, to = str(tmp_path / "b.sealed"), tmp_path / "restored"
        line("admin", "backup", "create", sealed)
        line("admin", "backup", "verify", sealed)
        line("admin", "backup", "restore", sealed, "--to", str(to), PDMS_DATABASE_URL=second)
        line("admin", "backup", "restore", sealed, "--to", str(tmp_path / "b"), PDMS_DATABASE_URL=second, expect=6)
        line.home = to
        line(
            "support", "member", "show", "shop:H00001", expect=3
        )  # who was let in before the backup is to be let in anew
        for one in line("admin", "access", "list").json:
            if (role := one["role"]) in line.tokens and role != "admin":
                issued = line("admin", "access", "issue", one["operator_id"]).json
                line.tokens[role] = issued["text"] if "text" in issued else issued["api_key"]
        found = line("support", "member", "find", "phone", typed=f"{phone}\n").json
        assert len(found) == 1
        line("support", "member", "show", "shop:H00002", expect=5)
        line("compliance", "audit", "verify")
