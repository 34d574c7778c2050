"""Which titles of a catalogue a text names.

A trie over words and marks finds the longest title that starts at each place, in one pass over the text, however many
titles there are. Where a script sets words apart by spaces a token is a word; where it does not (Chinese, Japanese,
Korean with its particles, Thai, Lao, Khmer, Burmese) each sign is one.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from logs2lang.dataset_builders.prompting.prompts import sanitize, sanitize_lines

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
# Accents and vowel signs belong to their letter, and `\w` has none of them.
_ACCENTS = "".join(chr(code) for code in range(0x300, 0xFE30) if unicodedata.category(chr(code)) in ("Mn", "Mc"))
_TOKEN = re.compile(rf"(?:(?![{_UNSPACED}])[\w{_ACCENTS}])+|[{_UNSPACED}][\u3099\u309a]?|[^\w\s]")
_SHORT = re.compile(rf"(?:[{_UNSPACED}][\u3099\u309a]?){{1,2}}")
PLAIN_MARKS = str.maketrans("‘’ʼ“”„‐‑", "'''\"\"\"--")
"""Quotes and hyphens as a keyboard has them: a title and its copy may differ in those."""
_END = ""  # no token is empty, so this key of a node can hold the title that ends there

# "It", "Her" and "M" are films and words of any sentence; 10, 21 and 2012 are films and stand in dates, times and
# ratings. As titles they count only where they fill a field.
_FIELD_MARKS = frozenset("|;\"'“”‘’«»„*「」『』《》〈〉【】")

Trie = dict[str, Any]


class Mention(NamedTuple):
    """A title in a text, from `start` to before `end`."""

    title: str
    start: int
    end: int


class TitleIndex:
    """The titles of a catalogue, ready to be found in texts by `mentioned_titles`.

    Args:
        titles (`Iterable[str]`): As the catalogue has them. They are sanitized as in any prompt, so that a title is
            found in a text written from one.

    Example:
        >>> len(TitleIndex(["Fargo", "Heat", "Fargo"]))
        2
    """

    def __init__(self, titles: Iterable[str]):
        self.trie: Trie = {}
        self._size = 0
        for title in titles:
            self._add(sanitize(title))

    def __len__(self) -> int:
        return self._size

    def _add(self, title: str) -> None:
        tokens = [_spelled(token) for token in _TOKEN.findall(title)]
        if not tokens:
            return
        node = self.trie
        for token in tokens:
            node = node.setdefault(token, {})
        self._size += _END not in node
        node.setdefault(_END, title)


def mentioned_titles(text: str, index: TitleIndex) -> list[str]:
    """The titles that a text names, in the order of the text; one that is named twice comes twice.

    Case counts, because most titles are also words; composed and decomposed letters (é), half and full widths, printed
    and typed quotes are the same. Where one title begins another (Alien, Alien Resurrection) the longest that stands
    there is taken. A title that is a single letter or one English function word (It, Her, Go), has no letter at all
    (10, 2012, 9/11), or has only one or two signs of a script without spaces, counts only between quotes, bars or
    semicolons.

    Args:
        text (`str`): A verbalized history, or any text.
        index ([`TitleIndex`]): The titles to look for.

    Returns:
        `list[str]`: The titles, sanitized; compare them with `sanitize(title)`.

    Example:
        >>> index = TitleIndex(["Alien", "Alien Resurrection", "It"])
        >>> mentioned_titles("It shows: Alien Resurrection, twice Alien, no Aliens, and \\"It\\".", index)
        ['Alien Resurrection', 'Alien', 'It']
    """
    return [mention.title for mention in find_titles(sanitize_lines(text), index)]


def find_titles(text: str, index: TitleIndex) -> list[Mention]:
    """The titles that a text names, as [`mentioned_titles`] finds them, with their places in the text as it is.

    Example:
        >>> find_titles("次は千と千尋の神隠しを見る", TitleIndex(["千と千尋の神隠し"]))
        [Mention(title='千と千尋の神隠し', start=2, end=10)]
    """
    found, start = [], 0
    for line in text.splitlines(keepends=True):
        found += [Mention(title, start + begin, start + end) for title, begin, end in _titles_of_line(line, index)]
        start += len(line)
    return found


def _titles_of_line(line: str, index: TitleIndex) -> Iterator[Mention]:
    places = [match.span() for match in _TOKEN.finditer(line)]
    tokens = [_spelled(line[start:end]) for start, end in places]
    place = 0
    while place < len(tokens):
        title, end = _longest_title(tokens, place, index.trie)
        if title is not None and (not _needs_marks(title) or _fills_field(tokens, place, end)):
            yield Mention(title, places[place][0], places[end - 1][1])
            place = end
        else:
            place += 1


def _spelled(token: str) -> str:
    return token if token.isascii() else unicodedata.normalize("NFKC", token).translate(PLAIN_MARKS)


def _needs_marks(title: str) -> bool:
    return is_plain(title) or _SHORT.fullmatch(title) is not None


def _longest_title(tokens: list[str], start: int, trie: Trie) -> tuple[str | None, int]:
    """The longest title that begins at `start`, and the place after it."""
    node, title, end = trie, None, start
    for place in range(start, len(tokens)):
        if (next_node := node.get(tokens[place])) is None:
            break
        node = next_node
        if _END in node:
            title, end = node[_END], place + 1
    return title, end


def is_plain(title: str) -> bool:
    """Whether a title is what any text holds: a word of any sentence, a number, a date."""
    return len(title) == 1 or title.lower() in ENGLISH_STOP_WORDS or not any(map(str.isalpha, title))


def _fills_field(tokens: list[str], start: int, end: int) -> bool:
    """Whether the tokens of a title stand between marks that set off a field."""
    is_opened = start > 0 and tokens[start - 1] in _FIELD_MARKS
    return is_opened and (end == len(tokens) or tokens[end] in _FIELD_MARKS)
