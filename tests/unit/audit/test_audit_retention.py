"""Floors of the law for openings, and their purge."""

from datetime import UTC, datetime, timedelta

import pytest

from pdms.audit import service
from pdms.audit.catalogue import EventKind, Retention
from pdms.audit.retention import floor
from pdms.errors import Conflict

MEMBER = "ab" * 16


def purge(log, retention, before, now):
    with log.begin() as session:
        return service.purge_openings(session, retention=retention, before=before, now=now, actor="system")


def test_csl_23_3_purge_of_network_logs_on_day_100_is_refused(log, event, now):
    log.append(event(EventKind.LOGIN_FAILED, member_id=None))
    log.sequence()
    later = now + timedelta(days=100)
    with pytest.raises(Conflict) as refused:
        purge(log, Retention.NETWORK_LOG, later, later)
    assert refused.value.code == "RETENTION_FLOOR"
    assert log.verify().shredded == 0


def test_network_logs_go_after_their_time_and_the_log_still_verifies(log, event, now):
    log.append(event(EventKind.LOGIN_FAILED, member_id=None), event(EventKind.DENIAL))
    log.sequence()
    later = now + timedelta(days=181)
    assert purge(log, Retention.NETWORK_LOG, later - timedelta(days=180), later) == 1
    assert purge(log, Retention.NETWORK_LOG, later - timedelta(days=180), later) == 0
    log.sequence()
    report = log.verify()
    assert report.ok
    assert (report.size, report.shredded) == (3, 1)


def test_pipl_56_2_records_of_two_years_are_kept(log, event, now):
    log.append(event(EventKind.PERMIT))
    later = now.replace(year=now.year + 2)
    with pytest.raises(Conflict):
        purge(log, Retention.RECORD, later, later)
    assert purge(log, Retention.RECORD, now + timedelta(days=1), now.replace(year=now.year + 3, day=24)) == 1


def test_IAM_2023_records_of_advertising_are_not_purged_after_two_years(log, event, now):
    told = (
        EventKind.CAMPAIGN_CREATED,
        EventKind.CAMPAIGN_STARTED,
        EventKind.CAMPAIGN_FINISHED,
        EventKind.CAMPAIGN_CANCELLED,
        EventKind.SEND_OUTCOME,
    )
    log.append(*(event(kind, member_id=None) for kind in told))
    log.sequence()
    later = now.replace(year=now.year + 2)
    for retention in Retention:
        with pytest.raises(Conflict) as refused:
            purge(log, retention, later, later)
        assert refused.value.code == "RETENTION_FLOOR"
    # Logs of half a year may go by then: nothing of the advertising is filed among them.
    assert purge(log, Retention.NETWORK_LOG, later - timedelta(days=180), later) == 0
    last = now.replace(year=now.year + 3, day=24)
    assert purge(log, Retention.RECORD, now + timedelta(days=1), last) == len(told)


def test_proof_counts_from_the_erasure_and_stays_for_the_living(log, event, now):
    log.append(
        event(EventKind.CONSENT_RECORDED, member_id=MEMBER),
        event(EventKind.CONSENT_RECORDED),
        event(EventKind.NOTICE_PUBLISHED, member_id=None),
        event(EventKind.ERASE_DONE, member_id=MEMBER, at=now.replace(year=now.year + 1)),
    )
    after = now.replace(year=now.year + 3, day=23)
    assert purge(log, Retention.PROOF, after.replace(year=after.year - 3), after) == 0
    after = now.replace(year=now.year + 4, day=23)
    assert purge(log, Retention.PROOF, after.replace(year=after.year - 3), after) == 2
    log.sequence()
    assert log.verify().ok


def test_what_explains_the_log_stays_as_long_as_the_log(log, now):
    with pytest.raises(Conflict):
        purge(log, Retention.LOG, now - timedelta(days=100_000), now)


def test_three_years_before_a_leap_day():
    assert floor(Retention.RECORD, now=datetime(2028, 2, 29, tzinfo=UTC)) == datetime(2025, 2, 28, tzinfo=UTC)
