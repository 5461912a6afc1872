"""What proves a consent, on a real home: pages by digest, bundles, exports, imports with evidence, and asking again."""

import csv
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from common.world import World, people
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.audit.checkpoint import parse_signed_checkpoint
from pdms.audit.events import leaf_of
from pdms.audit.merkle import verify_inclusion
from pdms.clock import SHANGHAI
from pdms.consent import evidence as proofs
from pdms.consent import export as exports
from pdms.consent import service as consent
from pdms.consent.service import ImportRow
from pdms.crypto import verify_receipt
from pdms.errors import Conflict, Denied, InvalidInput, NotFound
from pdms.gate import service as gate
from pdms.taxonomy import ConsentState, ConsentType, GuardedAct, MemberId

PAGE = hashlib.sha256(b"<form>the page</form>").hexdigest()
DIGITS = "a13800138000b" + "0" * 51
"""A digest that happens to hold what looks like a phone number."""
PEOPLE = people(3)


@pytest.fixture
def shop(tmp_path: Path, database: str | None) -> Iterator[World]:
    made = World.make(tmp_path, database=database)
    assert made.ingest("shop-members", PEOPLE).created == 3
    yield made
    made.close()


def give(shop: World, member: MemberId, **more: Any) -> consent.ConsentReceipt:
    asked = {"purpose": "market_email", "state": ConsentState.GIVEN, "channel": "web"} | more
    return shop.run("support", gate.record_consent, member, **asked)


