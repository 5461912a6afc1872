"""A release checked offline: what is whole passes in every format, and each way of spoiling it is named."""

import contextlib
import dataclasses
import io
import json
import random
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdms.anonymize import flat, from_edges, tabulate
from pdms.crypto import Signer
from pdms.errors import Denied, InvalidInput
from pdms.policy.definitions import Feature, SensitiveFeature, View
from pdms.publish import release
from pdms.publish.manifest import InformationLoss, Manifest, Risks, public_manifest, sign_manifest
from pdms.publish.statement import of_sensitive
from pdms.publish.verifying import verify_release
from pdms.views import store
from pdms.views.files import arrow_bytes, content_of, csv_bytes, format_of, guard, unguarded

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SIGNER = Signer(b"\x07" * 32)
LABELS = {"recency_days": ["<30", "30-89", ">=90"], "gender": ["female", "*", "male"]}
SIZES = np.array([12, 10, 15], dtype=np.int64)
TABLE = store.release_table(LABELS, SIZES)
DATA = store.encode(TABLE)
MANIFEST = Manifest(
    release_id="rel-" + "1" * 32, view="value", purpose="segment", created_at=NOW, expires_at=NOW + timedelta(days=30),
    policy_digest="0" * 64, view_digest="1" * 64, permit="p", checkpoint=None, members=40, eligible=37,
    eligible_digest="", excluded={}, features=({"name": "recency_days", "edges": [30, 90], "unit": "days"},
    {"name": "gender", "edges": None}), window_days=365, uncovered={}, rows=37, suppressed=0, suppression_limit=0.1,
    classes=3, k=10, k_required=10, min_cell=10,
    loss=InformationLoss(ncp=0.1, ncp_by_feature={"recency_days": 0.1, "gender": 0.1}, average_class_size=12.3,
    discernibility=469), risks=Risks(0.1, 0.08, 0.1, 0.08, 0.08, 0.1), level=3, algorithm="lattice",
    data_sha256=sha256(DATA).hexdigest(),
)  # fmt: skip


def signed(manifest=MANIFEST, *, public=True, signer=SIGNER) -> bytes:
    document = public_manifest(manifest) if public else manifest.document()
    return json.dumps(sign_manifest(document, signer)).encode()


def broken(data=DATA, manifest=None, **options) -> dict[str, str]:
    found = verify_release(
        data, signed() if manifest is None else manifest, **{"public_key": SIGNER.public_key, "now": NOW, **options}
    )
    wrong = {one.check: one.detail for one in found.checks if one.state == "broken"}
    assert (found.verdict == "whole") == (not wrong)
    return wrong


@pytest.mark.parametrize("public", [True, False])
@pytest.mark.parametrize("form", ["parquet", "csv", "arrow"])
def test_a_release_is_whole_in_every_format_by_either_manifest(form, public):
    data = content_of(TABLE, DATA, format_of(form))
    assert broken(data, signed(public=public), form=form) == {}
    assert broken(data, signed(public=public), form=form, filename=f"value-rel-{'1' * 32}.{form}") == {}


