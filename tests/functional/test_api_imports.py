"""Files of the shop over HTTP: taken in once, reported by row, field and rule; refused unread where they may not be."""

import csv
import io

from common.world import people


def as_csv(rows: list[dict[str, str]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def send(api, role, content, source="shop-members"):
    return api.post(
        role, "/v1/members/imports", content=content, params={"source": source}, headers={"content-type": "text/csv"}
    )


def test_a_file_is_taken_in_once(api):
    rows = people(20)
    first = send(api, "ingest", as_csv(rows))
    assert first.status_code == 200, first.text
    assert (first.json()["created"], first.json()["rejected"]) == (20, 0)
    again = send(api, "ingest", as_csv(rows))
    assert again.json()["created"] == 0
    loads = api.get("compliance", "/v1/members/imports").json()
    assert first.json()["load_id"] in {load["load_id"] for load in loads}
    assert list(api.world.app.home.spill.iterdir()) == []
    found = api.post("support", "/v1/members/searches", {"field": "phone", "value": rows[3]["手机号"]})
    assert len(found.json()["members"]) == 1


def test_rejected_rows_are_told_by_number_field_and_rule(api):
    rows = people(6)
    rows[1]["手机号"] = "canary-no-phone"
    rows[4]["出生日期"] = "20245-01-01"
    report = send(api, "ingest", as_csv(rows))
    assert (report.json()["accepted"], report.json()["rejected"]) == (4, 2)
    assert "canary-no-phone" not in report.text
    path = f"/v1/members/imports/{report.json()['load_id']}/rejections"
    first = api.get("ingest", path, params={"limit": 1}).json()
    second = api.get("ingest", path, params={"limit": 1, "cursor": first["next"]}).json()
    assert [first["items"][0]["row"], second["items"][0]["row"]] == [2, 5]
    assert first["items"][0]["rule"] == "PHONE_FORM"


def test_files_that_do_not_fit_are_refused_whole(api):
    unclassified = [{**row, "血型": "A"} for row in people(3)]
    refused = send(api, "ingest", as_csv(unclassified))
    assert (refused.status_code, refused.json()["code"]) == (422, "UNKNOWN_COLUMN")
    assert send(api, "ingest", b"PAR1 broken parquet").status_code == 422
    assert send(api, "ingest", b"").status_code == 422
    assert send(api, "ingest", as_csv(people(1)), source="nothing").status_code == 404
    assert api.post("ingest", "/v1/members/imports", content=b"x").status_code == 422, "a source is needed"
    assert api.get("compliance", "/v1/members/imports").json() == []


def test_who_may_not_ingest_is_refused_before_anything_is_read(api):
    for role in ("marketing", "compliance", "support", "admin"):
        answer = send(api, role, as_csv(people(1)))
        assert answer.status_code == 403
