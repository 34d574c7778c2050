"""The order of viewings within a day, for exports that give the day but no time: the file is in order of time.

Two viewings of a day get the same midnight and would fall in a drawn order. Microseconds after it keep the order of
the file: they are below what any text shows, and the first episode stays before the second.
"""

import ibis
import ibis.expr.types as ir

from ...cells.written_times import UTC_MICROSECONDS
from ...schema import ITEM_ID, SOURCE_FILE, SOURCE_ROW, TIMESTAMP, USER_ID


def keep_file_order(rows: ir.Table, *, newest_first: bool) -> ir.Table:
    """Tell apart the viewings of a day.

    Args:
        rows (`ibis.Table`): `user_id`, `item_id`, `timestamp` (text: ISO 8601, or unreadable), `source_file`,
            `source_row`, and other columns.
        newest_first (`bool`): How the service orders its files; where the days of a file go the other way, they tell.

    Returns:
        `ibis.Table`: The same rows. A timestamp without a time of day became the place of its item in the day, as
        microseconds after midnight; rows equal in user, item and day stay equal.

    Example:
        >>> from logs2lang.dataset_builders.raw_log import connect
        >>> table = ibis.memtable({"user_id": ["ann"] * 3, "item_id": ["E2", "E1", "E0"], "source_file": ["f"] * 3,
        ...     "timestamp": ["2024-05-02", "2024-05-02", "2024-05-01"], "source_row": [2, 3, 4]})
        >>> keep_file_order(table, newest_first=True).order_by("source_row").execute()["timestamp"].str[8:-3].to_list()
        ['02 00:00:00.000001', '02 00:00:00', '01 00:00:00']
    """
    day = (rows[TIMESTAMP].length() <= len("2024-05-02")).ifelse(rows[TIMESTAMP].try_cast("date"), ibis.null("date"))
    dated = rows.mutate(day=day)
    before = dated.day.lag().over(group_by=SOURCE_FILE, order_by=SOURCE_ROW)
    dated = dated.mutate(step=(dated.day > before).cast("int8") - (dated.day < before).cast("int8"))
    same_day = [SOURCE_FILE, USER_ID, "day"]
    placed = dated.mutate(
        up=dated.step.sum().over(group_by=SOURCE_FILE).fill_null(0),
        seen_last=dated[SOURCE_ROW].max().over(group_by=[*same_day, ITEM_ID]),
    )
    goes_back = (placed.up == 0).ifelse(newest_first, placed.up < 0)
    order = goes_back.ifelse(-placed.seen_last, placed.seen_last)
    place = ibis.dense_rank().over(group_by=same_day, order_by=order)
    moment = placed.day.cast(UTC_MICROSECONDS) + place.as_interval("us")
    timestamp = placed.day.isnull().ifelse(placed[TIMESTAMP], moment.cast("string"))
    return placed.mutate(timestamp=timestamp).select(*rows.columns)
