"""The records of a delimited text file, counted and cut without the reader that parses them.

`count_records` is a fast look at bytes, good enough to notice that the reader lost something. `RecordPattern.cut` is
slow and exact: it goes through the lines and gets over quotes that never close, so that one of them costs one record.
"""

import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TextIO

import numpy as np
import pyarrow as pa

TOO_FEW_COLUMNS = "too few columns"
TOO_MANY_COLUMNS = "too many columns"
BROKEN_QUOTES = "broken quotes"
TOO_LONG = "line over 2 MB"

MAX_RECORD = 2_000_000
"""Bytes of a record; DuckDB reads none that is longer."""

_MAX_SEARCH = 64_000_000  # how far the end of a quoted value is looked for
_MAX_BROKEN_LINES = 1000
_CHUNK = 1 << 20
_LINE_FEED, _CARRIAGE_RETURN = b"\n\r"

Style = Literal["doubled", "escaped", "plain"]
"""How quotes are meant: doubled inside a quoted value (RFC 4180), escaped by a backslash there, or as any letter."""


@dataclass(frozen=True)
class RecordCount:
    """How many records a file holds, at a glance.

    Args:
        records (`int`): Runs of bytes between line ends, leaving out line ends after an odd number of quotes.
        inner_line_ends (`int`): Those line ends.
    """

    records: int
    inner_line_ends: int


def count_records(path: str | Path, quote: str = "") -> RecordCount:
    """Count the records of a text file; blank lines are none.

    Args:
        path (`str` or `Path`): A file in UTF-8 or Latin-1, plain or compressed (`.gz`, `.zst`).
        quote (`str`, *optional*): What may enclose line ends. A value such as `5" disk` misleads the count.

    Returns:
        [`RecordCount`]: The count.

    Raises:
        OSError: The file cannot be read to its end.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     size = Path(folder, "log.csv").write_bytes(b'a,"two\\nlines"\\n\\nb,1')
        ...     count_records(Path(folder, "log.csv"), '"')
        RecordCount(records=2, inner_line_ends=1)
    """
    records = inner = quotes = 0
    ended = True
    with pa.input_stream(str(path), compression="detect") as source:
        while chunk := source.read(_CHUNK):
            data = np.frombuffer(chunk, np.uint8)
            ends = (data == _LINE_FEED) | (data == _CARRIAGE_RETURN)
            if quote and (quotes or quote.encode() in chunk):
                # Sums of bytes overflow, and stay odd or even as they were.
                enclosed = (np.cumsum(data == ord(quote), dtype=np.uint8) + np.uint8(quotes)) & 1 == 1
                quotes = int(enclosed[-1])
                inner += int((ends & enclosed).sum())
                ends &= ~enclosed
            records += int((ends[:-1] & ~ends[1:]).sum()) + int(ended and not ends[0])
            ended = bool(ends[-1])
    return RecordCount(records, inner)


def open_text(path: str | Path, encoding: str, newline: str | None = None) -> TextIO:
    """A text file, unpacked when its name ends in `.gz` or `.zst`; undecodable bytes become U+FFFD."""
    unpacked = pa.input_stream(str(path), compression="detect")
    return io.TextIOWrapper(io.BufferedReader(unpacked), encoding=encoding, errors="replace", newline=newline)


class Record(NamedTuple):
    """A piece of a file that is one record.

    Args:
        text (`str`): Its lines, with `\\n` between them.
        reason (`str`, *optional*): Why it is no row.
    """

    text: str
    reason: str | None = None


