"""The raw log as a table, in which a verbalizer's decisions and the records a sentence speaks of can be marked."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from logs2lang.dataset_builders.prompting.prompts import has_clock, sanitize
from logs2lang.dataset_builders.schema import (
    DEVICE,
    DURATION,
    EVENT,
    ITEM_ID,
    NOISE_EVENTS,
    TAGS,
    TIMESTAMP,
    TITLE,
    VALUE,
    YEAR,
    Record,
)
from logs2lang.verbalizers.decided_texts import DETAIL, DROP, KEEP, NEXT

from .decision import Decision
from .markup import render

VERDICT_WORDS = {KEEP: "kept", DROP: "dropped", DETAIL: "enriched", NEXT: "with successors"}


def log_table(decision: Decision, total: int, verdicts: Sequence[str] = ()) -> str:
    """The records as HTML.

    Args:
        decision ([`Decision`]): With the records to be shown.
        total (`int`): How many the log has.
        verdicts (`Sequence[str]`, *optional*): What `action` decided, one word per record; there may be fewer.
    """
    counts = Counter(verdict for verdict in verdicts if verdict)
    padded = [*verdicts, *[""] * (len(decision.history) - len(verdicts))]
    clock = has_clock(decision.history)
    rows = [_row(record, verdict, decision, clock) for record, verdict in zip(decision.history, padded, strict=True)]
    # A column of a kind that no record of this log has would only take room.
    has = {column: any(row[column] for row in rows) for column in ("duration", "value", "device")}
    ordered = {verdict: counts[verdict] for verdict in VERDICT_WORDS if verdict in counts}
    return render(
        "log_table", name=decision.name, rows=rows, has=has, total=total, verdicts=ordered, words=VERDICT_WORDS
    )


def _row(record: Record, verdict: str, decision: Decision, clock: bool) -> dict[str, Any]:
    when = cast(datetime, record[TIMESTAMP])
    return {
        "day": when.strftime("%Y-%m-%d"),
        "hour": when.strftime("%H:%M") if clock else "",
        "event": sanitize(record[EVENT]),
        "title": sanitize(record[TITLE]),
        "duration": "" if record[DURATION] is None else duration_text(record[DURATION]),
        "value": "" if record[VALUE] is None else f"{record[VALUE]:g}",
        "device": sanitize(record[DEVICE] or ""),
        "verdict": verdict,
        "details": _details(decision, record) if verdict == DETAIL else "",
        "is_noise_event": record[EVENT] in NOISE_EVENTS,
    }


def duration_text(seconds: float) -> str:
    """Seconds as people say them.

    Example:
        >>> duration_text(45), duration_text(5_460)
        ('45 s', '1 h 31 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def _details(decision: Decision, record: Record) -> str:
    item = decision.items.get(record[ITEM_ID])
    if item is None:
        return ""
    parts = [str(item[YEAR])] if item[YEAR] is not None else []
    return ", ".join([*parts, *(sanitize(tag) for tag in item[TAGS] or ())])