def test_a_changed_byte_of_the_rows_is_named_wherever_it_stands():
    for place in range(0, len(DATA), len(DATA) // 25):
        spoilt = bytearray(DATA)
        spoilt[place] ^= 1
        assert "DIGEST" in broken(bytes(spoilt)), place


def test_a_removed_and_an_added_row_are_counted():
    fewer = store.encode(store.release_table_of(TABLE.slice(1)))
    wrong = broken(fewer)
    assert "1 rows removed" in wrong["DIGEST"]
    assert "36 rows" in wrong["ROWS"]
    more = store.encode(store.release_table_of(pa.concat_tables([TABLE, TABLE.slice(0, 2)]).unify_dictionaries()))
    assert "2 rows added" in broken(more)["DIGEST"]
    lines = csv_bytes(TABLE).splitlines(keepends=True)
    assert "1 rows removed" in broken(b"".join(lines[:-1]), form="csv")["DIGEST"]


def test_a_class_below_k_is_found_whatever_the_manifest_says():
    small = store.encode(store.release_table(LABELS, np.array([12, 9, 15])))
    claimed = dataclasses.replace(MANIFEST, rows=36, k=10, data_sha256=sha256(small).hexdigest())
    wrong = broken(small, signed(claimed))  # signed by the right key: a mistake of the publisher
    assert set(wrong) == {"CRITERIA"}
    assert "k is 9, required 10" in wrong["CRITERIA"]
    honest = dataclasses.replace(claimed, k=9)
    assert "required" in broken(small, signed(honest))["CRITERIA"]


def test_a_swapped_manifest_is_named():
    other = dataclasses.replace(MANIFEST, release_id="rel-" + "2" * 32, data_sha256="f" * 64)
    wrong = broken(manifest=signed(other), filename=f"value-rel-{'1' * 32}.parquet")
    assert set(wrong) == {"NAME", "DIGEST"}
    assert "swapped" in wrong["NAME"]
    view = dataclasses.replace(other, features=({"name": "orders"}, {"name": "gender"}))
    assert "another release" in broken(manifest=signed(view))["TABLE"]


def test_a_changed_manifest_and_another_key_are_named():
    document = json.loads(signed())
    assert set(broken(manifest=json.dumps({**document, "level": 4}).encode())) == {"SIGNATURE"}
    assert set(broken(manifest=json.dumps({**document, "k_required": 2}).encode())) == {"SIGNATURE"}
    assert set(broken(manifest=signed(signer=Signer(b"\x08" * 32)))) == {"SIGNATURE"}
    assert set(broken(public_key=b"\x01" * 32)) == {"SIGNATURE"}
    with pytest.raises(InvalidInput):
        broken(public_key=b"short")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"{}", b"\xff", b'{"kind": "release-manifest"}', b'{"a": 1, "a": 2}', b"[" * 100_000,
        signed().replace(b'"rows": 37', b'"rows": "37"'), signed().replace(b"release-manifest-public", b"receipt"),
        signed().replace(b"+00:00", b""),
    ],
)  # fmt: skip
def test_what_is_no_manifest_is_named(content):
    assert set(broken(manifest=content)) == {"FORM"}


def test_an_expired_release_is_whole_and_must_not_be_used():
    found = verify_release(DATA, signed(), public_key=SIGNER.public_key, now=NOW + timedelta(days=30))
    assert found.verdict == "expired"
    spoilt = verify_release(DATA[:-1], signed(), public_key=SIGNER.public_key, now=NOW + timedelta(days=30))
    assert spoilt.verdict == "broken"


def parquet_of(columns) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def test_a_column_that_is_no_label_or_an_identifier_is_named_even_where_it_is_signed():
    exact = parquet_of({"recency_days": list(range(37)), "gender": ["*"] * 37})
    manifest = dataclasses.replace(MANIFEST, data_sha256=sha256(exact).hexdigest())
    assert "other than labels" in broken(exact, signed(manifest))["TABLE"]
    named = parquet_of({"phone": ["*"] * 37, "gender": ["*"] * 37})
    features = ({"name": "phone"}, {"name": "gender"})
    manifest = dataclasses.replace(MANIFEST, data_sha256=sha256(named).hexdigest(), features=features)
    assert "identifier" in broken(named, signed(manifest))["TABLE"]


SECRET = {
    "required": {"feature": "recency_days", "diversity": "distinct", "l": 2, "c": 1.0, "t": 0.3, "distance": "ordered"},
    "reached": {"l": 2.0, "t": 0.25},
    "order": ["<30", "30-89", ">=90"],
    "absent": None,
}


@pytest.mark.parametrize(
    ("cells", "wrong"),
    [
        ([("<30", "female", 6), (">=90", "female", 6), ("<30", "male", 6), (">=90", "male", 6)], ""),
        ([("<30", "female", 12), ("<30", "male", 6), (">=90", "male", 6)], "l is below 2"),
        ([("<30", "female", 11), (">=90", "female", 1), ("<30", "male", 1), (">=90", "male", 11)], "t is above 0.3"),
    ],
)
def test_l_and_t_of_a_sensitive_feature_are_measured_again(cells, wrong):
    labels = {"recency_days": [one[0] for one in cells], "gender": [one[1] for one in cells]}
    data = store.encode(store.release_table(labels, np.array([one[2] for one in cells])))
    said = dataclasses.replace(
        MANIFEST, rows=24, classes=2, k=12, sensitive=SECRET, data_sha256=sha256(data).hexdigest()
    )
    assert broken(data, signed(said)).get("CRITERIA", "") == wrong


