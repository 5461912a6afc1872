"""Administrators and officers over HTTP: operators and their keys, the log, proofs, exports, policies, notices."""

import json
import shutil
import time
from datetime import timedelta
from types import SimpleNamespace

from common.shell import Shell, command_line
from common.world import POLICIES, people
from pdms.audit.checkpoint import parse_signed_checkpoint
from pdms.audit.note import NoteKey, cosign
from pdms.audit.verifier import Assurance, verify_file
from pdms.crypto import Signer
from pdms.gate import service as gate
from pdms.taxonomy import MemberId, Operation


def test_a_key_works_until_it_is_revoked_and_an_operator_until_disabled(api):
    made = api.post("admin", "/v1/operators", {"label": "support-b", "role": "support"})
    assert made.status_code == 201
    operator = made.headers["location"]
    key = {"Authorization": f"Bearer {made.json()['text']}"}
    assert api.get(key, "/v1/operators/me").json() == {
        "operator_id": made.json()["operator_id"],
        "role": "support",
        "scopes": ["support"],
    }
    further = api.post("admin", f"{operator}/keys", {"days": 30}).json()
    second = {"Authorization": f"Bearer {further['text']}"}
    other = api.post("admin", "/v1/operators", {"label": "support-c", "role": "support"}).headers["location"]
    for act, body in (("revocation", None), ("rotations", {})):  # a key of this operator, under another's path
        assert api.post("admin", f"{other}/keys/{made.json()['key_id']}/{act}", body).status_code == 404
    assert api.get(key, "/v1/operators/me").status_code == 200
    assert api.post("admin", f"{operator}/keys/{made.json()['key_id']}/revocation").status_code == 204
    assert api.get(key, "/v1/operators/me").status_code == 401
    assert api.get(second, "/v1/operators/me").status_code == 200
    assert api.post("admin", f"{operator}/trainings", {"until": "2027-06-30"}).status_code == 204
    shown = api.get("admin", operator).json()
    assert shown["trained_until"] == "2027-06-30"
    assert made.json()["text"] not in json.dumps(shown)
    assert api.post("admin", f"{operator}/disablement").status_code == 204
    assert api.get(second, "/v1/operators/me").status_code == 401
    assert api.get("admin", operator).json()["disabled"] is True


def test_keys_of_the_wrong_form_say_no_more_than_unknown_ones(api):
    texts = {
        api.get({"Authorization": header}, "/v1/operators").text
        for header in (
            "",
            "Basic YTpi",
            "Bearer",
            "Bearer x",
            f"Bearer pdms_key_{'a' * 32}_{'b' * 43}",
            "Bearer " + "y" * 9000,
        )
    }
    assert len(texts) == 1


def test_officers_read_the_log_in_pages(api):
    for _ in range(5):
        api.get("marketing", "/v1/requests")
    everything = api.get("compliance", "/v1/audit/events", params={"limit": 1000}).json()
    assert everything["next"] is None
    seen, cursor = [], None
    while True:
        params = {"limit": 3} | ({"cursor": cursor} if cursor is not None else {})
        part = api.get("compliance", "/v1/audit/events", params=params).json()
        seen += [event["event_id"] for event in part["items"]]
        if (cursor := part["next"]) is None:
            break
    assert seen == [event["event_id"] for event in everything["items"]]
    denied = api.get("compliance", "/v1/audit/decisions", params={"denied": "true"}).json()["items"]
    assert len(denied) == 5
    assert {event["refs"]["route"] for event in denied} == {"requests.list-requests"}
    assert api.get("compliance", "/v1/audit/events", params={"kind": "no.such"}).status_code == 422
    backwards = {"since": "2026-06-02T00:00:00Z", "until": "2026-06-01T00:00:00Z"}
    for path in ("/v1/audit/events", "/v1/audit/decisions"):
        assert api.get("compliance", path, params={"purpose": "market_emial"}).status_code == 422
        assert api.get("compliance", path, params=backwards).status_code == 422
        assert api.get("compliance", path, params={"purpose": "market_push"}).status_code == 200


def test_events_are_sequenced_while_the_api_serves_and_proved(api):
    api.get("marketing", "/v1/requests")
    event = api.get("compliance", "/v1/audit/decisions").json()["items"][0]
    for _ in range(200):
        proof = api.get("compliance", f"/v1/audit/events/{event['event_id']}/proof")
        if proof.status_code == 200:
            break
        assert proof.json()["code"] == "NOT_SEQUENCED"
        time.sleep(0.05)
    assert proof.status_code == 200, proof.text
    assert json.loads(proof.json()["event"])["id"] == event["event_id"]
    head = api.get("compliance", "/v1/audit/checkpoint").json()
    assert head["size"] > proof.json()["leaf_index"]
    report = api.post("compliance", "/v1/audit/verifications", {"checkpoint": head["note"]}).json()
    assert (report["problem_count"], report["assurance"]) == (0, "extends the earlier checkpoint")
    broken = api.post("compliance", "/v1/audit/verifications", {"checkpoint": "no note"})
    assert broken.status_code == 422


