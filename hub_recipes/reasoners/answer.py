"""What a reasoner meant by its free text: the only parser of answers.

Reward, evaluation and demo all ask here, so an answer counts the same everywhere. No label is favoured: what gives B
for B gives A for A, and a letter is a label only where a label can stand.
"""

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dataset_builders.prompts import neutralise, neutralise_lines, told_apart
from dataset_builders.schema import CANDIDATE_LABELS, TITLE
from hub_recipes.title_mentions import is_plain

_LABEL = r"((?-i:[A-J]))"
_MARKS = r"*_`~\"'“”‘’«»「」『』【】()\[\]{}<>‹›"
"""What may stand around a label: emphasis, quotes, brackets."""
_SPACED_LETTER = r"[^\W\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
"""A letter of a script that sets words apart by spaces, or whose words a title may not be cut out of."""
_END = r"(?![\w'’-])(?!\.\w)"  # no letter of a longer word, of an "E.T." or of an "A-list"
_FINISHED_THOUGHT = re.compile(r"^.*</(?:think|thinking|thought|reasoning)>", re.DOTALL | re.IGNORECASE)
_BEGUN_THOUGHT = re.compile(r"<(?:think|thinking|thought|reasoning)>.*", re.DOTALL | re.IGNORECASE)
_BOXED = re.compile(r"\\boxed\s*\{\s*(?:\\(?:text|textbf|mathrm|mathbf)\s*\{\s*)?([^{}]*)\}")
_TAGGED = re.compile(r"<\s*(answer|choice|pick|final)\s*>(.*?)<\s*/\s*\1\s*>", re.DOTALL | re.IGNORECASE)
_NAMES = r"(?:answer|choice|pick|option|label|letter|item|candidate|selection|recommendation|prediction)"
_JSON_FIELD = re.compile(rf'"(?:final_?)?{_NAMES}"\s*:\s*"([^"]*)"', re.IGNORECASE)

# A text that is nothing but a label, or opens with one that a mark sets off: "B", "(B)", "**B**: Heat", "B – it fits".
_WHOLE = re.compile(rf"^[\s{_MARKS}#>-]*{_LABEL}[\s{_MARKS}.:,;!。．]*$")
_OPENING = re.compile(rf"^[\s{_MARKS}#>]*{_LABEL}[{_MARKS}]*(?:\s*[.):,\]。．、：）](?!\w)|\s+[-–—=]+>?\s|\s*\n)")
# "The answer is B", "Answer: B", "Option B", "答案是B": a label after a word that announces one.
_STATED = re.compile(
    rf"(?:\b{_NAMES}\b(?:\s+(?:is|would\s+be|will\s+be|should\s+be))?|\b(?:choose|pick|select|go\s+with|recommend)\b"
    rf"|答案|选择|選択|答え|정답|คำตอบ)(?:\s+(?:{_NAMES}))?\s*(?:是|は|은|는|คือ)?\s*[:：=]?[\s{_MARKS}]*{_LABEL}{_END}"
    rf"(?=(?:\s+(?:because|since|as|for|is|by|or|and|in|with|–|—|-)\b|\s*[–—:.,;!?)\n{_MARKS}]|\s*$|[^\x00-\x7f]))",
    re.IGNORECASE,
)
_ALONE = re.compile(rf"(?<![\w'’.-])[{_MARKS}]*{_LABEL}{_END}[{_MARKS}]*")
_AND = re.compile(
    rf"\s*(?:[,/&、]|\b(?:or|and)\b)\s*(?:(?:or|and)\s+)?(?:{_NAMES}\s+)?[{_MARKS}]*{_LABEL}{_END}", re.IGNORECASE
)
_NOT = re.compile(rf"\b(?:not|rather\s+than|instead\s+of|over|than)\s+(?:{_NAMES}\s+)?[{_MARKS}]*$", re.IGNORECASE)
_ENDING = re.compile(r"[\s.!?。！？]*$")


def parse_answer(text: str, candidates: Sequence[Mapping[str, Any]]) -> int | None:
    """The candidate that an answer picks.

    What stands inside `<think>` is never read, and a thought that is not finished leaves no answer. Then the first of
    these that says anything decides: a box, a tag, a field of JSON (each read as an answer of its own); a text that is
    nothing but a label, or opens with one; a label that is announced ("the answer is B", "option B", in some other
    languages too); the titles of the candidates, the longest first, in any script; a label that marks set off or that
    ends the text. Any other letter alone is a word: so is A in "a good film", and no label may be easier to give than
    another. Where one of them finds several candidates, and where a label and a title contradict each other, the
    answer is invalid.

    Args:
        text (`str`): What the model wrote.
        candidates (`list[Item]`): As they were shown, the first as A.

    Returns:
        `int` or `None`: Place of the pick in `candidates`; `None` for no valid answer.

    Example:
        >>> films = [{"title": "Fargo"}, {"title": "Heat"}]
        >>> [parse_answer(text, films) for text in ("B", "The answer is A.", "I would take Heat", "C", "hard to say")]
        [1, 0, 1, None, None]
        >>> [parse_answer(text, films) for text in ("<think>A or B? A", "<think>A?</think> B", "B. Fargo")]
        [None, 1, None]
    """
    said = _readable(text)
    if said is None:
        return None
    for inner in _marked_answers(said):
        return parse_answer(inner, candidates)
    titles, left = _named(said, candidates)
    labels = _labels(left, said)
    picks = {CANDIDATE_LABELS.index(label) for label in labels} | set(titles)
    if not picks:
        alone = [found for found in _ALONE.finditer(left) if _stands_alone(found, left)]
        picks = {CANDIDATE_LABELS.index(label) for found in alone for label in _listed(found, left)}
    return picks.pop() if len(picks) == 1 and max(picks) < len(candidates) else None