@pytest.mark.parametrize("lacking", [0, 9])
def test_the_recipient_measures_the_ordered_distance_that_the_publisher_did(lacking):
    space = {"tier": flat("tier", ["1", "2"]), "spend": from_edges("spend", [1, 3, 5], open_low=True, missing="none")}
    cells = [(0, 0, 20), (0, 1, 10), (0, 2, 10), (1, 1, 10), (1, 2, 10), (1, 3, 20 - lacking), (1, 4, lacking)]
    table = tabulate([one[:2] for one in cells if one[2]], counts=[one[2] for one in cells if one[2]])[0]
    view = View(
        name="value", label={}, purpose="segment", window_days=365, k=4, risk_threshold=0.25, min_cell=10,
        suppression_limit=0.0, consumers=(), expiry_days=30,
        features=tuple(Feature(n, n, None, (), None, "", 1.0) for n in space),
        sensitive=SensitiveFeature("spend", diversity=None, l=2.0, c=3.0, t=0.26, distance="ordered"),
    )  # fmt: skip
    made = release.make(view, table, space)
    said = dataclasses.replace(
        MANIFEST, rows=80, classes=made.measured.classes, k=made.measured.k, k_required=4, data_sha256=made.sha256,
        risks=dataclasses.replace(MANIFEST.risks, threshold=0.25), sensitive=of_sensitive(view, made.reached, space),
        features=({"name": "tier", "edges": None}, {"name": "spend", "edges": [1, 3, 5], "unit": "CNY"}),
    )  # fmt: skip
    found = verify_release(made.data, signed(said), public_key=SIGNER.public_key, now=NOW)
    assert (found.verdict, [one.detail for one in found.checks if one.state == "broken"]) == ("whole", [])
    # a quarter more of the lowest bin and less of the highest, three steps of a third away
    assert (made.measured.classes, made.reached["t"]) == (2, pytest.approx(0.25))
    with pytest.raises(Denied):  # one class says nothing; a leaf that nobody holds would loosen this to .25
        release.make(dataclasses.replace(view, sensitive=dataclasses.replace(view.sensitive, t=0.2)), table, space)


def test_no_cell_of_a_csv_is_a_formula_and_every_label_comes_back():
    formulas = ["=1+1", "@x", "+x", "-x", "-1+1", "-2+3+cmd|'/c calc'!A0", "\t=1", "\r=1", "'quoted"]
    plain = ["-5", "-5.25", "<14", ">=90", "*", "a,b", 'a"b', "1-2"]
    for label in [*formulas, *plain]:
        assert unguarded(guard(label)) == label
        assert (guard(label) == label) == (label in plain)
    made = csv_bytes(store.release_table({"a": formulas + plain}, np.ones(17, dtype=np.int64))).decode()
    assert "\n=1" not in made
    assert "\n-5\n" in made


def test_arrow_holds_the_rows_and_nothing_else():
    read = pa.ipc.open_file(io.BytesIO(arrow_bytes(TABLE))).read_all()
    assert read.column_names == TABLE.column_names
    assert read.num_rows == 37
    assert read.to_pylist() == TABLE.to_pylist()
    assert not read.schema.metadata


def test_a_format_that_is_none_is_refused():
    with pytest.raises(InvalidInput):
        format_of("xlsx")


JUNK = [None, True, -1, 1e999, "x", "", [], [1], {}, {"a": 1}]


