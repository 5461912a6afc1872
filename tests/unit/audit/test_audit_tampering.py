"""Whatever is changed in the database behind the log's back is found, and placed."""

import pytest

from pdms.audit import service
from pdms.audit.events import leaf_of
from pdms.audit.tiles import Edge, edge_keys
from pdms.audit.verifier import Assurance
from pdms.crypto import Signer


def found(log, **options):
    report = log.verify(**options)
    assert report.assurance is (Assurance.BROKEN if report.problems else report.assurance)
    return [(problem.code, problem.leaf) for problem in report.problems]


@pytest.fixture
def grown(log):
    log.grow(10, 25, 2)  # leaves 0-36, row numbers 1-37
    assert found(log) == []
    return log


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "UPDATE audit_event SET body = replace(CAST(body AS TEXT), 'segment', 'service') WHERE seq = 6",
            "OPENING_DIFFERS",
        ),
        (
            "UPDATE audit_event SET body = CAST(replace(body, 'segment', 'service') AS BLOB) WHERE seq = 6",
            "OPENING_DIFFERS",
        ),
        ("UPDATE audit_event SET leaf_salt = zeroblob(16) WHERE seq = 6", "OPENING_DIFFERS"),
        ("UPDATE audit_event SET leaf = zeroblob(32) WHERE seq = 6", "LEAF_DIFFERS"),
        ("UPDATE audit_event SET purpose = 'service' WHERE seq = 6", "COLUMN_DIFFERS"),
        ("UPDATE audit_event SET kind = 'permit' WHERE seq = 6", "COLUMN_DIFFERS"),
        ("UPDATE audit_event SET at = at + 1 WHERE seq = 6", "COLUMN_DIFFERS"),
        ("UPDATE audit_event SET member_id = zeroblob(16) WHERE seq = 6", "COLUMN_DIFFERS"),
        ("UPDATE audit_event SET member_id = NULL WHERE seq = 6", "COLUMN_DIFFERS"),
        ("UPDATE audit_event SET event_id = zeroblob(16) WHERE seq = 6", "COLUMN_DIFFERS"),
        ("UPDATE audit_event SET body = NULL WHERE seq = 6", "OPENING_PARTIAL"),
        ("DELETE FROM audit_event WHERE seq = 6", "EVENT_MISSING"),
    ],
)
def test_a_changed_row_is_found_at_its_leaf(grown, statement, expected):
    grown.tamper(statement)
    assert (expected, 5) in found(grown)
    assert {leaf for _, leaf in found(grown)} <= {5, None}


def test_an_opening_shredded_without_the_event_that_says_so(grown):
    grown.tamper(
        "UPDATE audit_event SET event_id = NULL, kind = NULL, at = NULL, member_id = NULL, purpose = NULL,"
        " leaf_salt = NULL, body = NULL WHERE seq = 6"
    )
    assert found(grown) == [("OPENINGS_MISSING", None)]


def test_two_events_exchanged(grown):
    columns = "event_id, kind, at, member_id, purpose, leaf, leaf_salt, body"
    with grown.begin() as session:
        rows = service.store.rows(session, f"SELECT {columns} FROM audit_event WHERE seq IN (6, 7) ORDER BY seq")
        service.store.sql(session, "UPDATE audit_event SET event_id = NULL WHERE seq IN (6, 7)")
        put = f"UPDATE audit_event SET ({columns}) = (?, ?, ?, ?, ?, ?, ?, ?) WHERE seq = ?"
        service.store.sql(session, put, [(*rows[1], 6), (*rows[0], 7)])
    assert found(grown) == [("LEAF_DIFFERS", 5), ("LEAF_DIFFERS", 6)]


