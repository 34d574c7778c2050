import ibis
import pytest

from logs2lang.dataset_builders.cells.written_times import check_strptime_format, parse_written_times
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.raw_log import connect


def read(tmp_path, *written):
    table = ibis.memtable({"place": range(len(written)), "time": list(written)})
    times = table.select("place", time=parse_written_times(table.time)).order_by("place")
    return [time and time.isoformat() for time in connect(tmp_path).to_pyarrow(times)["time"].to_pylist()]


@pytest.mark.parametrize(
    "written",
    [
        "2024-05-01 10:07:09 -0700",
        "2024-05-01 10:07:09 -07:00",
        "2024-05-01 10:07:09 -07",
        "2024-05-01 17:07:09 UTC",
        "2024-05-01 17:07:09 Z",
        "2024-05-01 17:07:09 +0000 UTC",
        "2024-05-01 19:07:09 UTC+2",
        "2024-05-01 19:07:09 GMT+02:00",
        "2024-05-01T10:07:09-07:00[America/Los_Angeles]",
        "2024-05-01 17:07:09,000",
        "2024-05-01 17:07:09.000000000",
        "2024-05-01-17.07.09.000000",
        "20240501T170709Z",
        "20240501T170709",
        "20240501T190709+0200",
        "20240501 170709",
        "20240501170709",
        "20240501170709000",
        "Wed, 01 May 2024 10:07:09 -0700",
        "Wed, 1 May 2024 17:07:09 GMT",
        "Wed May 01 10:07:09 -0700 2024",
        "Wed May  1 17:07:09 2024",
        "Wed May 1 17:07:09 UTC 2024",
        "Wed May 01 2024 10:07:09 GMT-0700 (Pacific Daylight Time)",
        "01/May/2024:17:07:09 +0000",
        "01-MAY-2024 17:07:09",
        "May 1, 2024, 5:07:09 PM",
        "May 1st, 2024 at 5:07:09 p.m. UTC",
        "20240501 17:07:09",
        "2024-05-01T170709Z",
        "2024-May-01 17:07:09",
        "01-MAY-24 05.07.09.000 PM",
        "[01/May/2024:17:07:09 +0000]",
        "Posted May 1, 2024 5:07:09 PM.",
        "Reviewed in the United Kingdom on 1 May 2024 17:07:09",
        "Wed May 01 10:07:09 PDT 2024",
        "2024-05-01 18:07:09 BST",
        "May 1, 2024, 5:07:09\u202fPM",
        "２０２４-05-01 17：07：09",
        "May 1, 2024, 5:07:09 p. m.",
        "May 1, 2024, 10:07:09 AM PDT",
        "01MAY2024:17:07:09",
        "1 May 24 17:07:09",
        "2024-05-01 10:07:09 -0700 PDT",
        "2024-05-01 22:37:09 +0530 IST",
        "20240501T100709 PDT",
        "mercredi 1er mai 2024 17:07:09",
        "1. Mai 2024 um 17:07:09 Uhr",
        "miércoles, 1 de mayo de 2024, 5:07:09 p.\u00a0m.",
        "1 maggio 2024 17:07:09",
        "1 de maio de 2024 às 17:07:09",
        "1 mei 2024 17:07:09",
        "01-MAI-24 17:07:09",
        "Mittwoch, 1. Mai 2024 19:07:09 MESZ",
    ],
)
def test_every_way_to_write_one_moment(tmp_path, written):
    assert read(tmp_path, written) == ["2024-05-01T17:07:09+00:00"]


def test_parts_of_a_second_and_days(tmp_path):
    assert read(
        tmp_path, "2024-05-01 17:07:09,123", "20240501170709123", "2 September 2024", "May  1 2024  5:07PM"
    ) == [
        "2024-05-01T17:07:09.123000+00:00",
        "2024-05-01T17:07:09.123000+00:00",
        "2024-09-02T00:00:00+00:00",
        "2024-05-01T17:07:00+00:00",
    ]


@pytest.mark.parametrize(
    "written",
    ["soon", "", "Mayday 2024", "May 01 2024 17:07AM", "20241301170709", "2024-02-30", "1 Mau 2024", "5 May 7"],
)
def test_what_is_no_time(tmp_path, written):
    assert read(tmp_path, written) == [None]


@pytest.mark.parametrize(
    ("written", "month"),
    [("3 févr. 2024", 2), ("3. März 2024", 3), ("3 abr 2024", 4), ("3 août 2024", 8), ("3 DÉCEMBRE 2024", 12)],
)
def test_months_of_other_languages(tmp_path, written, month):
    assert read(tmp_path, written) == [f"2024-{month:02d}-03T00:00:00+00:00"]


@pytest.mark.parametrize(
    ("written", "year"), [("1-May-98", 1998), ("01-MAY-69", 1969), ("01-MAY-68", 2068), ("1 May 24", 2024)]
)
def test_a_year_of_two_digits_is_that_of_strptime(tmp_path, written, year):
    assert read(tmp_path, written) == [f"{year}-05-01T00:00:00+00:00"]


@pytest.mark.parametrize(
    ("zone", "hour"), [("HST", 22), ("AKDT", 20), ("BRT", 15), ("WAT", 11), ("EEST", 9), ("SGT", 4), ("AEST", 2)]
)
def test_the_short_name_of_one_zone(tmp_path, zone, hour):
    assert read(tmp_path, f"2024-05-01 12:00:00 {zone}") == [f"2024-05-01T{hour:02d}:00:00+00:00"]


@pytest.mark.parametrize("zone", ["IST", "ist", "AST", "ART", "ECT", "NST", "SST", "PRT"])
def test_the_short_name_of_several_zones_is_no_zone(tmp_path, zone):
    written = (f"2024-05-01 12:00:00 {zone}", f"2024-05-01T12:00:00.5 {zone}", f"20240501T120000 {zone}")
    assert read(tmp_path, *written) == [None] * 3


def test_a_format_is_checked_before_a_log_is_read(tmp_path):
    check_strptime_format("%d.%m.%Y %H:%M", connect(tmp_path))
    with pytest.raises(InputError, match=r"'%Q' cannot be read: .*%Q.*strptime"):
        check_strptime_format("%Q", connect(tmp_path))
