"""What a text speaks of: which sentence stands for which records of the log, and which titles the log never held."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from logs2lang.dataset_builders.prompting.prompts import sanitize
from logs2lang.dataset_builders.schema import ITEM_ID, SERIES, TAGS, TITLE, YEAR, Item, Record
from logs2lang.reasoners.title_mentions import TitleIndex, find_titles

# After a full stop, or after a semicolon: profiles list works so. The mark stays with what it ends.
_SENTENCE = re.compile(r".+?(?:[.!?;](?=\s)|$)\s*", re.DOTALL)
_QUOTED = re.compile(r"[\"“]([^\"“”\n]{2,80})[\"”]")
_WORD = re.compile(r"[^\W_]+")
_DECADE = re.compile(r"\b(\d{3}0)s\b")


@dataclass(frozen=True)
class Span:
    """A piece of a sentence.

    Args:
        text (`str`): As it was written.
        unsupported (`bool`): Whether it names a title that is not in the log.
    """

    text: str
    unsupported: bool = False


@dataclass(frozen=True)
class Sentence:
    """A sentence, a line, or an entry of an enumeration.

    Args:
        spans (`Sequence[Span]`): Together exactly the text.
        records (`Sequence[int]`): Places in the history of the records that it speaks of.
    """

    spans: Sequence[Span]
    records: Sequence[int]


class TextMarks:
    """Finds what texts speak of, for one history.

    Args:
        history (`Sequence[Record]`): Oldest first.
        items (`dict[str, Item]`): The catalogue: titles that could be named, and the tags and years of the records.
    """

    def __init__(self, history: Sequence[Record], items: Mapping[str, Item]):
        names = [_names(record, items) for record in history]
        catalogue = (sanitize(item[TITLE]) for item in items.values())
        self._index = TitleIndex([*(name for of_record in names for name in of_record), *catalogue])
        self._names = [{name.casefold() for name in of_record} for of_record in names]
        self._known = set().union(*self._names)
        self._traits = [_traits(record, items) for record in history]

    def sentences(self, text: str) -> list[Sentence]:
        """Cut a text into sentences and say what each speaks of.

        Args:
            text (`str`): A verbalization.

        Returns:
            `list[Sentence]`: Joined, their spans are the text. A sentence that names no title of the log speaks of
            the records that share a tag or a decade with it.

        Example:
            >>> items = {"i1": {"title": "Fog", "series": None, "tags": ["noir"], "year": 1950, "description": None},
            ...     "i2": {"title": "Dew", "series": None, "tags": [], "year": 2001, "description": None}}
            >>> marks = TextMarks([{"item_id": "i1", "title": "Fog"}], items)
            >>> [(sentence.records, [span.unsupported for span in sentence.spans])
            ...     for sentence in marks.sentences("Likes noir. Saw Fog; and Dew")]
            [([0], [False]), ([0], [False]), ([], [False, True])]
        """
        pieces = [piece for line in text.splitlines(keepends=True) for piece in _SENTENCE.findall(line) or [line]]
        return [Sentence(self._spans(piece), self._records(piece)) for piece in pieces]

    def unsupported(self, text: str) -> list[str]:
        """The titles that a text names and the log does not, each once.

        A title is a title of the catalogue, or words in double quotes.
        """
        spans = [span for sentence in self.sentences(text) for span in sentence.spans]
        return list(dict.fromkeys(span.text for span in spans if span.unsupported))

    def _records(self, sentence: str) -> list[int]:
        named = {mention.title.casefold() for mention in find_titles(sentence, self._index)}
        by_name = [place for place, names in enumerate(self._names) if named & names]
        if by_name:
            return by_name
        words = f" {_words(sentence)} "
        decades = set(_DECADE.findall(sentence))
        return [
            place
            for place, (tags, decade) in enumerate(self._traits)
            if decade in decades or any(f" {tag} " in words for tag in tags)
        ]

    def _spans(self, sentence: str) -> list[Span]:
        spans, start = [], 0
        for begin, end in self._absent_places(sentence):
            spans += [Span(sentence[start:begin])] if begin > start else []
            spans.append(Span(sentence[begin:end], unsupported=True))
            start = end
        return [*spans, Span(sentence[start:])] if start < len(sentence) else spans

    def _absent_places(self, sentence: str) -> list[tuple[int, int]]:
        """Where titles stand that the log does not hold, none inside another."""
        places = [
            match.span(1)
            for match in _QUOTED.finditer(sentence)
            if sanitize(match[1]).strip(" .,;:!?").casefold() not in self._known
        ]
        for mention in find_titles(sentence, self._index):
            inside = any(begin < mention.end and mention.start < end for begin, end in places)
            if mention.title.casefold() not in self._known and not inside:
                places.append((mention.start, mention.end))
        return sorted(places)


def _names(record: Record, items: Mapping[str, Any]) -> list[str]:
    """What a text may call the work of a record: its title, or its series."""
    item = items.get(record[ITEM_ID])
    names = [record[TITLE], item[TITLE] if item else None, item[SERIES] if item else None]
    return [sanitize(name) for name in dict.fromkeys(names) if name]


def _traits(record: Record, items: Mapping[str, Any]) -> tuple[list[str], str | None]:
    item = items.get(record[ITEM_ID])
    if item is None:
        return [], None
    tags = [_words(sanitize(tag)) for tag in item[TAGS] or ()]
    return [tag for tag in tags if tag], None if item[YEAR] is None else str(item[YEAR] // 10 * 10)


def _words(text: str) -> str:
    """The words of a text in lower case, one blank between them."""
    return " ".join(_WORD.findall(text.casefold()))
