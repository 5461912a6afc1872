"""From a frequency table to bytes, and the judgement on the bytes; and what a manifest tells to whom."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdms.anonymize import FrequencyTable, flat, from_edges, tabulate
from pdms.anonymize.classes import tighten
from pdms.anonymize.ledger import cells_of
from pdms.anonymize.ledger_rows import Rows, leavers_of, with_release
from pdms.anonymize.loss import measure_loss
from pdms.crypto import Signer
from pdms.errors import Denied, IntegrityBroken
from pdms.policy.definitions import Feature, SensitiveFeature, View
from pdms.publish import manifest as manifests
from pdms.publish import release
from pdms.publish.statement import of_rows
from pdms.publish.together import Beside
from pdms.views import store

SPACE = {"days": from_edges("days", [30, 90], open_low=True), "tier": flat("tier", ["1", "2", "3"])}
VIEW = View(
    name="value", label={}, purpose="segment", window_days=365, k=4, risk_threshold=0.25, min_cell=10,
    suppression_limit=0.1, consumers=(), expiry_days=30,
    features=tuple(Feature(n, n, None, (), None, "", 1.0) for n in SPACE),
)  # fmt: skip


def table(rows: int, *, seed: int = 3):
    rng = np.random.default_rng(seed)
    return tabulate(np.stack([rng.integers(0, 3, rows), rng.integers(0, 3, rows)], axis=1))[0]


def reasons(error) -> set[str]:
    return {reason.code for reason in error.value.reasons}


def test_what_is_made_reaches_what_the_view_asks_for_on_its_own_bytes():
    made = release.make(VIEW, table(200), SPACE)
    rows = pq.read_table(io.BytesIO(made.data))
    assert rows.num_rows == made.measured.rows == 200 - made.suppressed
    assert rows.column_names == ["days", "tier"]
    sizes = rows.group_by(["days", "tier"]).aggregate([([], "count_all")])["count_all"].to_pylist()
    assert (min(sizes), len(sizes)) == (made.measured.k, made.measured.classes)
    assert made.measured.k >= VIEW.k
    assert made.risk.prosecutor_max == 1 / min(sizes) <= VIEW.risk_threshold
    assert made.risk.prosecutor_average == made.risk.marketer == len(sizes) / 200
    assert made.level == 3


def test_the_risk_threshold_binds_where_k_alone_would_not():
    made = release.make(replace(VIEW, k=2, risk_threshold=0.05), table(200), SPACE)
    assert made.measured.k >= 20


def test_the_same_members_give_the_same_bytes():
    assert release.make(VIEW, table(200), SPACE).sha256 == release.make(VIEW, table(200), SPACE).sha256


def test_too_few_members_are_refused():
    with pytest.raises(Denied) as error:
        release.make(VIEW, table(9), SPACE)
    assert reasons(error) == {"BELOW_MIN_CELL"}


def test_members_who_are_all_alike_are_published_as_they_are():
    made = release.make(replace(VIEW, k=30, risk_threshold=0.05), tabulate(np.tile([[2, 1]], (30, 1)))[0], SPACE)
    assert (made.measured.k, made.measured.classes, made.suppressed, made.loss.ncp) == (30, 1, 0, 0)


def test_criteria_out_of_reach_are_refused():
    with pytest.raises(Denied) as error:
        release.make(replace(VIEW, k=50, suppression_limit=0.0), table(20), SPACE)
    assert reasons(error) == {"SUPPRESSION_LIMIT"}


SECRET = SensitiveFeature("tier", diversity=None, l=1.0, c=3.0, t=None, distance="equal")


@pytest.mark.parametrize(
    "sensitive",
    [
        replace(SECRET, diversity="distinct", l=3.0),
        replace(SECRET, diversity="entropy", l=2.5),
        replace(SECRET, diversity="recursive", l=2.0, c=2.0),
        replace(SECRET, t=0.05),
        replace(SECRET, diversity="distinct", l=2.0, t=0.1, distance="ordered"),
    ],
)
def test_a_sensitive_feature_is_published_by_its_leaves_and_hidden_in_every_class(sensitive):
    view = replace(VIEW, sensitive=sensitive)
    made = release.make(view, table(200), SPACE)
    rows = pq.read_table(io.BytesIO(made.data)).to_pandas()
    assert list(rows.columns) == ["days", "tier"]
    assert set(rows["tier"]) <= set(SPACE["tier"].leaves)
    whole = rows["tier"].value_counts(normalize=True).reindex(SPACE["tier"].leaves, fill_value=0)
    for _, group in rows.groupby("days", observed=True):
        shares = group["tier"].value_counts(normalize=True).reindex(SPACE["tier"].leaves, fill_value=0)
        assert len(group) >= VIEW.k
        ranked = sorted(shares, reverse=True)
        if sensitive.diversity == "distinct":
            assert (shares > 0).sum() >= sensitive.l
        if sensitive.diversity == "entropy":
            assert np.exp(-sum(p * np.log(p) for p in shares if p)) >= sensitive.l
        if sensitive.diversity == "recursive":
            assert ranked[0] < sensitive.c * sum(ranked[int(sensitive.l) - 1 :])
        if sensitive.t is not None:
            gaps = shares - whole
            steps = np.abs(np.cumsum(gaps))[:-1].sum() / 2
            assert (steps if sensitive.distance == "ordered" else np.abs(gaps).sum() / 2) <= sensitive.t + 1e-9
    assert set(made.reached) == {
        "recursive_c" if sensitive.diversity == "recursive" else "l" if sensitive.diversity else "t",
        *(["t"] if sensitive.t else []),
    }
    assert made.level == 3


def test_the_re_check_finds_a_class_that_tells_the_sensitive_feature():
    labels = {"days": ["<30", "[30,90)", "[30,90)"], "tier": ["1", "1", "2"]}
    data = store.encode(store.release_table(labels, np.array([10, 10, 10])))
    for sensitive in (replace(SECRET, diversity="distinct", l=2.0), replace(SECRET, t=0.2)):
        measured, against = release.recheck(replace(VIEW, sensitive=sensitive), data, SPACE)
        assert {reason.code for reason in against} == {"RISK_TOO_HIGH"}
        assert release.level_of(replace(VIEW, sensitive=sensitive), measured) == 2
    assert not release.recheck(replace(VIEW, sensitive=replace(SECRET, t=0.4)), data, SPACE)[1]


def test_the_average_risk_binds_where_the_greatest_would_not():
    many = table(200)
    loose, strict = (release.make(replace(VIEW, average_risk=bound), many, SPACE) for bound in (1.0, 0.03))
    assert loose.risk.prosecutor_average > 0.03 >= strict.risk.prosecutor_average
    assert strict.measured.k < 34  # no class need be that large for the mean to be


def test_the_average_risk_binds_beside_a_former_release_too():
    rng = np.random.default_rng(5)
    members, edges = 3000, list(range(1, 30))
    space = {name: from_edges(name, edges, coarser=[edges[::3]], open_low=True, open_high=True) for name in SPACE}
    view = replace(VIEW, k=10, risk_threshold=0.1, average_risk=0.05, suppression_limit=0.2, held_back_limit=1.0)
    codes = rng.integers(0, 30, (members, 2)).astype(np.int32)
    before, tuple_ = tabulate(codes)
    first = release.make(view, before, space)
    rows, row_of = with_release(Rows.none(), np.full(members, -1), first.grouped.class_of[tuple_])
    moved = rng.random(members) < 0.3
    codes[moved] = rng.integers(0, 30, (moved.sum(), 2))
    now, tuple_ = tabulate(codes)
    cells, cell_of = cells_of(row_of, tuple_)
    leavers = leavers_of(rows, row_of, np.ones(members, dtype=bool))
    here = Beside(cells, cell_of, np.array([b"%016d" % n for n in range(members)]), leavers, view.k, seed=1)
    finer = release.make(replace(view, average_risk=1.0, algorithm="full_domain"), now, space, here)
    assert finer.algorithm == "peel within the classes of releases that are out; who is in none: nothing new"
    assert finer.risk.prosecutor_average > 0.05 >= release.make(view, now, space, here).risk.prosecutor_average


@pytest.mark.parametrize("algorithm", ["auto", "peel", "mondrian", "full_domain", "blind"])
def test_the_view_chooses_the_algorithm(algorithm):
    made = release.make(replace(VIEW, algorithm=algorithm), table(200), SPACE)
    assert made.measured.k >= VIEW.k
    expected = {"mondrian": "Mondrian", "full_domain": "full domain"}.get(algorithm, "peel")
    assert expected in made.algorithm


@pytest.mark.parametrize(
    ("labels", "sizes", "found"),
    [
        ({"days": ["<30", "*"], "tier": ["1", "*"]}, [3, 20], {"RISK_TOO_HIGH"}),
        ({"days": ["<30"], "tier": ["1"]}, [8], {"BELOW_MIN_CELL"}),
        ({"days": ["17"], "tier": ["1"]}, [20], {"RISK_TOO_HIGH"}),
        ({"days": ["<30"], "tier": ["1"], "phone": ["*"]}, [20], {"RISK_TOO_HIGH"}),
        ({"days": ["<30"]}, [20], {"RISK_TOO_HIGH"}),
        ({"days": ["<30", "[30,90)"], "tier": ["1", "2"]}, [5, 6], set()),
    ],
)
def test_the_re_check_finds_what_the_algorithm_must_not_do(labels, sizes, found):
    data = store.encode(store.release_table(labels, np.array(sizes)))
    measured, against = release.recheck(VIEW, data, SPACE)
    assert {reason.code for reason in against} == found
    assert measured.k == min(sizes)
    assert release.level_of(VIEW, measured) == (3 if min(sizes) >= VIEW.k else 2)


def test_a_faulty_algorithm_does_not_get_past_the_re_check(monkeypatch):
    real = store.release_table

    def split(labels, sizes):
        rows = real(labels, sizes)
        first = pa.array(["<30", *rows["days"].to_pylist()[1:]])
        return pa.table([first, pa.array(["1", *rows["tier"].to_pylist()[1:]])], names=["days", "tier"])

    monkeypatch.setattr(store, "release_table", split)
    with pytest.raises(Denied) as error:
        release.make(replace(VIEW, k=20, risk_threshold=0.05), tabulate(np.tile([[2, 2]], (30, 1)))[0], SPACE)
    assert reasons(error) == {"RISK_TOO_HIGH"}


@pytest.fixture
def exact() -> manifests.Manifest:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return manifests.Manifest(
        release_id="rel-" + "0" * 32, view="value", purpose="segment", created_at=at,
        expires_at=at + timedelta(days=30), policy_digest="1" * 64, view_digest="2" * 64, permit="permit-" + "3" * 32,
        checkpoint=manifests.ConsentCheckpoint(size=12345, root="4" * 64, note="n"), members=1237, eligible=1163,
        eligible_digest="5" * 64, excluded={"NO_CONSENT": 71, "MINOR": 3}, features=({"name": "days"},),
        window_days=365, uncovered={"tier": 118}, rows=1161, suppressed=2, suppression_limit=0.1, classes=40, k=10,
        k_required=10,
        min_cell=50, loss=manifests.InformationLoss(0.12345, {"days": 0.2469}, 29.0, 123457, {"days": 0.2456}),
        risks=manifests.Risks(0.1, 0.0344, 0.1, 0.0344, 0.0344, 0.1), level=3, algorithm="lattice peel",
        data_sha256="6" * 64,
    )  # fmt: skip


def test_marketing_reads_no_exact_count_of_members(exact):
    public = manifests.public_manifest(exact)
    text = json.dumps(public)
    for count in ("1163", "1237", "71", "118", "12345", "123457", "0.12345"):
        assert count not in text.replace(exact.policy_digest, "")
    assert public["eligible"] == {"about": 1160}
    assert not {"excluded", "uncovered", "members"}.intersection(public), "who is not in the release is not counted"
    assert "NO_CONSENT" not in text
    assert public["wording"]["en"].startswith("de-identified, not anonymous")
    assert exact.eligible == 1163


def test_nobody_learns_from_what_was_lost_how_many_stay_out(exact):
    """Whoever has the rows knows what each feature lost in them; NCP that counts who stays out gives their number."""

    def of(suppressed):
        codes = np.array([[0, 0], [1, 1], [2, 2]], dtype=np.int32)
        table = FrequencyTable(codes, np.array([70, 70, 160]))
        classes = tighten(table, list(SPACE.values()), np.array([0, 0, 1]))
        lost = measure_loss(list(SPACE.values()), codes, classes=classes, suppressed=suppressed)
        return replace(
            exact,
            rows=300,
            eligible=300 + suppressed,
            suppressed=suppressed,
            loss=manifests.InformationLoss(
                lost.ncp,
                dict(zip(SPACE, lost.ncp_by_attribute, strict=True)),
                lost.average_class_size,
                lost.discernibility,
                of_rows(VIEW, lost),
            ),
        )

    few = [of(suppressed) for suppressed in range(5)]
    assert len({round(one.loss.ncp, 3) for one in few}) == 5, "the officer's figure does tell"
    public = [manifests.public_manifest(one) for one in few]
    assert [one["loss"] for one in public] == [public[0]["loss"]] * 5
    assert public[0]["loss"]["ncp_by_feature"] == {name: round(few[0].loss.ncp_by_feature[name], 2) for name in SPACE}


def test_one_member_more_moves_no_public_number_or_moves_it_by_ten(exact):
    def numbers(eligible):
        return manifests.public_manifest(replace(exact, eligible=eligible))["eligible"]["about"]

    steps = {numbers(n + 1) - numbers(n) for n in range(100, 200)}
    assert steps == {0, 10}


def test_a_manifest_comes_back_from_its_document(exact):
    document = json.loads(json.dumps(manifests.sign_manifest(exact.document(), Signer.generate())))
    assert manifests.from_document(document) == exact
    with pytest.raises(IntegrityBroken):
        manifests.from_document(manifests.public_manifest(exact))


@pytest.mark.parametrize("public", [False, True])
def test_a_certificate_holds_for_every_word_of_its_document_and_one_key(exact, public):
    signer = Signer.generate()
    document = manifests.public_manifest(exact) if public else exact.document()
    signed = json.loads(json.dumps(manifests.sign_manifest(document, signer)))
    manifests.verify_manifest(signed, signer.public_key)
    for name in document:
        with pytest.raises(IntegrityBroken):
            manifests.verify_manifest({**signed, name: "changed"}, signer.public_key)
    with pytest.raises(IntegrityBroken):
        manifests.verify_manifest(signed, Signer.generate().public_key)
    for broken in ({}, {"certificate": None}, {"certificate": {"public_key": "zz", "signature": ""}}):
        with pytest.raises(IntegrityBroken):
            manifests.verify_manifest({**document, **broken}, signer.public_key)
