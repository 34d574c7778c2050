"""MIND: news that readers were shown and clicked. Its impressions are real, so they can be the candidates.

`behaviors.tsv` has a line per visit: who came when, what the user had clicked before the log began (the same list in
each line of a user, without times), and what was shown, each with 1 where it was clicked. Those earlier clicks get
invented times: a second apart, in their order, the last a second before the first visit of the whole log. So they
stand at the begin of every history, belong to training under either split protocol, and no item of the log counts as
published later than somebody read it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ..cells.written_times import UTC_MICROSECONDS, parse_with_format
from ..events import IMPRESSION
from ..input_error import InputError
from ..interactions import QUARANTINE_TYPES
from ..raw_log import LogLicense, RawLog
from ..schema import (
    DESCRIPTION,
    ITEM_ID,
    SOURCE_FILE,
    SOURCE_PLACE,
    SOURCE_ROW,
    TIMESTAMP,
    TITLE,
    USER_ID,
)
from ..tables.stored_tables import drop_stored, store
from .delimited import MAX_RAW_CHARS, Dialect, ReadRows, read_delimited
from .named_rows import NamedRows
from .nested_events import explode_events
from .official_files import find_files, select_columns
from .records import open_text

WHAT = "MIND"
LICENSE = LogLicense(
    "other",
    redistributable=False,
    notice="MIND is for research under the Microsoft Research License Terms, and may not be redistributed.",
)
HOMEPAGE = "https://msnews.github.io/"
CITATION = """@inproceedings{wu2020mind,
  author = {Fangzhao Wu and Ying Qiao and Jiun-Hung Chen and Chuhan Wu and Tao Qi and Jianxun Lian and Danyang Liu and
    Xing Xie and Jianfeng Gao and Winnie Wu and Ming Zhou},
  title = {MIND: A Large-scale Dataset for News Recommendation},
  booktitle = {Proceedings of the 58th Annual Meeting of the Association for Computational Linguistics},
  pages = {3597--3606},
  year = {2020}
}"""

CLICK, EARLIER_CLICK = "click", "earlier_click"
NO_LABEL = "impression without a click label"

_TIME_FORMAT = "%m/%d/%Y %I:%M:%S %p"
_CLICKED_BEFORE, _SHOWN = "clicked_before", "shown"
_BEHAVIOR_COLUMNS = ("impression_id", USER_ID, TIMESTAMP, _CLICKED_BEFORE, _SHOWN)
_CATEGORY, _SUBCATEGORY = "category", "subcategory"
_NEWS_COLUMNS = (ITEM_ID, _CATEGORY, _SUBCATEGORY, TITLE, DESCRIPTION, "url", "title_entities", "abstract_entities")
_WORDS = r"\S+"
_HEAD_CHARS = 1 << 20


def read_mind(connection: DuckDB, *, folder: str | Path) -> RawLog:
    """Read MIND-small or MIND-large.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        folder (`str` or `Path`): Where `behaviors.tsv` and `news.tsv` lie, or the folder above `MINDsmall_train` and
            `MINDsmall_dev`, which are then read together. The test set, whose clicks are not published, is left out.

    Returns:
        [`RawLog`]: One event `click` or `impression` per news shown, and one `earlier_click` per news that a user had
        clicked before the log began, each once, with an invented time (see the module). Tags are category and
        subcategory, the description is the abstract.

    Raises:
        InputError: The folder does not hold the files, or only the test set.
    """
    paths, notes = _labelled(find_files(folder, ("behaviors.tsv", "*/behaviors.tsv"), WHAT))
    news = find_files(folder, ("news.tsv", "*/news.tsv"), WHAT)
    visits = read_delimited(connection, "mind_visits", paths, Dialect(_BEHAVIOR_COLUMNS, "\t"))
    described = read_delimited(connection, "mind_news", news, Dialect(_NEWS_COLUMNS, "\t"))
    visits = replace(visits, rows=store("mind_timed", _with_times(visits.rows), connection))
    log = _to_events(connection, visits)
    category, subcategory = described.rows[_CATEGORY], described.rows[_SUBCATEGORY]
    tags = ibis.array([category, subcategory.nullif(category)]).filter(lambda tag: tag.notnull())
    items = described.rows.select(SOURCE_FILE, SOURCE_ROW, ITEM_ID, TITLE, DESCRIPTION, tags=tags)
    raw = RawLog("mind", log.rows, items, log.rejected, "iso", LICENSE, HOMEPAGE, CITATION, notes=notes)
    return replace(raw, counted=log.counted, rejected_items=described.rejected, counted_items=described.counted)


def _labelled(paths: Sequence[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """The files that say what was clicked, and a note where others are left out."""
    labelled = [path for path in paths if _has_labels(path)]
    if not labelled:
        raise InputError(
            f"{paths[0]} does not say what was clicked: it is of the test set, whose clicks are not published. Use "
            "the train or dev set."
        )
    left_out = [path.parent.name for path in paths if path not in labelled]
    note = f"{', '.join(left_out)} does not say what was clicked (the test set does not) and is left out."
    return labelled, (note,) if left_out else ()


def _has_labels(path: Path) -> bool:
    """Whether the first line with impressions has a label on one of them."""
    with open_text(path, "utf-8-sig") as file:
        for line in iter(lambda: file.readline(_HEAD_CHARS), ""):
            shown = line.rstrip("\n").rpartition("\t")[2].split()
            if shown:
                return any(word.endswith(("-0", "-1")) for word in shown)
    return True  # an empty file says so itself


def _with_times(visits: ir.Table) -> ir.Table:
    """Visits with ISO 8601 in place of their times; what cannot be read stays as it is."""
    text = visits[TIMESTAMP]
    parsed = parse_with_format(text, _TIME_FORMAT)
    moment = parsed.cast(UTC_MICROSECONDS)
    return visits.mutate(moment=moment, timestamp=ibis.coalesce(moment.cast("string"), text))


def _to_events(connection: DuckDB, visits: ReadRows) -> ReadRows:
    """One row per news shown and per earlier click; visits that show nothing, and news without a label, set aside."""
    columns = {name: name for name in (USER_ID, TIMESTAMP, _SHOWN)}
    listed = visits.rows.mutate(shown=_words(visits.rows[_SHOWN]))
    named = NamedRows(listed, visits.rejected, visits.counted, columns, shown="behaviors.tsv")
    exploded = explode_events(connection, "mind_visits", named, [_SHOWN])
    shown = select_columns(exploded, columns, WHAT).rows
    label = shown[_SHOWN].re_extract(r"^.+-([01])$", 1)
    labelled = shown.mutate(item_id=shown[_SHOWN].re_replace(r"-[01]$", ""), label=label)
    bad = labelled.filter(labelled.label == "")
    good = labelled.filter(labelled.label != "")
    good = good.mutate(event=(good.label == "1").ifelse(CLICK, IMPRESSION)).drop(_SHOWN, "label")
    raw = bad[_SHOWN].left(MAX_RAW_CHARS)
    rejected = exploded.rejected.union(bad.select(SOURCE_FILE, SOURCE_ROW, raw=raw, reason=ibis.literal(NO_LABEL)))
    earlier, num_earlier = _earlier_clicks(connection, visits.rows)
    events = good if earlier is None else good.union(earlier.select(*good.columns))
    counted = None if exploded.counted is None else exploded.counted + num_earlier
    events, rejected = store("mind_events", events, connection), store("mind_rejected", rejected, connection)
    for table in ("mind_visits_exploded", "mind_histories_exploded"):
        drop_stored(table, connection)
    return ReadRows(events, rejected, counted)


def _earlier_clicks(connection: DuckDB, visits: ir.Table) -> tuple[ir.Table | None, int]:
    """What users had clicked before the log began, each list once, and how many clicks that are by their lengths."""
    listed = visits.mutate(words=_words(visits[_CLICKED_BEFORE]))
    listed = listed.mutate(length=listed.words.length())
    order = [ibis.desc("length"), SOURCE_FILE, SOURCE_ROW]
    placed = listed.mutate(turn=ibis.row_number().over(group_by=USER_ID, order_by=order))
    longest = placed.filter((placed.turn == 0) & (placed.length > 0))
    longest = store("mind_histories", longest.select(SOURCE_FILE, SOURCE_ROW, USER_ID, "words", "length"), connection)
    lines = int(connection.execute(longest.count()))
    if not lines:
        return None, 0
    columns = {name: name for name in (USER_ID, "words", "length")}
    none = ibis.memtable([], schema=QUARANTINE_TYPES)
    named = NamedRows(longest, none, lines, columns, shown="behaviors.tsv")
    exploded = explode_events(connection, "mind_histories", named, ["words"])
    clicks = select_columns(exploded, {USER_ID: USER_ID, ITEM_ID: "words", "length": "length"}, WHAT).rows
    clicks = clicks.cross_join(visits.aggregate(begin=visits.moment.min()))
    seconds_before = (clicks.length - clicks[SOURCE_PLACE] + 1).cast("int64").as_interval("s")
    time = (clicks.begin - seconds_before).cast("string")
    return clicks.mutate(timestamp=time, event=ibis.literal(EARLIER_CLICK)), int(exploded.counted or 0)


def _words(text: ir.StringValue) -> ir.ArrayValue:
    return _extract_all(text.fill_null(""), _WORDS)


@ibis.udf.scalar.builtin(name="regexp_extract_all")
def _extract_all(text: str, pattern: str) -> list[str]: ...  # type: ignore[empty-body]
