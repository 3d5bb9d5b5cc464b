"""Files of every format give the same records; broken ones name every row."""

import csv
import gzip
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.core.errors import DataError
from graft.data import readers
from graft.data.readers import read_parts, read_table

ROWS = [{"a": "x, «y»", "b": "1"}, {"a": 'say "hi"', "b": "2"}, {"a": "ünïcode 🙂", "b": "3"}]


def write(path: Path, rows: list[dict]) -> Path:
    frame = pd.DataFrame(rows)
    kind = path.name.removesuffix(".gz").rsplit(".", 1)[1]
    match kind:
        case "jsonl" | "ndjson":
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        case "json":
            text = json.dumps({"version": 1, "data": rows}, ensure_ascii=False)
        case "csv":
            text = frame.to_csv(index=False)
        case "tsv":
            text = frame.to_csv(index=False, sep="\t", quoting=csv.QUOTE_NONE)
        case "parquet":
            frame.to_parquet(path)
            return path
        case "feather":
            pyarrow.feather.write_feather(frame, path)
            return path
        case "arrow":
            table = pa.Table.from_pandas(frame)
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as out:
                out.write_table(table)
            return path
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize(
    "name",
    [
        *("t.jsonl", "t.ndjson", "t.json", "t.csv", "t.tsv", "t.parquet", "t.feather", "t.arrow"),
        *("t.jsonl.gz", "t.json.gz", "t.csv.gz", "t.tsv.gz"),
    ],
)
def test_every_format_gives_the_same_records(tmp_path, name):
    table = read_table(write(tmp_path / name, ROWS))
    assert table.frame.to_dict("records") == ROWS
    assert table.name == name
    assert len(table.source_rows) == 3


def test_packed_parquet_is_read_too(tmp_path):
    plain = write(tmp_path / "t.parquet", ROWS)
    packed = tmp_path / "t.parquet.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_table(packed).frame.to_dict("records") == ROWS


