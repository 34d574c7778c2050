"""Verbalized histories as a Parquet file: what a reasoner is trained on once the verbalizer is frozen."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import template_text
from logs2lang.dataset_builders.schema import EXAMPLE_ID, Record
from logs2lang.dataset_builders.whole_files import whole_file

from .text_record import to_metadata
from .verbalizer import write_and_count

TEXT = "text"
TOKENS = "tokens"
COMPRESSION = "compression"
ERROR = "error"
"""Of texts that were written in bulk: why a row has no text."""


def to_verbalizations(
    ids: Sequence[str],
    histories: Sequence[Sequence[Record]],
    verbalizer: Any,
    tokenizer: Any,
    progress: Callable[[int], None] | None = None,
    folds: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Write each history as text and count its tokens.

    Args:
        ids (`list[str]`): Name of each history.
        histories (`list[list[Record]]`): Oldest record first.
        verbalizer ([`Verbalizer`]): Writes the texts.
        tokenizer (`PreTrainedTokenizerBase`): Counts.
        progress (`Callable[[int], None]`, *optional*): Called with the number of finished histories.
        folds (`list[int]`, *optional*): The fold of successors that each text may read; see [`write_and_count`].

    Returns:
        `pandas.DataFrame`: `example_id`, `text`, `tokens` (int) and `compression`: tokens of the text over tokens of
        the template text of the same history. For a verbalizer that decides record by record also the number of
        records by decision.
    """
    texts, counts = write_and_count(verbalizer, histories, progress, folds)
    tokens = count_tokens(tokenizer, texts)
    template_tokens = count_tokens(tokenizer, [template_text(history) for history in histories])
    frame = pd.DataFrame({EXAMPLE_ID: list(ids), TEXT: texts, TOKENS: tokens})
    return frame.assign(**{COMPRESSION: frame[TOKENS] / template_tokens}).join(pd.DataFrame(counts, index=frame.index))


def count_tokens(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """The number of tokens of each text, without special tokens."""
    if not texts:
        return []
    return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]]


def require_no_other_table(path: Path) -> None:
    """Refuse to overwrite any other file: it may be the only copy of a log.

    Raises:
        InputError: It is not a Parquet file, or has other columns.
    """
    if not path.exists():
        return
    try:
        names = pq.read_schema(path).names
    except (pa.ArrowInvalid, OSError):
        names = []
    if not {EXAMPLE_ID, TEXT, TOKENS} <= set(names):
        raise InputError(
            f"{path} exists and does not contain verbalizations, so it is not replaced. Give another --output, or "
            "move it."
        )


def write_parquet(frame: pd.DataFrame, path: Path, record: Mapping[str, Any]) -> None:
    """Write texts as a whole file: a kill leaves no half of it.

    Args:
        frame (`pandas.DataFrame`): As [`to_verbalizations`] returns it.
        path (`Path`): Where to.
        record (`dict`): What decided the texts, for the metadata of the file; see `text_record`.
    """
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with whole_file(path) as partial:
        pq.write_table(table.replace_schema_metadata({**table.schema.metadata, **to_metadata(record)}), partial)
