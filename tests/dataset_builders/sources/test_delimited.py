import gzip

import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.raw_log import connect
from logs2lang.dataset_builders.sources.delimited import Dialect, read_delimited

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
        found_rows = found.rows.to_pyarrow().to_pylist()
        rows = sorted((row["source_file"], row["source_row"], row["a"]) for row in found_rows)
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


def test_what_the_reader_leaves_out_is_counted_and_set_aside(read):
    rows, rejected = read(b"a,b\nx,1\ny," + b"y" * 40_000_000 + b"\nz,1\n")  # DuckDB names no reason for this one
    assert [row[1:] for row in rows] == [(2, "x"), (4, "z")]
    assert [(place, reason) for _, place, _, reason in rejected] == [(3, "line over 2 MB")]


REVIEWS = [f'u{place},"line one of {place}\nline, two"\n'.encode() for place in range(36)]


@pytest.mark.parametrize(
    "stray",
    [
        b'x,"never closed\n',
        b'x,"never closed\nin several, lines, that hold commas\nthe third\n',
        b'x,"he said "wow" to me\nand left, then, at last\nthe end"\n',
        b'x,"one too many""\n',
        b'"x,not closed either\n',
    ],
)
def test_a_stray_quote_among_values_of_several_lines_costs_one_row(read, stray):
    rows, rejected = read(b"a,b\n" + b"".join(REVIEWS[:7]) + stray + b"".join(REVIEWS[7:]))
    assert sorted(row[2] for row in rows) == sorted(f"u{place}" for place in range(36))
    assert [(place, raw, reason) for _, place, raw, reason in rejected] == [
        (9, stray.decode().rstrip("\n"), "broken quotes")
    ]


def test_a_quote_before_a_row_that_closes_later_swallows_no_rows(read):
    """RFC 4180 takes all of it for one value; no line of a text has exactly the columns of the file."""
    dialect = Dialect(("a", "b", "c"), "\t", '"', header=True)
    plain = b"".join(b"u%d\tfilm\tnews\n" % place for place in range(20))
    rows, rejected = read(b'a\tb\tc\nx\t"Not like\tnews\n' + plain + b'y\tthe end"\tnews\n', dialect=dialect)
    assert (len(rows), rejected) == (22, [])


def test_quotes_of_a_table_without_quoting_are_letters(read):
    dialect = Dialect(("id", "a"), "\t", '"', header=True)
    titles = ['"Not like him:" they say', "Plain", '"All quoted"', '5" disk']
    lines = ["id\ta", *(f"{place}\t{title}" for place, title in enumerate(titles))]
    rows, rejected = read("\n".join(lines).encode(), dialect=dialect)
    assert ([row[2] for row in rows], rejected) == (titles, [])


def test_a_value_may_begin_with_words_in_quotes(read):
    rows, rejected = read(b'a,b\n"Weird Al" Live,1\n"x, y",2\nz "Z",3\n"say ""hi""",4\n"stray,5\n')
    assert [row[-1] for row in rows] == ['"Weird Al" Live', "x, y", 'z "Z"', 'say "hi"']
    assert rejected == [("0.csv", 6, '"stray,5', "broken quotes")]


def test_a_stray_quote_makes_no_letters_of_the_others(read):
    dialect = Dialect(("a", "b"), "\t", '"', header=True)
    rows, rejected = read(b'"a"\t"b"\n' + b'"u"\t"x"\n' * 5 + b'"v"\t"x"y"\n', dialect=dialect)
    assert ({row[2] for row in rows}, len(rejected)) == ({"u"}, 1)


def test_backslashes_may_escape_quotes(read):
    dialect = Dialect(("b", "a"), ",", '"', header=True)
    lines = [b'\\"hi\\", and\nleft,1', b'it ends in \\"it\\"', b"one \\\\ bar"]
    rows, rejected = read(b"b,a\n" + b"".join(b'u,"' + line + b'"\n' for line in lines), dialect=dialect)
    assert {row[2] for row in rows} == {'"hi", and\nleft,1', 'it ends in "it"', "one \\ bar"}
    assert rejected == []


def test_a_path_of_windows_is_no_escape(read):
    rows, _ = read(b'a,b\n"C:\\films\\",1\n"D:\\",2\n')
    assert {row[2] for row in rows} == {"C:\\films\\", "D:\\"}


def test_backslash_n_is_no_value(read):
    rows, rejected = read(b"a,b\n\\N,1\nx,\\N\n")
    assert ({row[2] for row in rows}, rejected) == ({None, "x"}, [])


def test_records_are_counted_apart(tmp_path):
    """Blank lines are no records, line ends between quotes end none, and `5" disk` is no opening quote."""
    (tmp_path / "log.csv").write_bytes(b'a,b\n\nx,"1\n\n2"\r\n\r\n5" disk,1\n"y')
    read = read_delimited(connect(tmp_path), "toy", [tmp_path / "log.csv"], CSV)
    assert (read.counted, read.rows.count().execute(), read.rejected.count().execute()) == (3, 2, 1)