def test_rows_are_lines_in_text_and_records_elsewhere(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n\n{"a": 2}\n')
    (tmp_path / "t.csv").write_text('a,b\n"two\nlines",1\nx,2\n')
    assert read_table(tmp_path / "t.jsonl").source_rows.tolist() == [1, 3]
    assert read_table(tmp_path / "t.csv").source_rows.tolist() == [2, 4]
    assert read_table(write(tmp_path / "t.parquet", ROWS)).source_rows.tolist() == [1, 2, 3]


def test_folder_saved_by_datasets(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    whole = datasets.Dataset.from_list(ROWS)
    whole.save_to_disk(tmp_path / "saved")
    assert read_table(tmp_path / "saved").frame.to_dict("records") == ROWS
    datasets.DatasetDict(train=whole, test=whole).save_to_disk(tmp_path / "both")
    with pytest.raises(DataError, match=r"holds the splits \['test', 'train'\].*both/test"):
        read_table(tmp_path / "both")
    assert len(read_table(tmp_path / "both" / "train").frame) == 3


def test_frame_is_copied():
    frame = pd.DataFrame({"a": ["x"]}, index=[7])
    table = read_table(frame)
    table.frame.loc[0, "a"] = "changed"
    assert frame.loc[7, "a"] == "x"
    assert table.name == "frame"


def test_byte_order_mark_is_no_text(tmp_path):
    for name, text in (("t.jsonl", '{"a": "x"}'), ("t.csv", "a\nx\n"), ("t.json", '[{"a": "x"}]')):
        path = tmp_path / name
        path.write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert read_table(path).frame.to_dict("records") == [{"a": "x"}]


def test_every_broken_line_is_named_up_to_twenty_then_counted(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1}\n' + "{broken\n" * 3 + "[1]\n" + "null\n" * 30)
    with pytest.raises(DataError) as caught:
        read_table(path)
    problems = caught.value.problems
    assert [problem.where for problem in problems[:4]] == [f"t.jsonl row {i}" for i in (2, 3, 4, 5)]
    assert "not JSON" in problems[0].what
    assert "[1], not an object" in problems[3].what
    assert len(problems) == 21
    assert "14 more" in problems[-1].what


def test_drop_keeps_the_good_rows_and_counts_the_others(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"a": "x"}\n{broken\n{"a": "\xff"}\n{"a": "y"}\n')
    table = read_table(path, on_bad_rows="drop")
    assert table.frame["a"].tolist() == ["x", "y"]
    assert table.source_rows.tolist() == [1, 4]
    assert table.notes[0] == "t.jsonl: 2 rows left out (on_bad_rows is 'drop')"
    assert any("row 3: column 'a' is not UTF-8" in note for note in table.notes)


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_every_undecodable_row_is_named(tmp_path, name):
    lines = {"t.csv": b"a\nok\n\xff\nok\n\xc3\n", "t.jsonl": b'{"a": "\xff"}\n{"a": "\xc3"}\n'}
    path = tmp_path / name
    path.write_bytes(lines[name])
    with pytest.raises(DataError, match="not UTF-8") as caught:
        read_table(path)
    rows = {"t.csv": ["row 3", "row 5"], "t.jsonl": ["row 1", "row 2"]}
    assert [p.where for p in caught.value.problems] == [f"{name} {row}" for row in rows[name]]


def test_lone_surrogate_escape_is_refused(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": "\\ud83d"}\n')
    with pytest.raises(DataError, match="not UTF-8 at character 1"):
        read_table(path)


def test_ragged_rows_are_named_by_line(tmp_path):
    for name, mark in (("t.csv", ","), ("t.tsv", "\t")):
        path = tmp_path / name
        path.write_text(f"a{mark}b\n1{mark}2\n3\n4{mark}5{mark}6\n")
        with pytest.raises(DataError) as caught:
            read_table(path)
        assert [p.where for p in caught.value.problems] == [f"{name} row 3", f"{name} row 4"]
        assert "3 cells where the header has 2" in caught.value.problems[1].what


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("t.csv", b"", "is empty"),
        ("t.jsonl", b"\n \n", "is empty"),
        ("t.csv", b"a,b\n", "holds no rows"),
        ("t.json", b"[]", "holds no rows"),
        ("t.jsonl", b"a\0b", "NUL bytes"),
        ("t.csv", "a\nx\n".encode("utf-16"), "NUL bytes"),
        ("t.xlsx", b"x", "unknown format '.xlsx'"),
        ("t", b"x", "unknown format ''"),
        ("t.json", b'{"a": [1], "b": [2]}', r"keys \['a', 'b'\]"),
        ("t.json", b'"text"', "is 'text'"),
        ("t.json", b"[{", "is not JSON"),
        ("t.csv", b"a,a\n1,2\n", r"columns \['a'\] more than once"),
        ("t.csv", b'a,b\n"open,2\n', "cannot be read from line"),
        ("t.csv", b"\xff,b\n1,2\n", "column names that are not UTF-8"),
        ("t.jsonl", b'{"\xff": 1}\n', "keys that are not UTF-8"),
        ("t.parquet", b"PAR1 broken PAR1", "is no whole .parquet file"),
        ("t.arrow", b"nonsense", "is no whole .arrow file"),
        ("t.jsonl.gz", b"nonsense", "cannot be read"),
        ("t.jsonl", b'{"a": 1, "a": 2}', "'a' stands twice"),
        ("t.jsonl", b"[" * 100_000, "is not JSON"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_a_fix(tmp_path, name, data, words):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError, match=words) as caught:
        read_table(path)
    assert all(problem.fix for problem in caught.value.problems)


def test_cut_gzip_is_an_error(tmp_path):
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 100)[:-12])
    with pytest.raises(DataError, match="cannot be read"):
        read_table(path)


def test_missing_file_and_plain_folder(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match="datasets did not save"):
        read_table(tmp_path)


def test_long_cell_is_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"a\nshort\n{'ä' * 100_000}\n")
    with pytest.raises(DataError, match="row 3: column 'a' holds 200,000 bytes, more than 199,999"):
        read_table(path, max_cell_bytes=199_999)
    assert len(read_table(path, max_cell_bytes=200_000).frame) == 2
    assert csv.field_size_limit() == 131072


def test_quoted_tsv_cells_are_noted(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text('a\n"quoted"\n"only one\n')
    table = read_table(path)
    assert table.frame["a"].tolist() == ['"quoted"', '"only one']
    assert table.notes == (
        "t.tsv: 1 cells begin and end with a quotation mark; in TSV it belongs to the text",
    )


text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)


@given(rows=st.lists(st.tuples(text, text), min_size=1, max_size=8))
def test_no_record_is_lost_or_bent(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("formats")
    records = [{"a": one, "b": other} for one, other in rows]
    for name in ("t.jsonl", "t.json", "t.csv", "t.parquet"):
        table = read_table(write(folder / name, records))
        assert table.frame.to_dict("records") == records
        assert np.all(np.diff(table.source_rows) > 0)


@pytest.mark.parametrize(
    "name",
    [
        *("t.jsonl", "t.json", "t.csv", "t.tsv", "t.parquet", "t.feather", "t.arrow"),
        *("t.jsonl.gz", "t.json.gz", "t.csv.gz"),
    ],
)
@settings(max_examples=25)
@given(size=st.integers(1, 40), count=st.integers(1, 30), gap=st.integers(0, 40))
def test_parts_are_the_table_in_pieces(tmp_path_factory, name, size, count, gap):
    rows = [{"a": f"text {index}, «{index}»", "b": str(index)} for index in range(count)]
    path = write(tmp_path_factory.mktemp("parts") / name, rows)
    if name == "t.jsonl":
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines[:gap], "", *lines[gap:], '{"late": 1, "a": "x"}']))
    table, parts = read_table(path), list(read_parts(path, size))
    assert max(len(part.frame) for part in parts) <= size
    joined = pd.concat([part.frame for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(joined, table.frame)
    assert np.concatenate([part.source_rows for part in parts]).tolist() == (
        table.source_rows.tolist()
    )


def test_parts_of_a_folder_are_numbered_through(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    datasets.Dataset.from_list(ROWS * 5).save_to_disk(tmp_path / "saved", num_shards=3)
    parts = list(read_parts(tmp_path / "saved", 2))
    assert np.concatenate([part.source_rows for part in parts]).tolist() == list(range(1, 16))
    assert pd.concat([part.frame for part in parts]).to_dict("records") == ROWS * 5


def test_whole_numbers_stay_whole_beside_gaps(tmp_path):
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pa.table({"n": [1, None, 3]}), path)
    assert read_table(path).frame["n"].tolist() == [1, None, 3]


def test_bad_rows_of_all_parts_are_named_after_the_last(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": "x"}\n{broken\n{"a": "y"}\n{"a": "z"}\n[1]\n')
    parts, found = read_parts(path, 2), []
    with pytest.raises(DataError) as caught:
        found += [part.source_rows.tolist() for part in parts]
    assert [problem.where for problem in caught.value.problems] == [
        "t.jsonl row 2",
        "t.jsonl row 5",
    ]
    path.write_text("{broken\n" * 5)
    with pytest.raises(DataError, match="row 5"):
        list(read_parts(path, 2))


def test_quoted_tsv_cells_of_all_parts_are_counted_once(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "_PART", 2)
    path = tmp_path / "t.tsv"
    path.write_text('a\n"one"\n"two"\n"three"\nfour\n')
    assert read_table(path).notes[0].startswith("t.tsv: 3 cells begin and end")


@pytest.mark.parametrize("name", ["t.jsonl", "t.csv.gz", "t.parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path, name):
    def peak(count):
        rows = [{"a": f"text {index} " * 20, "b": str(index)} for index in range(count)]
        path = write(tmp_path / name, rows)
        del rows
        tracemalloc.start()
        total = sum(len(part.frame) for part in read_parts(path, 200))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total == count
        return size

    peak(1000)
    # The texts of the longer file are 2 MB more; half of one may go to buffers and dictionaries.
    assert peak(10_000) < peak(1000) + 500_000
