import gzip

import pytest

from dataset_builders.input_error import InputError
from dataset_builders.raw_log import connect
from dataset_builders.sources.delimited import Dialect, read_delimited

CSV = Dialect(("a", "b"), ",", '"', header=True)


@pytest.fixture
def read(tmp_path):
    connection = connect(tmp_path, threads=2)

    def read_files(*contents, dialect=CSV, suffix=".csv"):
        paths = []
        for index, content in enumerate(contents):
            paths.append(tmp_path / f"{index}{suffix}")
            paths[-1].write_bytes(content)
        found = read_delimited(connection, "toy", paths, dialect)
        rows = sorted((row["source_file"], row["source_row"], row["a"]) for row in found.rows.to_pyarrow().to_pylist())
        rejected = found.rejected.to_pyarrow().to_pylist()
        return rows, sorted((row["source_file"], row["source_row"], row["raw"], row["reason"]) for row in rejected)

    return read_files


def test_rows_and_rejected_lines_keep_their_line_number(read):
    rows, rejected = read(b"a,b\nx,1\ny\nz,3\nx,y,z\nlast,5")
    assert rows == [("0.csv", 2, "x"), ("0.csv", 4, "z"), ("0.csv", 6, "last")]
    assert rejected == [
        ("0.csv", 3, "y", "too few columns"),
        ("0.csv", 5, "x,y,z", "too many columns"),
    ]


def test_bytes_that_are_no_utf_8_cost_one_line(read):
    rows, rejected = read(b"a,b\ncaf\xe9,4\nlast,5\n")
    assert rows == [("0.csv", 3, "last")]
    ((file, line, _, reason),) = rejected
    assert (file, line, reason) == ("0.csv", 2, "broken encoding")


def test_lines_are_counted_per_file(read):
    rows, rejected = read(b"a,b\nx\ny,1\n", b"a,b\nz,1\nq\nw,2\n")
    assert rows == [("0.csv", 3, "y"), ("1.csv", 2, "z"), ("1.csv", 4, "w")]
    assert [place[:2] for place in rejected] == [("0.csv", 2), ("1.csv", 3)]


def test_quoted_values_may_hold_anything(read):
    rows, rejected = read(b'a,b\n"x, ""y""\nz",1\nplain "word",2\n')
    assert [row[2] for row in rows] == ['x, "y"\nz', 'plain "word"']
    assert rejected == []


@pytest.mark.parametrize("broken", [b'x,"never closed', b'x,"closed"early', b'x,"a"b"'])
def test_a_broken_quote_costs_one_line(read, broken):
    rows, rejected = read(b"a,b\n" + broken + b"\n" + b"".join(b"u%d,1\n" % i for i in range(5000)))
    assert len(rows) == 5000
    assert rejected == [("0.csv", 2, broken.decode(), "broken quotes")]


def test_a_line_that_is_too_long_costs_one_line(read):
    rows, rejected = read(b"a,b\nx," + b"y" * 3_000_000 + b"\nz,1\n")
    assert [row[2] for row in rows] == ["z"]
    assert [line[3] for line in rejected] == ["line over 2 MB"]


@pytest.mark.parametrize(
    "content", [b"a,b\r\nx,1\r\nz,2\r\n", b"\xef\xbb\xbfa,b\nx,1\nz,2", b"a,b\nx,1\r\nz,2\n", b"a,b\rx,1\rz,2\r"]
)
def test_line_ends_and_byte_order_marks_do_not_matter(read, content):
    rows, rejected = read(content)
    assert ([row[2] for row in rows], rejected) == (["x", "z"], [])


def test_two_characters_may_delimit(read):
    rows, _ = read(b'x "y::1\nz::2\n', dialect=Dialect(("a", "b"), "::"))
    assert [row[1:] for row in rows] == [(1, 'x "y'), (2, "z")]


def test_latin_1_is_decoded(read):
    rows, _ = read(b"caf\xe9|1\n", dialect=Dialect(("a", "b"), "|", encoding="latin-1"))
    assert rows[0][2] == "café"


def test_compressed_files_are_read_and_truncated_ones_refused(read):
    packed = gzip.compress(b"a,b\n" + b"".join(b"u%d,1\n" % (i * i) for i in range(2000)))
    assert len(read(packed, suffix=".csv.gz")[0]) == 2000
    with pytest.raises(InputError, match=r"0.csv.gz cannot be read.*complete"):
        read(packed[:-20], suffix=".csv.gz")


def test_file_names_are_no_patterns(tmp_path):
    for name in ("log[1].csv", "log1.csv"):
        (tmp_path / name).write_text("a,b\nx,1\n")
    read = read_delimited(connect(tmp_path), "toy", [tmp_path / "log[1].csv"], CSV)
    assert [row["source_file"] for row in read.rows.to_pyarrow().to_pylist()] == ["log[1].csv"]
