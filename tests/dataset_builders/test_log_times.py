import ibis
import pytest

from dataset_builders.input_error import InputError
from dataset_builders.log_times import parse_times
from dataset_builders.raw_log import connect

MAY_DAY = "2024-05-01T00:00:00+00:00"  # 1714521600 seconds after 1970


@pytest.fixture
def times_of(tmp_path):
    connection = connect(tmp_path)

    def parse(values, time_format="auto"):
        table = ibis.memtable({"time": values})
        parsed = connection.to_pyarrow(table.select(time=parse_times(table.time, time_format, connection)))
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


def test_the_median_decides_the_unit(times_of):
    milliseconds = ["1714521600000", "1714521600000", "1714521600"]  # the last one lacks three digits
    assert times_of(milliseconds) == [MAY_DAY, MAY_DAY, "1970-01-20T20:15:21.600000+00:00"]


def test_a_forced_format_reads_nothing_else(times_of):
    assert times_of(["1714521600", "2024-05-01"], "seconds") == [MAY_DAY, None]
    assert times_of(["1714521600000", "2024-05-01"], "milliseconds") == [MAY_DAY, None]
    assert times_of(["1714521600", "2024-05-01"], "iso") == [None, MAY_DAY]


def test_microseconds_survive(times_of):
    assert times_of(["1714521600.123456"]) == ["2024-05-01T00:00:00.123456+00:00"]


def test_typed_columns_need_no_format(times_of):
    assert times_of([1714521600, 1714521600]) == [MAY_DAY, MAY_DAY]


def test_dates_without_dashes_are_not_guessed(times_of):
    with pytest.raises(InputError, match="20240501 may be dates without dashes"):
        times_of(["20240501"])
    assert times_of(["20240501"], "seconds") == ["1970-08-23T06:21:41+00:00"]
