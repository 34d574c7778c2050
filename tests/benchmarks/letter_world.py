"""A world of letters: everybody takes film `k`, and an oracle knows it from a text that names `k` before others."""

import random
from datetime import datetime, timezone

from datasets import Dataset

from logs2lang.reasoners.ranking import Ranking

LETTERS = "abcdefghk"
ITEMS = {
    letter: {"item_id": letter, "title": letter, "year": None, "tags": [], "series": None, "description": None}
    for letter in LETTERS
}
WANTED = "k"


class Reader:
    """Picks the candidate whose title, a letter, comes first in the text; without any, the last one shown."""

    def rank(self, contexts, candidates, progress=None):
        return [self._rank(context, shown) for context, shown in zip(contexts, candidates, strict=True)]

    def _rank(self, context, shown):
        named = [item for letter in context for item in shown if item["title"] == letter]
        pick = (named or [shown[-1]])[0]["item_id"]
        return Ranking([pick, *(item["item_id"] for item in shown if item["item_id"] != pick)])


def letter_examples(number: int) -> Dataset:
    """Users who all want `k`, with four other letters beside it: to be hit, a text must name it before those."""
    draw = random.Random(0)
    rows = []
    for place in range(number):
        shown = draw.sample([WANTED, *draw.sample("abcdefgh", 4)], 5)
        record = {
            "timestamp": datetime(2024, 1, 1, tzinfo=timezone.utc),
            "item_id": "a",
            "title": "a",
            "event": "play",
        }
        rows.append(
            {
                "example_id": f"e{place}",
                "history": [{**record, "duration_s": None, "value": None, "device": None}],
                "candidates": [{"item_id": letter, "title": letter} for letter in shown],
                "target": WANTED,
            }
        )
    return Dataset.from_list(rows)
