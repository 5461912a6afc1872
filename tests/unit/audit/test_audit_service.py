"""Append, sequence, prove, read, shred: on a real database."""

import threading
from datetime import timedelta

import pytest

from pdms.audit import service
from pdms.audit.catalogue import EventKind
from pdms.audit.events import Event, Outcome, leaf_of
from pdms.audit.merkle import verify_consistency, verify_inclusion
from pdms.audit.note import Note, NoteKey, cosign, verify_note
from pdms.audit.verifier import Assurance
from pdms.db import open_session
from pdms.errors import Conflict, InvalidInput, NotFound

MEMBER = "ab" * 16


def prove(log, event):
    with log.begin(read_only=True) as session:
        return service.prove(session, event.event_id)


def listed(log, **conditions):
    with log.begin(read_only=True) as session:
        return service.list_events(session, **conditions)


def test_an_empty_log_has_no_checkpoint_and_verifies(log):
    assert log.sequence() is None
    with log.begin(read_only=True) as session:
        assert service.checkpoint(session) is None
        with pytest.raises(NotFound):
            service.consistency(session, old_size=0)
    report = log.verify()
    assert report.ok
    assert report.size == 0


def test_sequencing_signs_a_head_once_and_says_none_when_nothing_is_new(log, event):
    log.append(event(), event())
    head = log.sequence()
    assert head is not None
    assert head.size == 2
    assert log.sequence() is None
    with log.begin(read_only=True) as session:
        stored = service.checkpoint(session)
    assert stored.checkpoint == head
    assert verify_note(stored.note, log.key) is None


def test_what_was_rolled_back_is_in_no_log(log, event):
    session = open_session(log.engine)
    service.append(session, [event()])
    session.rollback()
    session.close()
    assert log.sequence() is None
    assert listed(log).items == ()


