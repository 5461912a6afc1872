"""Notices shown to members, on both databases."""

from datetime import timedelta
from pathlib import Path

from common.world import World
from pdms.audit import service as audit
from pdms.audit.catalogue import EventKind
from pdms.consent import service as consent
from pdms.crypto import set_digest
from pdms.taxonomy import MemberId


def test_many_are_shown_a_notice_at_once_and_the_first_time_counts(tmp_path: Path, database: str | None) -> None:
    shop = World.make(tmp_path, database=database)
    first = [MemberId(bytes((number,)) * 16) for number in range(40, 0, -1)]
    more = [MemberId(bytes((number,)) * 16) for number in range(81)]
    shown = {"notice": "member-notice", "channel": "app"}
    assert shop.run("support", consent.deliver_notices, [*first, first[0]], **shown, evidence="one") == 40
    shop.pass_time(minutes=1)
    assert shop.run("support", consent.deliver_notices, more, **shown | {"channel": "web"}) == 41
    assert shop.run("support", consent.deliver_notices, more, **shown) == 0
    (told,) = shop.run("compliance", consent.deliveries, first[0])
    then = shop.clock.instant - timedelta(minutes=1)
    assert (told.notice_id, told.channel, told.delivered_at) == ("member-notice", "app", then)
    with shop.unit() as uow:
        rows = uow.session.connection().exec_driver_sql(
            "SELECT channel, evidence, count(*), min(seq) = max(seq) FROM notice_delivery"
            " GROUP BY channel, evidence ORDER BY channel"
        )
        assert [tuple(row) for row in rows] == [("app", "one", 40, 1), ("web", "", 41, 1)]
        told_of = [
            item.event.digest for item in audit.list_events(uow.session, kinds=[EventKind.NOTICE_DELIVERED]).items
        ]
        key = uow.keys.system_key("audit-digest")
        assert [told_of.count(set_digest(key, ids).hex()) for ids in (first, more)] == [1, 2]
    shop.close()
