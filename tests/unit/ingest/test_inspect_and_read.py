import gzip
import json
from pathlib import Path

import pytest

from pdms.errors import InvalidInput, NotFound
from pdms.ingest.inspect import Format, inspect
from pdms.ingest.readers import MAX_FIELD, batches, sample

HEADER = "会员编号,姓名,手机\n"
ROWS = "1,张三,13800000001\n2,李四,13800000002\n3,王五,13800000003\n"


def put(folder: Path, name: str, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def code(path: Path) -> str:
    with pytest.raises(InvalidInput) as caught:
        inspect(path)
    for secret in ("张三", "13800000001", path.name):
        assert secret not in caught.value.message
    return caught.value.code


def read(path: Path, size: int = 2):
    found = inspect(path)
    return [
        (list(b.numbers), {k: list(v) for k, v in b.columns.items()}, list(b.rejected))
        for b in batches(path, found, batch_rows=size)
    ]


EXPECTED = {
    "会员编号": ["1", "2", "3"],
    "姓名": ["张三", "李四", "王五"],
    "手机": ["13800000001", "13800000002", "13800000003"],
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("packed", [False, True])
def test_csv_in_every_encoding(tmp_path, encoding, packed):
    data = (HEADER + ROWS).encode(encoding)
    path = put(tmp_path, "members.csv.gz" if packed else "members.csv", gzip.compress(data) if packed else data)
    found = inspect(path)
    assert (found.format, found.rows, found.columns) == (Format.CSV, 3, tuple(EXPECTED))
    assert found.encoding == ("gb18030" if encoding == "gb18030" else "utf-8-sig")
    assert sample(path) == EXPECTED


def test_batches_number_their_rows_from_one(tmp_path):
    parts = read(put(tmp_path, "m.csv", HEADER + ROWS))
    assert [numbers for numbers, _, _ in parts] == [[1, 2], [3]]


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_delimiters(tmp_path, delimiter):
    path = put(tmp_path, "m.csv", (HEADER + ROWS).replace(",", delimiter))
    assert sample(path) == EXPECTED


def test_json_lines(tmp_path):
    lines = [{"a": "x", "n": 1}, {"a": None, "b": True}, {"n": 2.5}]
    path = put(tmp_path, "m.jsonl", "\n".join(json.dumps(one) for one in lines) + "\n")
    assert inspect(path).columns == ("a", "n", "b")
    assert sample(path) == {"a": ["x", "", ""], "n": ["1", "", "2.5"], "b": ["", "true", ""]}


def test_parquet(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "m.parquet"
    table = pa.table(
        {
            "id": pa.array([17850.0, None, 3.0]),
            "name": pa.array(["张三", None, "王五"]).dictionary_encode(),
            "price": pa.array([2.55, 1.0, None]),
            "at": pa.array([0, 1_700_000_000_000_000, None], pa.timestamp("us", "UTC")),
            "day": pa.array([0, 1, None], pa.date32()),
        }
    )
    pq.write_table(table, path)
    assert inspect(path).rows == 3
    assert sample(path) == {
        "id": ["17850", "", "3"],
        "name": ["张三", "", "王五"],
        "price": ["2.55", "1", ""],
        "at": ["1970-01-01T00:00:00.000000+00:00", "2023-11-14T22:13:20.000000+00:00", ""],
        "day": ["1970-01-01", "1970-01-02", ""],
    }


def test_quoted_fields_may_hold_lines_quotes_and_line_separators(tmp_path):
    path = put(tmp_path, "m.csv", 'a,b\n1,"two\nlines, ""quoted"""\n2,"\u2028 is no line end"\n3,5" pipe\n')
    assert sample(path)["b"] == ['two\nlines, "quoted"', "\u2028 is no line end", '5" pipe']


def test_what_is_no_file(tmp_path):
    with pytest.raises(NotFound):
        inspect(tmp_path / "absent.csv")
    assert code(tmp_path) == "NOT_A_FILE"
    assert code(put(tmp_path, "m.csv", b"")) == "EMPTY_FILE"
    assert code(put(tmp_path, "m.csv.gz", gzip.compress(b""))) == "EMPTY_FILE"


def test_broken_encodings_are_named_with_their_byte(tmp_path):
    damaged = bytearray((HEADER + ROWS).encode())
    damaged[HEADER.encode().__len__() + 3] = 0xFF
    assert code(put(tmp_path, "m.csv", bytes(damaged))) == "ENCODING"
    assert code(put(tmp_path, "m.csv", (HEADER + ROWS).encode("utf-16"))) == "ENCODING"
    assert code(put(tmp_path, "m.csv", (HEADER + ROWS).encode("utf-16-le"))) == "ENCODING"
    assert code(put(tmp_path, "m.csv", "id,name\n1,café\n2,naïve\n".encode("latin-1"))) == "ENCODING"
    with pytest.raises(InvalidInput, match=f"byte {HEADER.encode().__len__() + 2}"):
        inspect(put(tmp_path, "m.csv", bytes(damaged)))


def test_damaged_utf8_is_not_taken_for_gb18030(tmp_path):
    # cut inside a character, as a careless `head -c` does; as GB18030 it would read as other characters
    assert code(put(tmp_path, "m.csv", (HEADER + ROWS).encode()[:-20] + b"\xe5\xbc\n")) == "ENCODING"


def test_an_open_quote_does_not_swallow_the_file(tmp_path):
    assert code(put(tmp_path, "m.csv", 'a,b\n1,x\n2,"never closed\n3,y\n')) == "UNCLOSED_QUOTE"


def test_headers(tmp_path):
    assert code(put(tmp_path, "m.csv", "a,b,a\n1,2,3\n")) == "DUPLICATE_COLUMN"
    assert code(put(tmp_path, "m.csv", "a,,c\n1,2,3\n")) == "NO_HEADER"
    assert code(put(tmp_path, "m.csv", ",,\n1,2,3\n")) == "NO_HEADER"


def test_a_cut_json_line_at_the_end_refuses_the_file_and_one_within_rejects_a_row(tmp_path):
    assert code(put(tmp_path, "m.jsonl", '{"a": 1}\n{"a": 2, "b')) == "TRUNCATED_JSON"
    with pytest.raises(InvalidInput, match="row 2, which begins at byte 9"):
        inspect(put(tmp_path, "m.jsonl", '{"a": 1}\n{"a": 2, "b'))
    parts = read(put(tmp_path, "m.jsonl", '{"a": 1}\n{"a": 2, "b\n{"a": 3}\n[4]\n{"a": {"b": 5}}\n'), size=10)
    numbers, columns, rejected = parts[0]
    assert numbers == [1, 3]
    assert columns == {"a": ["1", "3"]}
    assert [(one.row, one.field, one.rule) for one in rejected] == [
        (2, "(row)", "JSON_SYNTAX"),
        (4, "(row)", "JSON_SYNTAX"),
        (5, "a", "NESTED_VALUE"),
    ]


def test_a_json_array_is_told_apart(tmp_path):
    assert code(put(tmp_path, "m.json", '[{"a": 1}]')) == "NOT_JSON_LINES"
    assert code(put(tmp_path, "m.jsonl", "张三\n")) == "NOT_JSON_LINES"


def test_broken_parquet(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    good = tmp_path / "good.parquet"
    pq.write_table(pa.table({"a": [str(n) for n in range(10_000)]}), good, compression="snappy", use_dictionary=False)
    data = good.read_bytes()
    assert code(put(tmp_path, "cut.parquet", data[:-100])) == "BROKEN_PARQUET"
    assert code(put(tmp_path, "text.parquet", HEADER + ROWS)) == "BROKEN_PARQUET"
    damaged = bytearray(data)
    damaged[200:400] = bytes(200)
    assert code(put(tmp_path, "damaged.parquet", bytes(damaged))) == "BROKEN_PARQUET"
    nested = tmp_path / "nested.parquet"
    pq.write_table(pa.table({"a": [[1], [2]]}), nested)
    assert code(nested) == "NESTED_VALUE"


def test_parquet_of_finer_instants_than_ours_is_read_and_text_that_is_none_is_told(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    finer = tmp_path / "finer.parquet"
    pq.write_table(pa.table({"at": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns", "UTC"))}), finer)
    assert read(finer)[0][1] == {"at": ["2023-11-14T22:13:20.123456+00:00"]}
    buffers = [None, pa.array([0, 2], pa.int32()).buffers()[1], pa.py_buffer(b"\xff\xfe")]
    wrong = tmp_path / "wrong.parquet"
    pq.write_table(pa.table({"a": pa.Array.from_buffers(pa.string(), 1, buffers)}), wrong)
    with pytest.raises(InvalidInput) as refused:
        read(wrong)
    assert refused.value.code == "ENCODING"


def test_json_nested_deeper_than_python_goes_rejects_its_row(tmp_path):
    numbers, _, rejected = read(put(tmp_path, "m.jsonl", '{"a": 1}\n{"a": ' + "[" * 100_000 + "\n"))[0]
    assert numbers == [1]
    assert [(one.row, one.rule) for one in rejected] == [(2, "JSON_SYNTAX")]


def test_broken_gzip(tmp_path):
    packed = gzip.compress((HEADER + ROWS * 1000).encode())
    assert code(put(tmp_path, "m.csv.gz", packed[:-20])) == "BROKEN_GZIP"
    assert code(put(tmp_path, "m.csv.gz", b"not gzip at all")) == "BROKEN_GZIP"


def test_a_field_of_ten_megabytes_rejects_its_row(tmp_path):
    long, lines = "y" * (10 << 20), "z\n" * (1 << 20)
    path = put(tmp_path, "m.csv", f'a,b\n1,x\n2,{long}\n3,"{lines}"\n4,w\n')
    numbers, columns, rejected = read(path, size=10)[0]
    assert numbers == [1, 4]
    assert columns["b"] == ["x", "w"]
    assert [(one.row, one.field, one.rule) for one in rejected] == [
        (2, "b", "FIELD_TOO_LONG"),
        (3, "b", "FIELD_TOO_LONG"),
    ]
    edge = put(tmp_path, "edge.csv", f"a,b\n1,{'y' * MAX_FIELD}\n")
    assert read(edge)[0][2] == []


def test_a_line_without_end_refuses_the_file(tmp_path):
    assert code(put(tmp_path, "m.csv", "a,b\n1," + "y" * (20 << 20))) == "LINE_TOO_LONG"


def test_rows_of_another_width_are_rejected_and_blank_lines_skipped(tmp_path):
    numbers, columns, rejected = read(put(tmp_path, "m.csv", "a,b\n1,x\n\n2\n3,y,z\n4,w\n"), size=10)[0]
    assert numbers == [1, 4]
    assert [(one.row, one.rule) for one in rejected] == [(2, "COLUMN_COUNT"), (3, "COLUMN_COUNT")]
    assert columns == {"a": ["1", "4"], "b": ["x", "w"]}