@pytest.mark.parametrize("sizes", [(1,), (1, 1, 1), (16,), (15, 1, 1), (5, 300, 17), (5000,)])
def test_every_event_is_provable_under_the_newest_checkpoint(log, sizes):
    events = log.grow(*sizes)
    for index in {0, len(events) // 2, len(events) - 1}:
        proof = prove(log, events[index])
        assert proof.leaf_index == index
        assert proof.event == events[index].canonical()
        assert proof.checkpoint.size == len(events)
        verify_inclusion(
            leaf_of(proof.salt, proof.event),
            index=proof.leaf_index,
            size=proof.checkpoint.size,
            path=proof.path,
            root=proof.checkpoint.root,
        )
    assert log.verify().ok


def test_every_older_head_is_consistent_with_the_newest(log):
    sizes, roots = (3, 1, 12, 1, 40, 7), {0: None}
    total = 0
    for size in sizes:
        log.grow(size)
        total += size
        with log.begin(read_only=True) as session:
            roots[total] = service.checkpoint(session).root
    with log.begin(read_only=True) as session:
        for old, root in roots.items():
            proof = service.consistency(session, old_size=old)
            assert root is None or proof.old_root == root
            verify_consistency(
                old_size=old,
                old_root=proof.old_root,
                new_size=proof.checkpoint.size,
                new_root=proof.checkpoint.root,
                path=proof.path,
            )
        with pytest.raises(InvalidInput):
            service.consistency(session, old_size=total + 1)


def test_proof_of_an_unsequenced_unknown_or_malformed_id(log, event):
    committed = event()
    log.append(committed)
    with pytest.raises(Conflict) as early:
        prove(log, committed)
    assert early.value.code == "NOT_SEQUENCED"
    with log.begin(read_only=True) as session:
        with pytest.raises(NotFound):
            service.prove(session, "00" * 16)
        with pytest.raises(InvalidInput):
            service.prove(session, "no hex")


def test_a_receipt_can_carry_the_proof_as_json(log):
    event = log.grow(3)[1]
    proof = prove(log, event).to_json()
    assert set(proof) == {"event", "salt", "leaf_index", "path", "checkpoint"}
    assert proof["checkpoint"].startswith("pdms-test/audit\n3\n")


def test_the_same_event_cannot_be_appended_twice(log, event):
    once = event()
    log.append(once)
    with pytest.raises(Exception, match=r"(?i)unique"):
        log.append(once)


def test_the_error_of_the_database_shows_no_parameter(log, event):
    once = event(member_id=MEMBER)
    log.append(once)
    with pytest.raises(Exception, match=r"(?i)unique") as broken:
        log.append(once)
    assert once.event_id not in str(broken.value)
    assert MEMBER not in str(broken.value)
    assert str(bytes.fromhex(MEMBER)) not in str(broken.value)


def test_two_sequencers_at_once_put_each_event_once_into_one_tree(log, event):
    failures = []

    def work() -> None:
        try:
            for _ in range(10):
                log.append(event(), event(), event())
                log.sequence()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    report = log.verify()
    assert report.ok
    assert report.size == 120
    assert report.unsequenced == 0


def test_rows_that_come_late_become_leaves_after_those_already_there(log, event):
    """As on PostgreSQL, where a transaction may commit after a later row was sequenced."""
    late, *others = [event() for _ in range(6)]
    log.append(late, *others)
    with log.begin() as session:  # the late transaction is not visible yet
        row = service.store.rows(session, "SELECT * FROM audit_event WHERE seq = 3")[0]
        service.store.sql(session, "DELETE FROM audit_event WHERE seq = 3")
    assert log.sequence().size == 5
    with log.begin() as session:
        service.store.sql(session, f"INSERT INTO audit_event VALUES ({','.join('?' * len(row))})", tuple(row))
    assert log.verify().unsequenced == 1
    log.append(event())
    assert log.sequence().size == 7
    report = log.verify()
    assert report.ok
    assert report.size == 7
    places = {stored.seq: stored.leaf_index for stored in listed(log, newest_first=False).items}
    assert places == {1: 0, 2: 1, 4: 2, 5: 3, 6: 4, 3: 5, 7: 6}
    proof = prove(log, others[1])
    assert proof.leaf_index == 5
    assert proof.event == others[1].canonical()


def test_events_are_listed_by_condition_and_page(log, event, now):
    log.append(
        event(EventKind.PERMIT, purpose="segment", member_id=None),
        event(EventKind.DENIAL, purpose="segment", outcome=Outcome.DENIED, reasons=("NO_CONSENT",)),
        event(EventKind.DENIAL, purpose="market_email", outcome=Outcome.DENIED, actor="op-" + "00" * 16),
        event(EventKind.REVEAL, purpose="service", member_id=MEMBER, at=now + timedelta(days=1)),
    )

    def seqs(**conditions):
        return [stored.seq for stored in listed(log, **conditions).items]

    assert seqs() == [4, 3, 2, 1]
    assert seqs(newest_first=False) == [1, 2, 3, 4]
    assert seqs(kinds=[EventKind.PERMIT, EventKind.REVEAL]) == [4, 1]
    assert seqs(member_id=MEMBER) == [4]
    assert seqs(purpose="segment") == [2, 1]
    assert seqs(actor="op-" + "00" * 16) == [3]
    assert seqs(outcome=Outcome.DENIED, purpose="segment") == [2]
    assert seqs(since=now + timedelta(seconds=1)) == [4]
    assert seqs(until=now + timedelta(seconds=1)) == [3, 2, 1]
    assert listed(log, kinds=[EventKind.REVEAL]).items[0].leaf_index is None
    with log.begin(read_only=True) as session:
        assert [s.seq for s in service.decisions(session).items] == [3, 2, 1]
        assert [s.seq for s in service.decisions(session, denied=True, purpose="segment").items] == [2]
        assert [s.seq for s in service.decisions(session, denied=False).items] == [1]
        assert service.decisions(session, denied=True).items[1].event.reasons == ("NO_CONSENT",)


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("conditions", [{}, {"outcome": Outcome.DONE}])
def test_pages_join_to_the_whole_without_repeats(log, newest_first, conditions):
    log.grow(23)
    seen, after = [], None
    while True:
        page = listed(log, limit=5, after=after, newest_first=newest_first, **conditions)
        seen += [stored.seq for stored in page.items]
        if page.next is None:
            break
        after = page.next
    assert seen == sorted(range(1, 24), reverse=newest_first)


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_page_has_limits(log, limit):
    with pytest.raises(InvalidInput):
        listed(log, limit=limit)


def test_openings_die_with_the_member_but_for_the_minimal_proof(log, event, now):
    mine = [
        event(EventKind.REVEAL, member_id=MEMBER),
        event(EventKind.CONSENT_RECORDED, member_id=MEMBER),
        event(EventKind.SEND_INTENT, member_id=MEMBER),
        event(EventKind.ERASE_DONE, member_id=MEMBER),
    ]
    log.append(*mine, event())
    log.sequence()
    before = prove(log, mine[1])
    with log.begin() as session:
        result = service.shred_openings(session, MEMBER, now=now, actor="system")
    assert (result.shredded, result.kept) == (2, 2)
    log.sequence()
    report = log.verify()
    assert report.ok
    assert report.shredded == 2
    assert [stored.event.kind for stored in listed(log, member_id=MEMBER).items] == [
        EventKind.ERASE_DONE,
        EventKind.CONSENT_RECORDED,
    ]
    with pytest.raises(NotFound):
        prove(log, mine[0])
    assert prove(log, mine[1]).salt == before.salt
    told = listed(log, kinds=[EventKind.AUDIT_OPENINGS_SHREDDED]).items[0].event
    assert dict(told.numbers) == {"kept": 2, "openings": 2}
    assert told.member_id is None
    with log.begin() as session:
        assert service.shred_openings(session, MEMBER, now=now, actor="system").shredded == 0
    assert log.sequence() is None


def test_nothing_of_a_shredded_opening_stays_in_the_file(log, event, now):
    dying = event(EventKind.REVEAL, member_id=MEMBER, refs={"case": "feedface" * 4})
    log.append(dying)
    log.sequence()
    with log.begin(read_only=True) as session:
        salt = prove(log, dying).salt
    with log.begin() as session:
        service.shred_openings(session, MEMBER, now=now, actor="system")
    log.engine.dispose()  # closing the last connection checkpoints the WAL
    raw = b"".join(path.read_bytes() for path in log.folder.glob("log.db*"))
    for trace in (b"feedface", salt, bytes.fromhex(MEMBER), MEMBER.encode(), dying.event_id.encode()):
        assert trace not in raw


def test_an_opening_may_die_before_it_is_sequenced(log, event, now):
    log.append(event(EventKind.REVEAL, member_id=MEMBER))
    with log.begin() as session:
        service.shred_openings(session, MEMBER, now=now, actor="system")
    assert log.sequence().size == 2
    assert log.verify().ok


def test_a_witness_cosignature_is_kept_with_its_checkpoint(log, named):
    witness = named("witness.example")
    key = NoteKey(witness.name, witness.public_key, kind=4)
    log.grow(3)
    with log.begin(read_only=True) as session:
        head = service.checkpoint(session)
    cosigned = cosign(head.note, witness, at=1_795_000_000)
    for _ in range(2):  # twice is once
        with log.begin() as session:
            service.add_cosignature(session, cosigned=cosigned.render().encode(), witness=key)
    with log.begin(read_only=True) as session:
        stored = service.checkpoint(session)
    assert stored.note == cosigned
    assert log.verify().ok
    forged = cosign(Note(head.note.text.replace("\n3\n", "\n2\n"), head.note.signatures), witness, at=1)
    with log.begin() as session, pytest.raises(NotFound):
        service.add_cosignature(session, cosigned=forged.render().encode(), witness=key)


def test_assurance_says_self_consistent_only_without_an_earlier_checkpoint(log):
    log.grow(4)
    with log.begin(read_only=True) as session:
        earlier = service.checkpoint(session)
    log.grow(3)
    assert log.verify().assurance is Assurance.SELF_CONSISTENT
    assert log.verify(earlier=earlier).assurance is Assurance.EARLIER


def test_a_bulk_of_events_in_one_call_equals_many_calls(log, now):
    events = [Event(EventKind.PERMIT, now, "system", numbers={"n": n}) for n in range(9000)]
    log.append(*events)
    assert log.sequence().size == 9000
    assert log.verify().ok
    assert prove(log, events[8999]).leaf_index == 8999
