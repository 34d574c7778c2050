from datetime import date

import ibis
import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.sources.local_dates import parse_local_times


@pytest.fixture
def parse(connection):
    def of(*dates, day_first=None):
        columns = {"place": range(len(dates)), "timestamp": dates}
        table = ibis.memtable(columns, schema={"place": "int64", "timestamp": "string"})
        said = {"shown": "The dates of h.csv", "name": "dates", "today": date(2026, 7, 1)}
        parsed = parse_local_times(table, connection, day_first=day_first, **said)
        return connection.to_pyarrow(parsed.order_by("place"))["timestamp"].to_pylist()

    return of


@pytest.mark.parametrize(
    ("dates", "iso"),
    [
        (["3/4/24", "13/4/24"], ["2024-04-03", "2024-04-13"]),
        (["3/4/24", "4/13/24"], ["2024-03-04", "2024-04-13"]),
        (["03-04-2024", "13-04-2024"], ["2024-04-03", "2024-04-13"]),
        (["4.3.24"], ["2024-03-04"]),  # no language writes the month first with dots
        (["04. 03. 2024"], ["2024-03-04"]),
        (["4.03.24 г."], ["2024-03-04"]),
        (["04.03.24.", "4.3.2024."], ["2024-03-04", "2024-03-04"]),  # Serbian and Croatian end in a dot
        (["24. 3. 4.", "24. 12. 31."], ["2024-03-04", "2024-12-31"]),  # Korean begins with the year
        (["5/5/24", "6/6/24"], ["2024-05-05", "2024-06-06"]),  # either way the same
        (["2024/3/4"], ["2024-03-04"]),
        (["2024-03-04"], ["2024-03-04"]),
        (["2024-03-04T10:00:00.5Z"], ["2024-03-04T10:00:00.5Z"]),  # left as it is
        (["13/4/24 0:05"], ["2024-04-13 00:05:00"]),
        (["4/13/24, 12:05 AM", "4/13/24, 12:05:09 p.m."], ["2024-04-13 00:05:00", "2024-04-13 12:05:09"]),
        (["2024年4月13日 下午5:07", "2024年4月3日"], ["2024-04-13 17:07:00", "2024-04-03"]),
        (["2024년 4월 13일 17시 7분 9초", "2024. 4. 3. 오전 5:07"], ["2024-04-13 17:07:09", "2024-04-03 05:07:00"]),
        (["2024-04-13\u00a05:07 PM", "٢٠٢٤-٠٤-١٣"], ["2024-04-13 17:07:00", "2024-04-13"]),
        (["4/13/24 17:01 PM", "4/13/24 17:01 AM"], ["2024-04-13 17:01:00", "4/13/24 17:01 AM"]),  # the second is none
        (["4/13/24 7:05:09.25 +0200", "4/13/24 7:05 UTC"], ["2024-04-13 07:05:09.25+0200", "2024-04-13 07:05:00Z"]),
        (["4/13/24 7:05:09 PDT", "4/13/24 7:05 PM CET"], ["2024-04-13 07:05:09-07:00", "2024-04-13 19:05:00+01:00"]),
        (["4/13/24 7:05:09 IST"], ["4/13/24 7:05:09 IST"]),  # India, Ireland and Israel have one
        (["13/4/98", "13/4/69", "13/4/68"], ["1998-04-13", "1969-04-13", "2068-04-13"]),
        (["13/05/2024 5:07:09 p. m.", "13/05/2024 5:07 a.\u00a0m."], ["2024-05-13 17:07:09", "2024-05-13 05:07:00"]),
        (["01.05.2024 17:07:09,123", "01.05.2024 17.07.09"], ["2024-05-01 17:07:09.123", "2024-05-01 17:07:09"]),
        (["2024/5/1 5:07:09 下午", "2024/5/1 5:07 上午"], ["2024-05-01 17:07:09", "2024-05-01 05:07:00"]),
        (["2024-05-01 5:07 PM PDT"], ["2024-05-01 17:07:00-07:00"]),
    ],
)
def test_the_whole_column_tells_the_order(parse, dates, iso):
    assert parse(*dates) == iso


@pytest.mark.parametrize(("day_first", "iso"), [(True, "2024-04-03"), (False, "2024-03-04")])
def test_dates_with_two_readings_are_refused_until_the_user_says_which(parse, day_first, iso):
    with pytest.raises(InputError, match=r"h\.csv can be read two ways: 3/4/24 .*--day-first or --month-first"):
        parse("3/4/24", "5/6/24", "7/7/24", "2024-03-04", "soon")
    assert parse("3/4/24", day_first=day_first) == [iso]


def test_dates_that_contradict_themselves_are_refused_with_one_of_each(parse):
    with pytest.raises(InputError, match="contradict each other: 13/4/24 has the day first, 4/14/24 the month"):
        parse("13/4/24", "4/14/24", "1/2/24")
    # Told which, what does not fit stays as it is and will be set aside.
    assert parse("13/4/24", "4/14/24", "1/2/24", day_first=True) == ["2024-04-13", "4/14/24", "2024-02-01"]


@pytest.mark.parametrize(
    ("dates", "written"),
    [
        (("24/05/13", "24/05/31"), "%y/%m/%d"),
        (("24-05-13 10:00", "24-05-31 10:00"), "%y-%m-%d"),
        (("10/05/13", "11/06/30", "24/12/31"), "%y/%m/%d"),  # years that could be days and months
    ],
)
def test_dates_that_seem_to_begin_with_a_short_year_are_refused(parse, dates, written):
    with pytest.raises(InputError, match=f"would lie in the future.*--time-format '{written}'.*--day-first"):
        parse(*dates)
    assert parse("24/05/31", day_first=True) == ["2031-05-24"]


def test_one_wrong_year_is_no_year_first(parse):
    assert parse("13/5/24", "14/5/24", "15/5/30") == ["2024-05-13", "2024-05-14", "2030-05-15"]


def test_what_is_no_date_stays_as_it_is(parse):
    texts = ["31/2/2024", "soon", "", "13/13/24", "1/2/3/24", "20/1/124", "29/2/2023", "3:4:24", "13/4/24 25:00", None]
    assert parse("14/4/24", *texts) == ["2024-04-14", *texts]
