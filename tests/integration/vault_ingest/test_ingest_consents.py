from datetime import timedelta

import pytest

from common.policies import SHIPPED
from pdms.clock import SHANGHAI
from pdms.consent import service as consent
from pdms.ingest import service as ingest
from pdms.policy.loader import load
from pdms.rights import service as rights
from pdms.taxonomy import Scope
from pdms.unit_of_work import Actor, ActorKind
from pdms.vault import service as vault

SUPPORT = Actor("op-" + "2" * 32, ActorKind.OPERATOR, frozenset({Scope.SUPPORT}))


@pytest.fixture
def starter_home(small_home):
    small_home.policy = load(SHIPPED)
    with small_home.unit() as uow:
        consent.publish_notices(uow)
    return small_home


def test_members_are_recorded_as_told_and_consents_imported_with_evidence(starter_home, tmp_path):
    members = tmp_path / "members.csv"
    members.write_text("会员编号,手机号,注册时间\nm1,13800000001,2025-02-01\nm2,13800000002,2025-02-01\n", "utf-8")
    assert ingest.ingest(starter_home.unit, source="shop-members", path=members).created == 2
    with starter_home.unit(SUPPORT) as uow:
        one = vault.find_external(uow, system="shop", external_id="m1")
        assert [item.notice_id for item in consent.deliveries(uow, one)] == ["member-notice"]
    path = tmp_path / "consents.csv"
    path.write_text(
        "会员编号,目的,状态,时间,方式,采集渠道,证据编号\n"
        "m1,邮件营销,同意,2025-03-01 10:00:00,同意,网站,E-1\n"
        "m1,邮件营销,撤回,2025-04-01 10:00:00,同意,网站,E-2\n"
        "m2,邮件营销,同意,2025-03-01 10:00:00,同意,网站,\n"
        "m9,邮件营销,同意,2025-03-01 10:00:00,同意,网站,E-3\n"
        "m2,没有的目的,同意,2025-03-01 10:00:00,同意,网站,E-4\n"
        "m2,邮件营销,同意,2027-03-01 10:00:00,同意,网站,E-5\n",
        "utf-8",
    )
    report = rights.ingest(starter_home.unit, source="shop-consents", path=path)
    assert (report.read, report.accepted, report.rejected) == (6, 2, 4)
    assert [(one.row, one.rule) for one in report.rejections] == [
        (3, "MISSING_VALUE"),
        (4, "UNKNOWN_MEMBER"),
        (5, "VALUE_UNKNOWN"),
        (6, "INSTANT_FUTURE"),
    ]
    with starter_home.unit(SUPPORT) as uow:
        assert consent.state_of(uow, one, purpose="market_email").state == "withdrawn"
        before = len(consent.history(uow, one))
    rights.ingest(starter_home.unit, source="shop-consents", path=path)
    with starter_home.unit(SUPPORT) as uow:
        assert len(consent.history(uow, one)) == before == 2


def test_a_no_of_a_day_without_a_time_outlasts_a_yes_of_that_day(starter_home, tmp_path):
    members, path = tmp_path / "members.csv", tmp_path / "consents.csv"
    members.write_text("会员编号,手机号,注册时间\nm1,13800000001,2025-02-01\n", "utf-8")
    ingest.ingest(starter_home.unit, source="shop-members", path=members)
    today = starter_home.clock.now().astimezone(SHANGHAI).date()
    path.write_text(
        "会员编号,目的,状态,时间,证据编号\n"
        "m1,邮件营销,同意,2025-03-01 10:00:00,E-1\n"
        "m1,邮件营销,撤回,2025-03-01,E-2\n"
        "m1,短信营销,同意,2025/3/1,E-3\n"
        f"m1,短信营销,拒绝,{today},E-4\n",
        "utf-8",
    )
    for _ in range(2):  # also where the day is not over: a row read later is still the same
        assert rights.ingest(starter_home.unit, source="shop-consents", path=path).rejected == 0
        starter_home.clock.instant += timedelta(minutes=5)
    with starter_home.unit(SUPPORT) as uow:
        one = vault.find_external(uow, system="shop", external_id="m1")
        assert consent.state_of(uow, one, purpose="market_email").state == "withdrawn"
        assert consent.state_of(uow, one, purpose="market_sms").state == "refused"
        assert len(consent.history(uow, one)) == 4