def test_an_event_exchanged_for_a_whole_new_one_with_its_tile(grown, event):
    new, salt = event(), bytes(16)
    body = new.canonical()
    leaf = leaf_of(salt, body)
    with grown.begin() as session:
        service.store.sql(
            session,
            "UPDATE audit_event SET event_id = ?, kind = ?, member_id = ?, purpose = ?,"
            " leaf = ?, leaf_salt = ?, body = ? WHERE seq = 6",
            (
                bytes.fromhex(new.event_id),
                new.kind.value,
                bytes.fromhex(new.member_id),
                new.purpose,
                leaf,
                salt,
                body,
            ),
        )
        tile = service.store.read_tiles(session, [(0, 0)])[0, 0]
        service.store.write_tiles(session, {(0, 0): tile[: 5 * 32] + leaf + tile[6 * 32 :]})
    codes = {code for code, _ in found(grown)}
    assert codes == {"ROOT_DIFFERS", "TILE_DIFFERS"}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE audit_tile SET digests = zeroblob(64) WHERE level = 1", ("TILE_DIFFERS", 0)),
        ("UPDATE audit_tile SET digests = zeroblob(512) WHERE level = 0 AND position = 1", ("LEAF_DIFFERS", 16)),
        ("DELETE FROM audit_tile WHERE level = 0 AND position = 1", ("TILE_MISSING", 16)),
        ("DELETE FROM audit_tile WHERE level = 1", ("TILE_DIFFERS", 0)),
        ("INSERT INTO audit_tile VALUES (0, 99, zeroblob(32))", ("TILE_STRAY", 37)),
        ("UPDATE audit_checkpoint SET root = zeroblob(32) WHERE size = 35", ("CHECKPOINT_DIFFERS", None)),
        (
            "UPDATE audit_checkpoint SET note = replace(note, 'pdms-test', 'pdms-tess') WHERE size = 35",
            ("NOTE_UNSIGNED", None),
        ),
        ("UPDATE audit_checkpoint SET note = '' WHERE size = 35", ("NOTE_TEXT", None)),
        ("UPDATE audit_checkpoint SET size = 36 WHERE size = 35", ("CHECKPOINT_DIFFERS", None)),
        ("DELETE FROM audit_checkpoint WHERE size = 37", ("CHECKPOINT_MISSING", None)),
        ("UPDATE audit_run SET length = 36", ("CHECKPOINT_BEYOND", 36)),
        ("UPDATE audit_run SET length = 38", ("EVENT_MISSING", 37)),
    ],
)
def test_a_changed_tree_or_checkpoint_is_found(grown, statement, expected):
    grown.tamper(statement)
    assert expected in found(grown)


def test_the_last_events_cut_off_with_their_checkpoint_need_an_earlier_checkpoint(grown):
    with grown.begin(read_only=True) as session:
        earlier = service.checkpoint(session)
    cut_to_35 = [
        "DELETE FROM audit_event WHERE seq > 35",
        "DELETE FROM audit_checkpoint WHERE size > 35",
        "UPDATE audit_run SET length = 35",
        "UPDATE audit_tile SET digests = substr(digests, 1, 96) WHERE level = 0 AND position = 2",
    ]
    for statement in cut_to_35:
        grown.tamper(statement)
    assert found(grown) == []
    assert grown.verify().assurance is Assurance.SELF_CONSISTENT
    assert found(grown, earlier=earlier) == [("LOG_SHORTER", 35), ("CHECKPOINT_BEYOND", 35)]


def test_a_log_written_anew_by_the_owner_of_the_key_needs_an_earlier_checkpoint(grown):
    with grown.begin(read_only=True) as session:
        earlier = service.checkpoint(session)
    for table in ("audit_event", "audit_run", "audit_tile", "audit_checkpoint"):
        grown.tamper(f"DELETE FROM {table}")
    grown.grow(40, 1)
    assert found(grown) == []
    assert ("HISTORY_DIFFERS", None) in found(grown, earlier=earlier)


def test_another_key_is_not_the_logs(grown, named):
    stranger = service.note_key(named(grown.signer.name))
    with grown.begin(read_only=True) as session:
        report = service.verify(session, key=stranger)
    assert {problem.code for problem in report.problems} == {"NOTE_UNSIGNED"}
    assert stranger.public_key != Signer.generate().public_key


def test_an_unsequenced_event_that_was_changed_is_found_and_one_that_was_not_is_counted(grown, event):
    grown.append(event(), event())
    assert found(grown) == []
    assert grown.verify().unsequenced == 2
    grown.tamper("UPDATE audit_event SET leaf_salt = zeroblob(16) WHERE seq = 39")
    assert found(grown) == [("OPENING_DIFFERS", None)]


def test_sequencing_refuses_a_tree_whose_edge_was_changed(grown, event):
    grown.append(event())
    grown.tamper("UPDATE audit_tile SET digests = zeroblob(32) WHERE level = 0 AND position = 2")
    with pytest.raises(Exception, match="right edge") as broken:
        grown.sequence()
    assert broken.value.code == "TILE_SHORT"
    assert edge_keys(37) == [(0, 2), (1, 0)]
    assert Edge(0, {}).size == 0


def test_many_problems_are_counted_and_the_list_stays_bounded(log):
    log.grow(1500)
    log.tamper("UPDATE audit_event SET leaf_salt = zeroblob(16)")
    report = log.verify()
    assert report.problem_count == 1500
    assert len(report.problems) == 1000
