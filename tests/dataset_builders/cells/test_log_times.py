import ibis
import pytest

from logs2lang.dataset_builders.cells.log_times import parse_times
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.raw_log import connect

MAY_DAY = "2024-05-01T00:00:00+00:00"  # 1714521600 seconds after 1970


@pytest.fixture
def times_of(tmp_path):
    connection = connect(tmp_path)

    def parse(values, time_format="auto", kind=None):
        table = ibis.memtable({"time": values}, schema=kind and {"time": kind})
        read = parse_times(table.time, time_format, connection)
        parsed = connection.to_pyarrow(table.select(time=read.times))
        parse.notes = read.notes
        return [time and time.isoformat() for time in parsed["time"].to_pylist()]

    return parse


@pytest.mark.parametrize(
    "written",
    [
        "1714521600",
        " 1714521600.0 ",
        "1714521600000",
        "1714521600000000",
        "1714521600000000000",
        "2024-05-01",
        "2024-05-01 00:00",
        "2024-05-01T00:00:00Z",
        "2024-05-01T02:00:00+02:00",
        "2024-04-30 19:00:00-0500",
        "2024-05-01T00:00:00.000000",
    ],
)
def test_every_way_to_write_may_day(times_of, written):
    assert times_of([written]) == [MAY_DAY]


def test_numbers_and_iso_may_be_mixed(times_of):
    assert times_of(["1714521600", "2024-05-01", "soon", None]) == [MAY_DAY, MAY_DAY, None, None]


def test_each_number_has_the_unit_in_which_it_is_likely(times_of):
    mixed = ["1714521600000", "1714521600000", "1714521600", "1714521600000000"]
    assert times_of(mixed) == [MAY_DAY] * 4
    assert times_of.notes == (
        "1 of 4 times are in seconds and 1 of 4 times are in microseconds, the others in milliseconds: each "
        "value is a plausible time in only one unit.",
    )


def test_one_unit_needs_no_note(times_of):
    times_of(["1714521600", "1714521601", "2024-05-01", "0"])
    assert times_of.notes == ()


def test_seconds_are_no_milliseconds_where_the_user_says_so(times_of):
    assert times_of(["1714521600000", "1714521600000", "1714521600"], "milliseconds") == [MAY_DAY, MAY_DAY, None]


def test_nobody_logged_in_the_early_seventies(times_of):
    assert times_of(["1714521600", "1714521600", "20240501"]) == [MAY_DAY, MAY_DAY, None]
    assert times_of(["100000", "200000"], "seconds") == [
        "1970-01-02T03:46:40+00:00",
        "1970-01-03T07:33:20+00:00",
    ]  # from 0 on


def test_a_forced_format_reads_nothing_else(times_of):
    assert times_of(["1714521600", "2024-05-01"], "seconds") == [MAY_DAY, None]
    assert times_of(["1714521600000", "2024-05-01"], "milliseconds") == [MAY_DAY, None]
    assert times_of(["1714521600", "2024-05-01"], "iso") == [None, MAY_DAY]


def test_formats_of_strptime(times_of):
    assert times_of(["01.05.24 02:00 +0200", "2024-05-01"], "%d.%m.%y %H:%M %z") == [MAY_DAY, None]
    assert times_of([20240501, 20240501], "%Y%m%d") == [MAY_DAY, MAY_DAY]


def test_a_zone_is_that_of_its_own_row(times_of):
    written = ["Tue Apr 30 17:00:00 -0700 2024", "Wed May 01 00:00:00 2024", "1 May 2024"]
    assert times_of(written) == [MAY_DAY] * 3


def test_days_of_a_spreadsheet(times_of):
    assert times_of(["45413", "45413,5"], "spreadsheet") == [MAY_DAY, "2024-05-01T12:00:00+00:00"]


def test_microseconds_survive(times_of):
    assert times_of(["1714521600.123456"]) == ["2024-05-01T00:00:00.123456+00:00"]


