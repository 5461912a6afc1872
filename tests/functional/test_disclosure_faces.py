"""An answer to an authority over HTTP and by command line: asked by one officer, approved by another, given once."""

from common.shell import Shell
from pdms.taxonomy import GuardedAct

SCOPE = {"authority": "tax", "categories": ["transaction"], "ticket": "CASE-31"}
PERIOD = {"since": "2026-01-01", "until": "2026-10-31"}


def test_PIPL_63_over_http_one_officer_alone_gives_nothing(shop):
    body = {"member_id": shop.id_of("H00285"), "scope": SCOPE | PERIOD}
    path = "/v1/requests/disclosures"
    assert shop.post("support", path, body).status_code == 403
    assert shop.post("compliance", path, body | {"scope": SCOPE}).status_code == 422, "no period"
    alone = shop.post("compliance", path, body)
    assert (alone.status_code, alone.json()["reasons"][0]["code"]) == (403, "APPROVAL_MISSING")
    question = shop.post("compliance", "/v1/operators/approvals", {"act": "disclosure"} | body)
    assert question.status_code == 201, question.text
    approval = f"/v1/operators/approvals/{question.json()['approval_id']}/approval"
    assert shop.post("compliance", approval).status_code == 403, "nobody approves their own"
    # a second officer does
    shop.world.approve("compliance", GuardedAct.CONSENT_EXPORT)
    assert shop.post("second", approval).status_code == 200
    given = shop.post("compliance", path, body)
    assert given.status_code == 200, given.text
    assert given.json()["facts"]["orders"]
    assert shop.members[285]["手机号"] not in given.text
    assert shop.post("compliance", path, body).status_code == 403, "once"


def test_by_command_line_the_same_options_ask_and_disclose(shop):
    shell = Shell(shop.world)
    scope = ("--authority", "court", "--category", "basic", "--ticket", "CASE-32")
    ask = ("access", "approvals", "ask", "disclosure", "--member", "shop:H00286")
    question = shell.json("compliance", *ask, *scope)
    shell("compliance", "request", "disclose", "shop:H00286", *scope, expect=4)
    if "second" not in shop.world.tokens:
        shop.world.approve("compliance", GuardedAct.CONSENT_EXPORT)
    shell("second", "access", "approvals", "approve", question["approval_id"])
    given = shell.json("compliance", "request", "disclose", "shop:H00286", *scope)
    assert given["identity"]["phone"].endswith(shop.members[286]["手机号"])
    abroad = ("--region", "us", "--foreign-approval", "MOJ-2026-7")
    assert shell.json("compliance", *ask, *scope, *abroad)["parameters"]["approval"] == "MOJ-2026-7"
