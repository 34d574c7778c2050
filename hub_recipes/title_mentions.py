"""Which titles of a catalogue a text names.

A trie over words and marks finds the longest title that starts at each place, in one pass over the text, however many
titles there are.
"""

import re
from collections.abc import Iterable
from typing import Any

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from dataset_builders.prompts import neutralise, neutralise_lines

_TOKEN = re.compile(r"\w+|[^\w\s]")
_END = ""  # no token is empty, so this key of a node can hold the title that ends there

# "It", "Her" and "M" are films and words of any sentence; 10, 21 and 2012 are films and stand in dates, times and
# ratings. As titles they count only where they fill a field.
_FIELD_MARKS = frozenset("|;\"'“”‘’«»„*")

Trie = dict[str, Any]


class TitleIndex:
    """The titles of a catalogue, ready to be found in texts by `mentioned_titles`.

    Args:
        titles (`Iterable[str]`): As the catalogue has them. They are neutralised as in any prompt, so that a title is
            found in a text written from one.

    Example:
        >>> len(TitleIndex(["Fargo", "Heat", "Fargo"]))
        2
    """

    def __init__(self, titles: Iterable[str]):
        self.trie: Trie = {}
        self._size = 0
        for title in titles:
            self._add(neutralise(title))

    def __len__(self) -> int:
        return self._size

    def _add(self, title: str) -> None:
        tokens = _TOKEN.findall(title)
        if not tokens:
            return
        node = self.trie
        for token in tokens:
            node = node.setdefault(token, {})
        self._size += _END not in node
        node.setdefault(_END, title)


def mentioned_titles(text: str, index: TitleIndex) -> list[str]:
    """The titles that a text names, in the order of the text; one that is named twice comes twice.

    Case counts, because most titles are also words. Where one title begins another (Alien, Alien Resurrection) the
    longest that stands there is taken. A title that is a single letter or one English function word (It, Her, Go), or
    has no letter at all (10, 2012, 9/11), counts only between quotes, bars or semicolons.

    Args:
        text (`str`): A verbalized history, or any text.
        index ([`TitleIndex`]): The titles to look for.

    Returns:
        `list[str]`: The titles, neutralised; compare them with `neutralise(title)`.

    Example:
        >>> index = TitleIndex(["Alien", "Alien Resurrection", "It"])
        >>> mentioned_titles("It shows: Alien Resurrection, twice Alien, no Aliens, and \\"It\\".", index)
        ['Alien Resurrection', 'Alien', 'It']
    """
    found = []
    for line in neutralise_lines(text).splitlines():
        tokens = _TOKEN.findall(line)
        place = 0
        while place < len(tokens):
            title, end = _longest_title(tokens, place, index.trie)
            if title is not None and (not is_plain(title) or _fills_field(tokens, place, end)):
                found.append(title)
                place = end
            else:
                place += 1
    return found


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