def test_a_manifest_with_anything_in_any_place_gives_a_verdict_and_no_crash():
    document = json.loads(signed(dataclasses.replace(MANIFEST, sensitive=SECRET)))
    places = [(name,) for name in document] + [("risks", "threshold"), ("sensitive", "required")]
    places += (
        [("sensitive", "required", name) for name in SECRET["required"]]
        + [("sensitive", "order")]
        + [("certificate", "signature")]
    )
    for *path, last in places:
        for junk in JUNK:
            spoilt = json.loads(json.dumps(document))
            inner = spoilt
            for name in path:
                inner = inner[name]
            inner[last] = junk
            if junk != document.get(last):
                found = verify_release(DATA, json.dumps(spoilt).encode(), public_key=SIGNER.public_key, now=NOW)
                assert found.verdict == "broken", (path, last, junk)


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_bytes_changed_at_random_have_a_verdict_always(form):
    data, draw = content_of(TABLE, DATA, format_of(form)), random.Random(1)
    for _ in range(700):
        spoilt = bytearray(data)
        spoilt[draw.randrange(len(spoilt))] ^= 1 + draw.randrange(255)
        verify_release(bytes(spoilt), signed(), public_key=SIGNER.public_key, now=NOW, form=form)


def test_an_arrow_file_that_points_outside_itself_is_not_followed():
    places = np.array([0, 1, 1 << 30, 2], dtype=np.int32)
    wild = pa.Array.from_buffers(pa.string(), 3, [None, pa.py_buffer(places.tobytes()), pa.py_buffer(b"ab")])
    out = io.BytesIO()
    table = pa.table([wild, pa.array(["a", "b", "c"])], names=list(LABELS))
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    three = signed(dataclasses.replace(MANIFEST, rows=3))
    assert "cannot be read" in broken(out.getvalue(), three, form="arrow")["TABLE"]


@contextlib.contextmanager
def taking_little():
    """What is opened within stays below 32 MB of Arrow's memory; a bomb of the tests below takes 100 and more."""
    before, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.system_memory_pool())
    pa.set_memory_pool(pool)
    try:
        yield
    finally:
        pa.set_memory_pool(before)
    assert (pool.max_memory() or 0) < 32 << 20


MANY = 200_000


@pytest.fixture(scope="module")
def long():
    return pa.table(dict.fromkeys(LABELS, pa.array(["x" * 500] * MANY)))


def test_a_parquet_file_that_unfolds_is_not_unfolded(long):
    out = io.BytesIO()
    pq.write_table(long, out, compression="zstd", store_schema=False)
    assert len(out.getvalue()) < 100_000
    with taking_little():
        wrong = broken(out.getvalue())
    assert set(wrong) == {"DIGEST", "ROWS"}
    assert f"{MANY - 37} rows added" in wrong["DIGEST"]
    liar = dataclasses.replace(MANIFEST, rows=MANY, data_sha256="0" * 64)
    with taking_little():
        assert set(broken(out.getvalue(), signed(liar))) == {"DIGEST"}
        assert set(broken(out.getvalue(), signed(liar, signer=Signer(b"\x08" * 32)))) == {"SIGNATURE"}


@pytest.mark.parametrize(("codec", "rows"), [("zstd", MANY), ("lz4", MANY), ("zstd", 1)])
def test_an_arrow_file_that_unfolds_is_not_unfolded(long, codec, rows):
    # one long label, or many: in the dictionary, or in the rows
    table = long if rows == MANY else pa.table({n: pa.array(["x" * 40_000_000]).dictionary_encode() for n in LABELS})
    out = io.BytesIO()
    with pa.ipc.new_file(out, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table)
    assert len(out.getvalue()) < 3_000_000
    with taking_little():
        wrong = broken(out.getvalue(), signed(dataclasses.replace(MANIFEST, rows=rows)), form="arrow")
    assert "cannot be read" in wrong["TABLE"]


def test_what_stands_behind_the_rows_of_an_arrow_file_is_not_followed():
    data = arrow_bytes(TABLE)
    assert broken(data[:-20] + bytes(20), form="arrow") == {}  # a footer may name one batch a thousand times


def test_a_manifest_nested_deeper_than_the_stack_has_a_verdict():
    deep: list = []
    for _ in range(700):
        deep = [deep]
    spoilt = json.dumps({**json.loads(signed()), "x": deep}).encode()
    assert set(broken(manifest=spoilt)) == {"SIGNATURE"}
