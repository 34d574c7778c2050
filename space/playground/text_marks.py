"""What a text speaks of: which sentence stands for which records of the log, and what each title in it is."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from logs2lang.dataset_builders.prompting.prompts import sanitize
from logs2lang.dataset_builders.schema import ITEM_ID, SERIES, TAGS, TITLE, YEAR, Item, Record
from logs2lang.dataset_builders.successor_lists import SuccessorLists
from logs2lang.reasoners.title_mentions import TitleIndex, find_titles

from .decision import Decision, no_successors

# After a full stop, or after a semicolon: profiles list works so. The mark stays with what it ends.
_SENTENCE = re.compile(r".+?(?:[.!?;](?=\s)|$)\s*", re.DOTALL)
_QUOTED = re.compile(r"[\"“]([^\"“”\n]{2,80})[\"”]")
_WORD = re.compile(r"[^\W_]+")
_DECADE = re.compile(r"\b(\d{3}0)s\b")


Kind = Literal["", "record", "successor", "candidate", "unsupported"]


@dataclass(frozen=True)
class Span:
    """A piece of a sentence.

    Args:
        text (`str`): As it was written.
        kind (`str`): What it names: `"record"` (of the log), `"successor"` (what other users chose after a record),
            `"candidate"` (among either), `"unsupported"` (a title that is neither), or nothing.
        item_id (`str`, *optional*): Of a candidate.
    """

    text: str
    kind: Kind = ""
    item_id: str | None = None


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
        successors ([`SuccessorLists`], *optional*): What other users chose after the items of the history.
        candidates (`Sequence[str]`, *optional*): Their item ids.
    """

    def __init__(
        self,
        history: Sequence[Record],
        items: Mapping[str, Item],
        successors: SuccessorLists | None = None,
        candidates: Sequence[str] = (),
    ):
        names = [_names(record, items) for record in history]
        catalogue = (sanitize(item[TITLE]) for item in items.values())
        self._index = TitleIndex([*(name for of_record in names for name in of_record), *catalogue])
        self._names = [{name.casefold() for name in of_record} for of_record in names]
        self._followed_by = [_following(record, items, successors or no_successors()) for record in history]
        self._in_log = set().union(*self._names)
        self._successors = set().union(*self._followed_by)
        self._candidates = {sanitize(items[item_id][TITLE]).casefold(): item_id for item_id in candidates}
        self._traits = [_traits(record, items) for record in history]

    @classmethod
    def of(cls, decision: Decision) -> "TextMarks":
        """The marks of texts about a decision."""
        return cls(decision.history, decision.items, decision.successors, decision.candidates)

    def sentences(self, text: str) -> list[Sentence]:
        """Cut a text into sentences and say what each speaks of.

        Args:
            text (`str`): A verbalization.

        Returns:
            `list[Sentence]`: Joined, their spans are the text. A sentence that names no title of the log speaks of
            the records after which other users chose what it names, or else of those that share a tag or a decade
            with it.

        Example:
            >>> items = {"i1": {"title": "Fog", "series": None, "tags": ["noir"], "year": 1950, "description": None},
            ...     "i2": {"title": "Dew", "series": None, "tags": [], "year": 2001, "description": None}}
            >>> marks = TextMarks([{"item_id": "i1", "title": "Fog"}], items)
            >>> [(sentence.records, [span.kind for span in sentence.spans])
            ...     for sentence in marks.sentences("Likes noir. Saw Fog; and Dew")]
            [([0], ['']), ([0], ['', 'record', '']), ([], ['', 'unsupported'])]
        """
        pieces = [piece for line in text.splitlines(keepends=True) for piece in self._pieces(line)]
        return [Sentence(self._spans(piece), self._records(piece)) for piece in pieces]

    def _pieces(self, line: str) -> list[str]:
        """The sentences of a line; a full stop inside a title (G.I. Joe) ends none."""
        mentions = find_titles(line, self._index)
        ends = [match.end() for match in _SENTENCE.finditer(line)]
        cuts = [end for end in ends if not any(mention.start < end < mention.end for mention in mentions)]
        return [line[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(line)], strict=True) if begin < end]

    def unsupported(self, text: str) -> list[str]:
        """The titles that a text names and neither the log nor its successors hold, each once.

        A title is a title of the catalogue, or words in double quotes.
        """
        spans = [span for sentence in self.sentences(text) for span in sentence.spans]
        return list(dict.fromkeys(span.text for span in spans if span.kind == "unsupported"))

    def _records(self, sentence: str) -> list[int]:
        named = {mention.title.casefold() for mention in find_titles(sentence, self._index)}
        by_name = [place for place, names in enumerate(self._names) if named & names]
        if by_name:
            return by_name
        if followed := [place for place, titles in enumerate(self._followed_by) if named & titles]:
            return followed
        words = f" {_words(sentence)} "
        decades = set(_DECADE.findall(sentence))
        return [
            place
            for place, (tags, decade) in enumerate(self._traits)
            if decade in decades or any(f" {tag} " in words for tag in tags)
        ]

    def _spans(self, sentence: str) -> list[Span]:
        spans, start = [], 0
        for begin, end, title in self._title_places(sentence):
            spans += [Span(sentence[start:begin])] if begin > start else []
            spans.append(self._span(sentence[begin:end], title))
            start = end
        return [*spans, Span(sentence[start:])] if start < len(sentence) else spans

    def _span(self, text: str, title: str) -> Span:
        if title not in self._in_log | self._successors:
            return Span(text, "unsupported")
        if title in self._candidates:
            return Span(text, "candidate", self._candidates[title])
        return Span(text, "record" if title in self._in_log else "successor")

    def _title_places(self, sentence: str) -> list[tuple[int, int, str]]:
        """Where titles stand, none inside another, and which they are, in small letters."""
        quoted = [(*match.span(1), _plain(match[1])) for match in _QUOTED.finditer(sentence)]
        places = [place for place in quoted if place[2] not in self._in_log | self._successors]
        for mention in find_titles(sentence, self._index):
            if not any(begin < mention.end and mention.start < end for begin, end, _ in places):
                places.append((mention.start, mention.end, mention.title.casefold()))
        return sorted(places)


def _plain(quoted: str) -> str:
    return sanitize(quoted).strip(" .,;:!?").casefold()


def _following(record: Record, items: Mapping[str, Item], successors: SuccessorLists) -> set[str]:
    """The titles that other users chose after a record, in small letters."""
    return {sanitize(items[one.item_id][TITLE]).casefold() for one in successors.after(record[ITEM_ID])}


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