def thinks(text: str) -> bool:
    """Whether a text holds a thought, finished or not. Some servers write only the mark of its end.

    Example:
        >>> [thinks(text) for text in ("<think>A", "C?</think>B", "I think B")]
        [True, True, False]
    """
    return _FINISHED_THOUGHT.match(text) is not None or is_unfinished_thought(text)


def is_unfinished_thought(text: str) -> bool:
    """Whether a model thought aloud and never came to an answer.

    Example:
        >>> [is_unfinished_thought(text) for text in ("<think>A, or B", "<think>A</think>B", "B")]
        [True, False, False]
    """
    return _BEGUN_THOUGHT.search(_FINISHED_THOUGHT.sub("", text)) is not None


def _readable(text: str) -> str | None:
    """The answer without thoughts, in plain letters: full-width ones, entities and composed forms are one spelling."""
    if is_unfinished_thought(text):
        return None
    return unicodedata.normalize("NFKC", html.unescape(_FINISHED_THOUGHT.sub("", text))).strip()


def _marked_answers(said: str) -> Iterable[str]:
    """What a model put where answers are expected: the last box, the last tag, a field of JSON."""
    boxed = _BOXED.findall(said)
    tagged = [inner for _, inner in _TAGGED.findall(said)]
    fields = _JSON_FIELD.findall(said)
    for found in (boxed, tagged, fields):
        if found:
            yield _unescaped(found[-1]) if found is fields else found[-1]


def _unescaped(text: str) -> str:
    try:
        return json.loads(f'"{text}"')
    except json.JSONDecodeError:
        return text


def _labels(left: str, said: str) -> list[str]:
    """The labels that stand where labels stand, in a text whose titles were taken out; all of "A or B"."""
    if whole := _WHOLE.match(said):
        return [whole[1]]
    opening = _OPENING.match(left)
    found = [*([opening] if opening else []), *_STATED.finditer(left)]
    meant = [one for one in found if not _NOT.search(left[: one.start(1)])]
    return [label for one in meant for label in _listed(one, left)]


def _listed(found: re.Match[str], left: str) -> list[str]:
    """A label and those that are named in one breath with it."""
    labels, place = [found[1]], found.end(1)
    while more := _AND.match(left, place):
        labels.append(more[1])
        place = more.end(1)
    return labels


def _stands_alone(found: re.Match[str], left: str) -> bool:
    """Whether a letter alone in a sentence is meant as a label."""
    is_marked = found[0] != found[1] or _ENDING.match(left, found.end(1)) or _AND.match(left, found.end(1))
    return bool(is_marked) and not _NOT.search(left[: found.start()])


def _named(said: str, candidates: Sequence[Mapping[str, Any]]) -> tuple[list[int], str]:
    """The candidates whose titles stand in a text, and the text without them; the longest titles first.

    A title that several candidates share names all of them, unless its year stands with it.
    """
    left = neutralise_lines(said)
    places: list[int] = []
    named: dict[str, set[int]] = {}
    for titles in ([candidate[TITLE] for candidate in candidates], told_apart(candidates)):
        for place, title in enumerate(titles):
            named.setdefault(_spelled(title), set()).add(place)
    for title in sorted(named, key=len, reverse=True):
        if not title or _WHOLE.match(title):
            continue
        whole = _field(title) if is_plain(title) else re.compile(_bounded(title), re.IGNORECASE)
        if found := list(whole.finditer(left)):
            if not all(_NOT.search(left[: one.start()]) for one in found) and not named[title] & set(places):
                places += sorted(named[title])
            left = whole.sub(" • ", left)
    return places, left


def _field(title: str) -> re.Pattern[str]:
    """A title that is a word of any sentence, such as It, or a number: named only where it stands by itself."""
    return re.compile(rf"(?:(?<=[{_MARKS}:])|^)\s*{re.escape(title)}\s*(?=[{_MARKS}.!]|$)", re.MULTILINE)


def _spelled(title: str) -> str:
    return unicodedata.normalize("NFKC", neutralise(html.unescape(title)))


def _bounded(title: str) -> str:
    """A pattern of a title as a whole. Letters of scripts without spaces may touch it: 我选Heat。"""
    before = rf"(?<!{_SPACED_LETTER})" if re.match(_SPACED_LETTER, title[0]) else ""
    after = rf"(?!{_SPACED_LETTER})" if re.match(_SPACED_LETTER, title[-1]) else ""
    return before + re.escape(title) + after
