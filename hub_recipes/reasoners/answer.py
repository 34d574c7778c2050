"""What a reasoner meant by its free text: the only parser of answers.

Reward, evaluation and demo all ask here, so an answer counts the same everywhere.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dataset_builders.prompts import neutralise, neutralise_lines
from dataset_builders.schema import CANDIDATE_LABELS, TITLE

# "B", "B.", "(B)", "**B**: Heat", but not the article of "A good film".
_OPENING = re.compile(r"^\W*([A-J])(?=\W*$|\s*[.):,*\-\]\n])")
_STATED = re.compile(r"\b(?:answer|choice|choose|pick|letter|option)\b\W*(?:(?:is|would be|will be)\b\W*)?([A-J])\b")
_ALONE = re.compile(r"\b([B-HJ])\b")  # A and I are words


def parse_answer(text: str, candidates: Sequence[Mapping[str, Any]]) -> int | None:
    """The candidate that an answer picks.

    Read in this order: a label that opens the answer, a label after a word such as "answer" or "option", the one
    candidate whose title is named, the one label that stands alone. Where a step finds several, the answer is invalid.

    Args:
        text (`str`): What the model wrote.
        candidates (`list[Item]`): As they were shown, the first as A.

    Returns:
        `int` or `None`: Place of the pick in `candidates`; `None` for no valid answer.

    Example:
        >>> films = [{"title": "Fargo"}, {"title": "Heat"}]
        >>> [parse_answer(text, films) for text in ("B", "The answer is A.", "I would take Heat", "C", "hard to say")]
        [1, 0, 1, None, None]
    """
    opening = _OPENING.match(text)
    if opening:
        return _place(opening[1], len(candidates))
    for found in (_STATED.findall(text), _named(text, candidates), _ALONE.findall(text)):
        if found:
            picks = {_place(label, len(candidates)) for label in found}
            return picks.pop() if len(picks) == 1 else None
    return None


def _place(label: str, num_candidates: int) -> int | None:
    place = CANDIDATE_LABELS.index(label)
    return place if place < num_candidates else None


def _named(text: str, candidates: Sequence[Mapping[str, Any]]) -> list[str]:
    """The labels of the candidates whose titles stand in the text; a title inside a longer one does not count."""
    left, labels = neutralise_lines(text).casefold(), []
    titles = [neutralise(candidate[TITLE]).casefold() for candidate in candidates]
    for place in sorted(range(len(titles)), key=lambda place: -len(titles[place])):
        whole = re.compile(rf"(?<!\w){re.escape(titles[place])}(?!\w)")
        if titles[place] and whole.search(left):
            labels.append(CANDIDATE_LABELS[place])
            left = whole.sub(" ", left)
    return labels