def code_of(shop: World, member: MemberId, **more: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        give(shop, member, **more)
    return caught.value.code


def test_T42574_a_bundle_holds_text_time_and_page_and_is_checked_with_the_public_key_alone(shop: World) -> None:
    member = shop.id_of("H00000")
    receipt = give(shop, member, evidence="click-7", ui_hash=PAGE)
    shop.app.sequence()
    found = shop.run("compliance", consent.bundle, record_id=receipt.record_id)
    said = json.loads(found.to_json())
    assert (said["evidence"], said["ui_hash"], said["channel"]) == ("click-7", PAGE, "web")
    assert said["happened_at"] == receipt.document["events"][0]["time"]
    notice = said["notice"]
    assert notice["purposes"]["market_email"]["text"] in said["text_shown"]
    assert [one["version"] for one in said["shown"]] == [said["receipt"]["notice"]["version"]]
    (key,) = shop.run("compliance", consent.receipt_keys)
    verify_receipt.check(said["receipt"], public_key=bytes.fromhex(key), notice=notice)
    log = said["log"]
    assert json.loads(log["event"])["refs"]["record"] == receipt.record_id
    head = parse_signed_checkpoint(log["checkpoint"].encode()).checkpoint
    leaf, path = leaf_of(bytes.fromhex(log["salt"]), log["event"].encode()), [bytes.fromhex(x) for x in log["path"]]
    verify_inclusion(leaf, index=log["leaf_index"], size=head.size, path=path, root=head.root)
    told = json.dumps(said, ensure_ascii=False)
    assert not [value for value in PEOPLE[0].values() if len(value) > 3 and value in told]
    with pytest.raises(NotFound):
        shop.run("compliance", consent.bundle, record_id="cns-" + "0" * 32)
    with pytest.raises(Denied):
        shop.run("support", consent.bundle, record_id=receipt.record_id)


def test_T42574_a_page_stands_beside_its_id_and_is_told_apart(shop: World) -> None:
    member = shop.id_of("H00000")
    assert proofs.parts(proofs.joined("click-1", PAGE)) == ("click-1", PAGE)
    assert proofs.parts(proofs.joined("", PAGE)) == ("", PAGE)
    assert proofs.parts("a/b") == ("a/b", "")
    give(shop, member, ui_hash=DIGITS)
    assert code_of(shop, member, purpose="market_sms", evidence="e-13800138000", ui_hash=PAGE) == "EVIDENCE_FORM"
    for wrong in (PAGE.upper(), PAGE[1:], "x" * 64, "13800138000"):
        assert code_of(shop, member, purpose="market_sms", ui_hash=wrong) == "UI_HASH_FORM"
    assert [item.evidence for item in shop.run("compliance", consent.history, member)] == [f"sha256:{DIGITS}"]


def test_NDR_62_7_one_click_stays_one_act_whatever_page_is_named_beside_it(shop: World) -> None:
    member = shop.id_of("H00000")
    separate = {"type": ConsentType.SEPARATE, "evidence": "click-1"}
    give(shop, member, purpose="partner", recipient="partner-insurance", ui_hash=PAGE, **separate)
    abroad = {"purpose": "crossborder", "recipient": "overseas-seller"}
    assert code_of(shop, member, **abroad, **separate) == "BUNDLED"
    assert code_of(shop, member, **abroad, **separate, ui_hash="0" * 64) == "BUNDLED"
    give(shop, member, **abroad, **(separate | {"evidence": "click-2"}), ui_hash=PAGE)


def test_an_import_carries_the_page_and_repeats_nothing(shop: World) -> None:
    member = shop.id_of("H00000")
    row = ImportRow(1, member, "market_email", "given", shop.clock.instant - timedelta(days=3), "EV-1", ui_hash=PAGE)
    bad = ImportRow(2, member, "market_sms", "given", shop.clock.instant - timedelta(days=3), "EV-2", ui_hash="13")
    for accepted, repeated in ((1, 0), (0, 1)):
        done = shop.run("ingest", consent.import_records, [row, bad], evidence_store="kept there")
        assert (done.accepted, done.repeated) == (accepted, repeated)
        assert [(one.row, one.field, one.rule) for one in done.rejected] == [(2, "ui_hash", "UI_HASH_FORM")]
    (item,) = shop.run("compliance", consent.history, member)
    said = shop.run("compliance", consent.bundle, record_id=item.record_id).document
    assert (said["source"], said["evidence"], said["ui_hash"], said["log"]) == ("import", "EV-1", PAGE, None)
    assert said["text_shown"]


def test_an_imported_file_may_name_the_page(shop: World) -> None:
    row = {"会员编号": "H00000", "目的": "邮件营销", "状态": "同意", "时间": "2026-06-01 10:00:00", "方式": "同意",
           "采集渠道": "网站", "证据编号": "EV-1", "页面摘要": PAGE}  # fmt: skip
    report = shop.ingest("shop-consents", [row, row | {"证据编号": "EV-2", "页面摘要": "not a digest"}])
    assert (report.accepted, [(one.row, one.rule) for one in report.rejections]) == (1, [(2, "UI_HASH_FORM")])
    (item,) = shop.run("compliance", consent.history, shop.id_of("H00000"))
    assert proofs.parts(item.evidence) == ("EV-1", PAGE)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_is_every_event_of_both_clocks_and_names_nobody(
    shop: World, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "ROWS", 2)  # several pages
    one, two = shop.id_of("H00000"), shop.id_of("H00001")
    give(shop, one, evidence="click-1", ui_hash=PAGE)
    give(shop, two)
    early = shop.clock.instant
    shop.pass_time(days=1)
    shop.run("support", consent.withdraw, one, purpose="market_email")
    old = [ImportRow(1, two, "market_sms", "given", early - timedelta(days=9), "EV-9")]
    shop.run("ingest", consent.import_records, old, evidence_store="kept there")

    def export(name: str, **clocks: Any) -> list[dict[str, str]]:
        path = tmp_path / name
        done = shop.run("compliance", consent.export_records, path=path, format=form, **clocks)
        content = path.read_bytes()
        assert done.sha256 == hashlib.sha256(content).hexdigest()
        assert path.stat().st_mode & 0o777 == 0o600
        text = content.decode()
        assert not [v for person in PEOPLE for v in person.values() if len(v) > 3 and v in text]
        rows = list(csv.DictReader(text.splitlines())) if form == "csv" else list(map(json.loads, text.splitlines()))
        assert len(rows) == done.records
        return rows

    whole = export("whole")
    assert [(row["subject_ref"], row["purpose"], row["state"]) for row in whole] == [
        (one.hex(), "market_email", "given"),
        (two.hex(), "market_email", "given"),
        (one.hex(), "market_email", "withdrawn"),
        (two.hex(), "market_sms", "given"),
    ]
    assert list(whole[0]) == list(exports.COLUMNS)
    assert (whole[0]["evidence"], whole[0]["ui_hash"]) == ("click-1", PAGE)
    assert [row["purpose"] for row in export("known", known=early)] == ["market_email", "market_email"]
    assert [row["purpose"] for row in export("happened", as_of=early)] == ["market_email", "market_email", "market_sms"]
    with pytest.raises(Conflict):
        shop.run("compliance", consent.export_records, path=tmp_path / "whole", format=form)
    with pytest.raises(InvalidInput):
        shop.run("compliance", consent.export_records, path=tmp_path / "nowhere" / "x", format=form)
    with pytest.raises(Denied):
        shop.run("support", consent.export_records, path=tmp_path / "theirs", format=form)
    assert not (tmp_path / "theirs").exists()
    with shop.unit() as uow:
        events = audit.list_events(uow.session, kinds=[EventKind.CONSENT_EXPORTED]).items
    assert [item.event.numbers["records"] for item in events] == [3, 2, 4]


def test_PIPL_10_consent_records_leave_only_as_a_second_officer_approved_and_once(
    shop: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(shop, shop.id_of("H00000"))
    now, path = shop.clock.instant, tmp_path / "out"
    units = shop.app.units(shop.actor("compliance"))

    def refused(**asked: Any) -> None:
        with pytest.raises(Denied) as denied:
            gate.export_consents(asked.pop("units", units), path=path, **asked)
        assert [one.code for one in denied.value.reasons] == ["APPROVAL_MISSING"]
        assert not path.exists()

    refused()
    shop.approve("compliance", GuardedAct.CONSENT_EXPORT, format="csv", as_of=now)
    for other in (
        {"format": "jsonl", "as_of": now},
        {"format": "csv"},
        {"format": "csv", "as_of": now, "known": now},
        {"format": "csv", "as_of": now - timedelta(seconds=1)},
        {"format": "csv", "as_of": now, "units": shop.app.units(shop.actor("second"))},
    ):
        refused(**other)
    path.touch()
    with pytest.raises(Conflict):
        gate.export_consents(units, path=path, format="csv", as_of=now)
    path.unlink()
    done = gate.export_consents(units, path=path, format="csv", as_of=now.astimezone(SHANGHAI))
    assert done.records == 1
    path.unlink()
    refused(format="csv", as_of=now)
    shop.approve("compliance", GuardedAct.CONSENT_EXPORT)

    def broken(_: Any) -> Iterator[tuple[int, bytes]]:
        yield 1, b"half a line"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exports, "_json_lines", broken)
    with pytest.raises(InvalidInput, match="No space left"):
        gate.export_consents(units, path=path)
    refused()


def test_an_export_that_breaks_off_leaves_no_file(shop: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give(shop, shop.id_of("H00000"))

    def broken(rows: Any) -> Iterator[tuple[int, bytes]]:
        yield 1, b"half a line"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exports, "_json_lines", broken)
    with pytest.raises(InvalidInput, match="No space left"):
        shop.run("compliance", consent.export_records, path=tmp_path / "out")
    assert list(tmp_path.glob("*out*")) == []


def test_an_export_has_its_name_only_when_it_is_whole(
    shop: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies there at each line is what a kill would leave."""
    give(shop, shop.id_of("H00000"))
    lines, seen = exports._json_lines, []

    def watched(rows: Any) -> Iterator[tuple[int, bytes]]:
        for line in lines(rows):
            yield line
            seen.append([(path.name == "out", path.stat().st_mode & 0o777) for path in tmp_path.glob("*out*")])

    monkeypatch.setattr(exports, "_json_lines", watched)
    before = os.umask(0)
    try:
        shop.run("compliance", consent.export_records, path=tmp_path / "out")
    finally:
        os.umask(before)
    assert seen == [[(False, 0o600)]]
    assert [path.name for path in tmp_path.glob("*out*")] == ["out"]


def test_NDR_22_5_who_was_asked_or_refused_is_not_asked_again_soon(shop: World) -> None:
    member = shop.id_of("H00000")
    days = shop.app.policy.purposes["market_email"].cool_down_days

    def open_now() -> dict[tuple[str, str], Any]:
        found = shop.run("support", consent.askable, member)
        return {(one.purpose, one.recipient): one for one in found}

    first = open_now()
    assert ("partner", "partner-insurance") in first
    assert ("order", "") not in first, "a contract asks for nothing"
    assert all(one.may_ask for one in first.values())
    asked = give(shop, member, state=ConsentState.REQUESTED)
    assert asked.document["events"][0]["type"] == "dpv:ConsentRequested"
    assert code_of(shop, member, state=ConsentState.REQUESTED) == "ASKED_LATELY"
    give(shop, member, state=ConsentState.REFUSED)
    refused_at = shop.clock.instant
    shop.pass_time(days=1)
    assert code_of(shop, member, state=ConsentState.REQUESTED) == "ASKED_LATELY"
    now = open_now()[("market_email", "")]
    assert (now.state, now.may_ask, now.not_before) == (
        ConsentState.REFUSED, False, refused_at + timedelta(days=days),
    )  # fmt: skip
    assert open_now()[("market_sms", "")].may_ask, "each channel by itself"
    shop.pass_time(days=days - 1)
    give(shop, member, state=ConsentState.REQUESTED)
    give(shop, member)
    assert code_of(shop, member, state=ConsentState.REQUESTED) == "ASKED_LATELY"


def test_ADL_43_each_channel_is_agreed_to_by_itself(shop: World) -> None:
    member = shop.id_of("H00000")
    give(shop, member, purpose="market_email")
    stands = {purpose for (purpose, _), held in shop.run("compliance", consent.states, member).items() if held}
    assert stands == {"market_email"}
    shop.pass_time(seconds=1)
    give(shop, member, purpose="market_sms")
    shop.pass_time(seconds=1)
    shop.run("support", consent.withdraw, member, purpose="market_email")
    found = {purpose: held.state for (purpose, _), held in shop.run("compliance", consent.states, member).items()}
    assert found == {"market_email": ConsentState.WITHDRAWN, "market_sms": ConsentState.GIVEN}
