"""One verbalization as a card: the text, how long it is, what it speaks of, and what the reasoner makes of it."""

from collections.abc import Collection, Sequence
from typing import Any

from logs2lang.dataset_builders.prompting.prompts import sanitize
from logs2lang.dataset_builders.schema import CANDIDATE_LABELS, TITLE, YEAR

from .comparison import BY_ACTION_RULE, Written
from .decision import Decision
from .markup import render
from .text_marks import TextMarks

TITLES = {
    "template": ("Template", "Every field of every record, one line each. The baseline."),
    "profile": ("Profile", "By rules: drops noise, merges repeats, counts interests."),
    "successors": ("Successors", "By rules: recent titles, and what other users most often chose after them."),
    "action": ("Action", "One decision per record: drop, keep, detail or next. Learned."),
    "zero_shot": ("Zero-shot", "A language model, prompted to rewrite the log."),
    "rewrite": ("Rewrite", "Writes the whole text freely. Learned."),
}
_ACTION_BY_RULE = (
    "Action, by a rule",
    "Keeps the 3 newest records with what other users chose next, drops the rest. Not learned.",
)
STATE_WORDS = {
    "empty": "Nothing yet",
    "waiting": "Waiting",
    "writing": "Writing …",
    "reading": "The reasoner is reading …",
    "done": "Done",
}


def writing_card(name: str, written: Written, decision: Decision, marks: TextMarks) -> str:
    """One verbalization as HTML.

    Args:
        name (`str`): Of the verbalizer.
        written ([`Written`]): Its text so far.
        decision ([`Decision`]): What was written about.
        marks ([`TextMarks`]): Of the same history.
    """
    title, what = _ACTION_BY_RULE if written.by == BY_ACTION_RULE else TITLES[name]
    sentences = marks.sentences(written.text)
    named = {span.item_id for sentence in sentences for span in sentence.spans}
    return render(
        "writing",
        name=name,
        title=title,
        what=what,
        state=written.state,
        state_words=STATE_WORDS[written.state],
        sentences=sentences,
        pick=written.pick,
        unsupported=marks.unsupported(written.text),
        tokens=written.tokens,
        percent=None if written.compression is None else round(100 * written.compression),
        by=written.by,
        choices=_choices(written, decision, named) if written.probabilities else [],
        outcome=_outcome(written, decision),
    )


def _choices(written: Written, decision: Decision, named: Collection[str | None]) -> Sequence[dict[str, Any]]:
    return [
        {
            "item_id": item_id,
            "label": label,
            "title": _title(decision.items[item_id]),
            "percent": round(100 * written.probabilities.get(item_id, 0.0), 1),
            "percent_text": f"{written.probabilities.get(item_id, 0.0):.0%}",
            "is_pick": item_id == written.pick,
            "is_target": item_id == decision.target,
            "is_named": item_id in named,
        }
        for label, item_id in zip(CANDIDATE_LABELS, decision.candidates, strict=False)
    ]


def _title(item: Any) -> str:
    year = "" if item[YEAR] is None else f" ({item[YEAR]})"
    return f"{sanitize(item[TITLE])}{year}"


def _outcome(written: Written, decision: Decision) -> str:
    if not written.probabilities or decision.target is None:
        return ""
    return "hit" if written.pick == decision.target else "miss"