def test_a_cosignature_is_taken_in_and_exports_carry_it(api, tmp_path):
    api.world.app.sequence()
    signer = Signer.generate()
    key = NoteKey("witness.example", signer.public_key, 4)
    witness = SimpleNamespace(name=key.name, public_key=signer.public_key, sign=signer.sign)
    head = api.get("compliance", "/v1/audit/checkpoint").json()["note"]
    cosigned = cosign(parse_signed_checkpoint(head.encode()).note, witness, at=1_795_000_000).render()
    body = {"checkpoint": cosigned, "witness": key.vkey}
    other = NoteKey("witness.example", Signer.generate().public_key, 4)
    ours = NoteKey(key.name, signer.public_key)
    wrong = {
        "unsigned": {"checkpoint": head},
        "another's": {"witness": other.vkey},
        "no note": {"checkpoint": "no note"},
        "no key": {"witness": "no key"},
        "of a log": {"witness": ours.vkey},
    }
    for name, part in wrong.items():
        assert api.post("compliance", "/v1/audit/cosignatures", body | part).status_code == 422, name
    assert api.post("marketing", "/v1/audit/cosignatures", body).status_code == 403
    taken = api.post("compliance", "/v1/audit/cosignatures", body)
    assert (taken.status_code, taken.json()["note"]) == (200, cosigned)
    file = tmp_path / "log.jsonl"
    file.write_bytes(api.post("compliance", "/v1/audit/exports").content)
    assert verify_file(file, witness=key).assurance == Assurance.WITNESSED
    assert list(api.world.app.home.spill.iterdir()) == [], "nothing stays behind"


def test_openings_are_shredded_when_their_time_is_over_and_not_before(api):
    for _ in range(2):
        assert api.http.get("/v1/requests", headers={"Authorization": "Bearer wrong"}).status_code == 401
    before = api.world.clock.instant + timedelta(seconds=1)
    body = {"retention": "network_log", "before": before.isoformat()}
    early = api.post("compliance", "/v1/audit/purges", body)
    assert (early.status_code, early.json()["code"]) == (409, "RETENTION_FLOOR")
    api.world.pass_time(days=200)
    assert api.post("marketing", "/v1/audit/purges", body).status_code == 403
    for retention in ("log", "all"):
        assert api.post("compliance", "/v1/audit/purges", body | {"retention": retention}).status_code == 422
    assert api.post("compliance", "/v1/audit/purges", body).json() == {"openings": 2}
    assert api.post("compliance", "/v1/audit/purges", body).json() == {"openings": 0}


def test_decisions_are_decided_again(api):
    world = api.world
    world.ingest("shop-members", people(1))
    member, purpose = api.id_of("H00000"), "market_email"
    allowed = api.post("shop", "/v1/consents", {"member_id": member, "purpose": purpose, "evidence": "UI-1"})
    assert allowed.status_code == 201, allowed.text
    with world.unit() as uow:
        gate.permit(uow, member_id=MemberId(bytes.fromhex(member)), purpose=purpose, operation=Operation.SEND)
    start = world.clock.instant - timedelta(days=1)
    period = {"since": start.isoformat(), "until": (start + timedelta(days=2)).isoformat()}
    world.pass_time(hours=1)
    told = api.post("compliance", "/v1/audit/replays", period).json()
    assert (told["decisions"] > 0, told["differing"], told["differences"]) == (True, 0, [])
    with world.app.main.begin() as connection:
        connection.exec_driver_sql("UPDATE consent_record SET state = 'refused'")
    told = api.post("compliance", "/v1/audit/replays", period).json()
    assert [(one["why"], one["was"], one["would_be"]) for one in told["differences"]] == [
        ("DECISION", "permitted", "denied")
    ]
    assert api.post("marketing", "/v1/audit/replays", period).status_code == 403
    backwards = {"since": period["until"], "until": period["since"]}
    assert api.post("compliance", "/v1/audit/replays", backwards).status_code == 422


def test_the_log_is_exported_and_checked_elsewhere(api, tmp_path):
    exported = api.post("compliance", "/v1/audit/exports")
    assert exported.status_code == 200
    assert exported.headers["content-type"].startswith("application/jsonl")
    file = tmp_path / "log.jsonl"
    file.write_bytes(exported.content)
    assert verify_file(file).ok
    assert list(api.world.app.home.spill.iterdir()) == [], "nothing stays behind"