def test_typed_columns_need_no_format(times_of):
    assert times_of([1714521600, 1714521600]) == [MAY_DAY, MAY_DAY]


def test_dates_without_dashes_are_not_guessed(times_of):
    with pytest.raises(InputError, match="20240501 may be dates without dashes"):
        times_of(["20240501"])
    with pytest.raises(InputError, match=r"202405011200 may be .* milliseconds .* May 1976.*%Y%m%d%H%M"):
        times_of(["202405011200"])
    with pytest.raises(InputError, match=r"2024050112 may be .* February 2034.*%Y%m%d%H"):
        times_of(["2024050112"])
    assert times_of(["20240501"], "seconds") == ["1970-08-23T06:21:41+00:00"]


def test_a_unit_that_the_user_named_in_error_dates_nothing_1970(times_of):
    assert times_of(["1714521600"], "milliseconds") == [None]
    assert times_of(["1714521600000"], "microseconds") == [None]
    assert times_of(["40000000000"], "milliseconds") == ["1971-04-08T23:06:40+00:00"]  # no later time in another unit


def test_times_of_a_year_that_nobody_meant_are_asked_for(times_of):
    with pytest.raises(InputError, match=r"such as 738642 would be in January 1970 as .*--time-format seconds"):
        times_of(["738641", "738642", "738643"])


@pytest.mark.parametrize(
    ("values", "formats"),
    [(["240501", "231231"], "%y%m%d"), (["202405", "202312"], "%Y%m"), (["201205", "201206"], "%y%m%d or %Y%m")],
)
def test_short_numbers_that_are_all_dates_are_asked_for_with_their_format(times_of, values, formats):
    with pytest.raises(InputError, match=rf"dates without dashes, say --time-format {formats}; if they count from"):
        times_of(values)
    with pytest.raises(InputError, match=r"since 1970\. If they count from"):
        times_of([*values, *values, "999999"])


@pytest.mark.parametrize("rounded", ["1.71452E+12", "1.714522E+12", "1.71452e+12", "1.7E+18", "1.71452e+012"])
def test_times_that_a_spreadsheet_rounded_are_not_read(times_of, rounded):
    assert times_of(["1714521600000", rounded]) == [MAY_DAY, None]
    assert times_of.notes[0].startswith(f"1 times such as {rounded!r} were rounded")
    assert times_of(["1714521600000", rounded], "milliseconds") == [MAY_DAY, None]
    assert times_of.notes[0].startswith(f"1 times such as {rounded!r} were rounded")


def test_a_power_of_ten_with_all_its_digits_is_a_time(times_of):
    exact = ["1.7145216E+12", "1.714521600E+12", "1.7145216E12", "1.7145216e+18", "1.7145216e+09"]
    assert times_of(exact) == [MAY_DAY] * 5
    assert times_of(["1.714608e+12"]) == ["2024-05-02T00:00:00+00:00"]  # R writes a midnight so


def test_times_of_32_bits_have_a_note(times_of):
    assert times_of([1714521600.0], kind="float32") == ["2024-05-01T00:00:00+00:00"]
    assert "32-bit decimal numbers" in times_of.notes[0]
    times_of([1714521600.0], "seconds", kind="float32")
    assert "32-bit decimal numbers" in times_of.notes[0]
    times_of([1714521600.0], kind="float64")
    assert times_of.notes == ()
    times_of([86_400.0, 16_000_000.0], "seconds", kind="float32")  # from the beginning of a log: exact
    assert times_of.notes == ()


def test_the_short_name_of_several_zones_is_not_guessed(times_of):
    assert times_of(["2024-05-01 00:00:00", "2024-05-01 00:00:00 ist"]) == [MAY_DAY, None]


def test_the_short_name_of_a_zone_is_that_of_clocks_not_of_the_database(times_of):
    zoned = ["2024-05-01 17:07:09 BST", "2024-05-01 17:07:09 CET", "2024-05-01 17:07:09 EST"]
    assert times_of(zoned) == [f"2024-05-01T{hour}:07:09+00:00" for hour in (16, 16, 22)]