class RecordPattern:
    """What records of a layout look like.

    Args:
        delimiter (`str`): What stands between values.
        quote (`str`): What encloses values; empty where nothing does.
        style (`Style`): How quotes are meant; see there.
        columns (`int`): How many values a record has.
        multiline (`bool`, *optional*): Whether values of the file span lines. Then the lines after broken quotes, up
            to the next row, belong to the broken record.

    Example:
        >>> pattern = RecordPattern(",", '"', "doubled", 2)
        >>> lines = ['a,"two', 'lines"', 'b,"never closed', 'c,1']
        >>> [(record.text, record.reason) for record in pattern.cut(lines)]
        [('a,"two\\nlines"', None), ('b,"never closed', 'broken quotes'), ('c,1', None)]
    """

    def __init__(self, delimiter: str, quote: str, style: Style, columns: int, *, multiline: bool = False) -> None:
        self.delimiter, self.style, self.columns = delimiter, style, columns
        self.multiline = multiline
        self.quote = quote = "" if style == "plain" else quote
        if not quote:
            return
        mark, cut, bar = re.escape(quote), re.escape(delimiter), re.escape("\\")
        inside = f"[^{mark}]*(?:{mark}{mark}[^{mark}]*)*"
        if style == "escaped":
            inside = f"[^{mark}{bar}]*(?:(?:{bar}.|{mark}{mark})[^{mark}{bar}]*)*"
        open_end = f"{inside}{bar}?" if style == "escaped" else inside
        value = f"(?:{mark}{inside}{mark}|[^{mark}{cut}][^{cut}]*|)"
        self._whole = re.compile(f"{value}(?:{cut}{value})*")
        self._opens = re.compile(f"(?:{value}{cut})*{mark}{open_end}")
        self._stays = re.compile(open_end)
        self._reopens = re.compile(f"{inside}{mark}(?:{cut}{value})*{cut}{mark}{open_end}")
        self._closes = re.compile(f"{inside}{mark}(?:{cut}{value})*")
        self._may_close = re.compile(f"{mark}(?:{cut}|$)")
        self.quoted = re.compile(f"(?:^|(?<={cut})){mark}{inside}{mark}(?={cut}|\\Z)", re.DOTALL)

    def cut(self, lines: Iterable[str]) -> Iterator[Record]:
        """The records of a file.

        Args:
            lines (`Iterable[str]`): Its lines, without line ends.

        Yields:
            [`Record`]: Each whole, or with the reason why it is no row; a blank line is an empty one.
        """
        ahead = _LinesAhead(lines)
        while (line := ahead.peek(0)) is not None:
            if len(line) <= MAX_RECORD and self._is_whole(line):  # as nearly all are
                ahead.take(1)
                yield Record(line)
                continue
            length = self._length(ahead, 0)
            reason = None if length else BROKEN_QUOTES
            text = ahead.take(length or self._broken_length(ahead))
            if len(text) > MAX_RECORD:
                reason = TOO_LONG
            yield Record(text, reason)

    def count_columns(self, text: str) -> int:
        """How many values a whole record has."""
        if not self.delimiter:
            return 1
        bare = self.quoted.sub("", text) if self.quote and self.quote in text else text
        return bare.count(self.delimiter) + 1

    def _is_whole(self, line: str) -> bool:
        return not self.quote or self.quote not in line or self._whole.fullmatch(line) is not None

    def _length(self, ahead: "_LinesAhead", start: int) -> int:
        """How many lines the record has that begins at a line; 0 where its quotes are broken."""
        line = ahead.peek(start)
        if line is None:
            return 0
        if self._is_whole(line):
            return 1
        if not self._opens.fullmatch(line):
            return 0
        length, size, inner_row = 1, len(line), False
        while size <= _MAX_SEARCH and (line := ahead.peek(start + length)) is not None:
            length, size = length + 1, size + len(line) + 1
            if self.quote not in line:
                inner_row = inner_row or self._is_plain_row(line)
                continue
            if self._closes.fullmatch(line):
                return 0 if inner_row else length
            if not (self._stays.fullmatch(line) or self._reopens.fullmatch(line)):
                return 0
        return 0

    def _begins_row(self, ahead: "_LinesAhead", place: int) -> bool:
        """Whether a line after broken quotes is the first of another record, be it a good one or not."""
        line = ahead.peek(place) or ""
        cuts = line.count(self.delimiter) - (self.columns - 1)
        if cuts == 0 or not self.multiline:
            return cuts >= 0
        length = self._length(ahead, place) if self.quote in line else 0
        return length > 0 and self.count_columns(ahead.text(place, length)) == self.columns

    def _is_plain_row(self, line: str) -> bool:
        """Whether a line between two quotes is more likely a row, after a quote that should not be there."""
        return self.columns > 2 and line.count(self.delimiter) == self.columns - 1

    def _broken_length(self, ahead: "_LinesAhead") -> int:
        """How many lines a record with broken quotes has: up to the line that may close it, if one does before the
        next row; else up to that row where values span lines, or with the lines that hold no delimiter."""
        length = closed = 1
        while length < _MAX_BROKEN_LINES and (line := ahead.peek(length)) is not None:
            if self._begins_row(ahead, length):
                break
            length += 1
            if self._may_close.search(line):
                closed = length
        if closed > 1 or self.multiline:
            return closed if closed > 1 else length
        rest = (ahead.peek(place) or "" for place in range(1, length))
        return 1 + next((place for place, line in enumerate(rest) if self.delimiter in line or not line), length - 1)


class _LinesAhead:
    """Lines that can be looked at before they are taken."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._source = iter(lines)
        self._buffer: deque[str] = deque()

    def peek(self, place: int) -> str | None:
        while len(self._buffer) <= place:
            line = next(self._source, None)
            if line is None:
                return None
            self._buffer.append(line)
        return self._buffer[place]

    def text(self, place: int, count: int) -> str:
        return "\n".join(self.peek(place + each) or "" for each in range(count))

    def take(self, count: int) -> str:
        if count == 1:
            return self._buffer.popleft()
        return "\n".join(self._buffer.popleft() for _ in range(count))