def test_a_pack_for_a_regulator_is_made_and_checked_elsewhere(api, tmp_path):
    api.world.app.sequence()
    period = {"since": "2026-01-01T00:00:00+08:00", "until": "2027-01-01T00:00:00+08:00"}
    made = api.post("compliance", "/v1/audit/packs", period)
    assert made.status_code == 200
    assert made.headers["content-type"] == "application/zip"
    file = tmp_path / "pack.zip"
    file.write_bytes(made.content)
    report = verify_file(file)
    assert (report.problems, report.first) == ((), 0)
    assert report.files > 8
    assert list(api.world.app.home.spill.iterdir()) == [], "nothing stays behind"
    backwards = {"since": period["until"], "until": period["since"]}
    assert api.post("compliance", "/v1/audit/packs", backwards).status_code == 422
    assert api.post("marketing", "/v1/audit/packs", period).status_code == 403


def test_an_explanation_tells_what_is_in_force_and_a_draft_only_when_asked(api, tmp_path):
    world, folder = api.world, tmp_path / "next"
    shutil.copytree(POLICIES, folder)
    path = folder / "policy.yaml"
    text = path.read_text("utf-8")
    assert text.count("en: Anonymised audience analysis") == 1
    path.write_text(text.replace("en: Anonymised audience analysis", "en: Drafted analysis"), "utf-8")
    words, draft = ("policy", "explain", "segment"), {"PDMS_POLICIES": str(folder)}

    def told(*more: str) -> str:
        answer = command_line(world.app.home.root, world.tokens["compliance"], *words, *more, environment=draft)
        assert answer.code == 0, answer.text
        return answer.out

    assert "Drafted analysis" not in told()
    assert "Drafted analysis" in told("--draft")


def test_what_other_documents_would_change_is_told_by_both_faces(api, tmp_path):
    shell = Shell(api.world)
    same = api.get("compliance", "/v1/policies/difference").json()
    assert (same["same"], same["rules"]) == (True, [])
    assert "same digest" in shell("compliance", "policy", "diff").out
    folder = tmp_path / "next"
    shutil.copytree(POLICIES, folder)
    path = folder / "views" / "member_value.yaml"
    text = path.read_text("utf-8")
    assert "min_cell: 50" in text
    path.write_text(text.replace("min_cell: 50", "min_cell: 60"), "utf-8")
    told = {"path": "views.member_value.min_cell", "before": "50", "after": "60", "effect": "stronger"}
    found = shell.json("compliance", "policy", "diff", str(folder))
    assert (found["same"], found["rules"]) == (False, [told])
    assert found["after"] != found["before"]
    shown = shell("compliance", "policy", "diff", str(folder), "--language", "zh-CN").out
    assert "views.member_value.min_cell" in shown
    assert "收紧" in shown
    shell("marketing", "policy", "diff", str(folder), expect=4)
    assert api.get("marketing", "/v1/policies/difference").status_code == 403


def test_the_rules_are_told_to_everybody_known(api):
    policy = api.get("marketing", "/v1/policies/current").json()
    assert policy["digest"] == api.world.app.policy.digest
    purposes = api.get("support", "/v1/policies/purposes", params={"limit": 3}).json()
    assert len(purposes["items"]) == 3
    rest = api.get("support", "/v1/policies/purposes", params={"cursor": purposes["next"]}).json()
    assert {p["purpose"] for p in purposes["items"] + rest["items"]} == set(policy["purposes"])
    english = api.get("shop", "/v1/policies/purposes/segment/explanation", params={"language": "en"}).json()
    assert "PIPL" in english["text"]
    assert api.get("shop", "/v1/policies/purposes/nothing/explanation").status_code == 404
    notices = api.get("marketing", "/v1/notices").json()["items"]
    assert {n["notice_id"] for n in notices} == set(api.world.app.policy.notices)
    one = api.get("shop", f"/v1/notices/{notices[0]['version']}").json()
    assert one == notices[0]


def test_reading_a_report_is_in_the_log(api):
    assert api.get("compliance", "/v1/reports/consent").json() == []
    assert api.get("compliance", "/v1/reports/held-records").json() == []
    log = api.get("compliance", "/v1/audit/events", params={"kind": "report.read"}).json()["items"]
    assert [event["refs"]["report"] for event in log] == ["consent"]


def test_what_is_due_is_done_on_request(api):
    assert api.post("support", "/v1/requests/sweeps").status_code == 403
    swept = api.post("compliance", "/v1/requests/sweeps")
    assert swept.status_code == 200, swept.text
    assert swept.json()["erasures_finished"] == 0
    log = api.get("compliance", "/v1/audit/events", params={"kind": "sweep.closed"}).json()["items"]
    assert len(log) == 1


def test_administrators_see_the_state_of_the_keys_and_no_key(api):
    shown = api.get("admin", "/v1/reports/keys").json()
    assert shown["member_keys"] == 0
    assert shown["root"].startswith("env:")
