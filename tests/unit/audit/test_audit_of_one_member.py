"""Finding the events of one member, however far apart they lie in the log: on SQLite each era has its own index."""

from pdms.audit import service, store
from pdms.audit.catalogue import EventKind
from pdms.audit.tables import ERA_BITS
from pdms.db import on_postgres

ERA = 1 << ERA_BITS
MEMBER, OTHER, NOBODY = "ab" * 16, "cd" * 16, "ef" * 16


def listed(log, **conditions):
    with log.begin(read_only=True) as session:
        return service.list_events(session, **conditions)


def test_a_members_events_are_found_in_every_era(log, event, now):
    """In the first and the last row of an era, in the first and the last era; then shredded, all that may be."""
    places = [1, 2, ERA - 1, ERA, ERA + 1, 2 * ERA, 2 * ERA + 1, 2 * ERA + 7]
    assert listed(log, member_id=MEMBER).items == ()
    events = []
    for seq in range(1, places[-1] + 1):
        whose = MEMBER if seq in places else OTHER if seq % 3 == 0 else None
        events.append(event(EventKind.REVEAL, member_id=whose))
    log.append(*events)
    log.sequence()

    for newest_first, expected in ((True, places[::-1]), (False, places)):
        page = listed(log, member_id=MEMBER, newest_first=newest_first, limit=3)
        rest = listed(log, member_id=MEMBER, newest_first=newest_first, limit=50, after=page.next)
        assert [one.seq for one in (*page.items, *rest.items)] == expected
    assert listed(log, member_id=NOBODY).items == ()

    with log.begin() as session:
        assert service.shred_openings(session, MEMBER, now=now, actor="system").shredded == len(places)
    assert listed(log, member_id=MEMBER).items == ()
    assert len(listed(log, member_id=OTHER, limit=10_000).items) == sum(one.member_id == OTHER for one in events)
    log.sequence()
    assert log.verify().ok


def test_no_row_is_read_to_find_them_but_the_members_own(log, event):
    log.append(*[event(EventKind.REVEAL, member_id=OTHER) for _ in range(3)], event(EventKind.REVEAL, member_id=MEMBER))
    with log.begin(read_only=True) as session:
        if on_postgres(session.connection()):
            names = store.rows(session, "SELECT indexdef FROM pg_indexes WHERE indexname = 'audit_event_member'")
            assert [name for (name,) in names if "(member_id)" in name]
            return
        where, values = store.of_member(session, bytes.fromhex(MEMBER))
        query = f"EXPLAIN QUERY PLAN SELECT body FROM audit_event WHERE {where} AND seq > 0 ORDER BY seq LIMIT 10"
        plan = [row[3] for row in store.rows(session, query, values)]
    assert "SEARCH e USING COVERING INDEX audit_event_member (<expr>=? AND member_id=?)" in plan
    assert not [step for step in plan if step.startswith("SCAN") and "audit_event" in step]
