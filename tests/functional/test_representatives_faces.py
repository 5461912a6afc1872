"""Kin and guardians over HTTP and by command line, from intake to the package or the letter."""

import io
import zipfile

from common.shell import Shell

KIN = {"by": "kin", "system": "shop", "number": "H00280", "type": "access", "interest": "inheritance"}


def test_PIPL_49_kin_is_given_the_package_over_http_by_two_of_staff(shop):
    assert shop.post("marketing", "/v1/requests/representations", KIN).status_code == 403
    assert shop.post("support", "/v1/requests/representations", KIN | {"by": "member"}).status_code == 422
    nobodys = shop.post("support", "/v1/requests/representations", KIN | {"number": "NOBODY"})
    made = shop.post("support", "/v1/requests/representations", KIN)
    assert (made.status_code, set(made.json())) == (201, set(nobodys.json()))
    path = made.headers["location"]
    same = {"state", "due_on", "requester", "interest", "letter", "identity_method"}
    assert {name: made.json()[name] for name in same} == {name: nobodys.json()[name] for name in same}
    denied = shop.post("support", f"{path}/proof", {"evidence": "KP-2026-1"})
    assert (denied.status_code, denied.json()["reasons"][0]["code"]) == (403, "NOT_VERIFIED")
    proven = shop.post("compliance", f"{path}/proof", {"evidence": "KP-2026-1"})
    assert proven.json()["state"] == "assessing"
    assert "KP-2026-1" not in proven.text
    alone = shop.post("compliance", f"{path}/execution")
    assert (alone.status_code, alone.json()["reasons"][0]["code"]) == (403, "SELF_APPROVAL")
    link = shop.post("support", f"{path}/execution").json()["link"]["url"]
    package = shop.post(None, "/v1/packages/" + link.rsplit("/", 1)[1])
    with zipfile.ZipFile(io.BytesIO(package.content)) as archive:
        assert shop.members[280]["手机号"] in archive.read("data.json").decode()


def test_by_command_line_a_guardian_of_nobody_is_not_told_so_and_kin_is_refused_in_writing(shop):
    shell = Shell(shop.world)
    asked = shell.json("support", "request", "open", "shop:H00281", "--by", "guardian", "--type", "deletion")
    assert (asked["requester"], asked["state"]) == ("guardian", "identity_check")
    answer = shell("compliance", "request", "prove", asked["request_id"], "--evidence", "GP-2026-9", expect=4)
    assert "H00281" not in answer.text, "an adult has no guardian, and nobody is told so"
    kin = ("request", "open", "shop:H00281", "--by", "kin", "--type", "deletion", "--interest", "memory")
    request = shell.json("support", *kin)["request_id"]
    shell("compliance", "request", "prove", request, "--evidence", "KP-2026-9")
    refused = shell.json("compliance", "request", "refuse", request, "--code", "NO_AUTHORITY")
    assert "人民法院" in refused["letter"]["zh-CN"]
    assert "PIPL-49" in refused["letter"]["en"]
    shell("support", "request", "open", "H00281", "--by", "guardian", "--type", "access", expect=2)
