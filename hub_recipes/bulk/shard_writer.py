"""What an actor does: it loads a verbalizer once, then writes one shard of texts after the other."""

import os
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from socket import gethostname
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import EXAMPLE_ID, HISTORY, USER
from logs2lang.dataset_builders.successors import fold_to_read
from logs2lang.dataset_builders.whole_files import whole_file

from ..evaluation.table_rows import to_verbalizer
from ..models.accelerators import MatmulPrecision, set_matmul_precision
from ..models.language_models import DEFAULT_BASE_MODEL, load_language_model, load_tokenizer
from ..models.weights import Weights
from ..verbalizers.action import UNDECIDED, ActionVerbalizer
from ..verbalizers.by_rule import is_written_by_rule
from ..verbalizers.learned import load_adapters
from ..verbalizers.verbalization_file import COMPRESSION, ERROR, TEXT, TOKENS, to_verbalizations
from ..verbalizers.verbalizer import History, without_disk_cache
from .text_shards import TextShards

BATCH = 256
"""Examples that an actor holds in memory at once."""

READ = (EXAMPLE_ID, USER, HISTORY)
"""What is read of an example."""

ROWS, TROUBLE = "rows", "trouble"
"""Columns of what an actor says of a shard: how many texts it has, and the stack trace if it could not be written."""


@dataclass(frozen=True)
class Writing:
    """Who writes, and how; small enough to be sent to every actor.

    Args:
        dataset (`Path`): The built folder, which every machine sees at this path.
        split (`str`): Which examples.
        verbalizer (`str`): Its name, such as `"successors"` or `"action"`.
        adapter (`str`, *optional*): Hub id or folder, for a verbalizer that is loaded.
        model (`str`, *optional*, defaults to `DEFAULT_BASE_MODEL`): Writes `zero_shot`, and counts the tokens.
        history_length (`int`, *optional*): How many of the newest records; all by default.
        matmul_precision (`str`, *optional*, defaults to `"highest"`): See [`set_matmul_precision`].
    """

    dataset: Path
    split: str
    verbalizer: str
    adapter: str | None = None
    model: str = DEFAULT_BASE_MODEL
    history_length: int | None = None
    matmul_precision: MatmulPrecision = "highest"

    def load(self, weights: Weights | None = None) -> tuple[Any, Any, int]:
        """The verbalizer, the tokenizer that counts, and the number of folds of successors.

        Args:
            weights ([`Weights`], *optional*): What loads the weights; see [`load_language_model`].

        Raises:
            InputError: The dataset, an adapter or a model cannot be loaded.
        """
        set_matmul_precision(self.matmul_precision)
        built = BuiltDataset.open(self.dataset)
        needs_model = not (self.adapter or is_written_by_rule(self.verbalizer))
        language_model = load_language_model(self.model, weights=weights) if needs_model else None
        tokenizer = load_tokenizer(self.model) if language_model is None else language_model.tokenizer
        if self.adapter is None:
            verbalizer = to_verbalizer(self.verbalizer, built, language_model, weights)
        else:
            adapters = {self.verbalizer: self.adapter}
            verbalizer = load_adapters(adapters, built.items(), built.known_successors(), weights)[self.verbalizer]
        # Many actors would share one cache; what a shard has cost is kept in the shard.
        return without_disk_cache(verbalizer), tokenizer, built.successor_folds

    def read(self, example: Mapping[str, Any], folds: int) -> tuple[History, int]:
        """The records of an example that a verbalizer gets, and the fold of successors that its text may read.

        Args:
            example (`dict`): A row of the dataset.
            folds (`int`): How many there are.
        """
        history = example[HISTORY] if self.history_length is None else example[HISTORY][-self.history_length :]
        return history, fold_to_read(example[USER], self.split, folds)


class ShardWriter:
    """An actor of Ray Data: takes numbers of shards, writes the shards, and says of each how many texts it has.

    Args:
        writing ([`Writing`]): Who writes.
        texts ([`TextShards`]): Which shard holds what.
    """

    def __init__(self, writing: Writing, texts: TextShards):
        self.writing = writing
        self.texts = texts

    def __call__(self, batch: Mapping[str, Sequence[int]]) -> dict[str, list[Any]]:
        told = [self._write_and_tell(int(number)) for number in batch["item"]]
        return {ROWS: [rows for rows, _ in told], TROUBLE: [trouble for _, trouble in told]}

    def _write_and_tell(self, number: int) -> tuple[int, str]:
        try:
            return self.write(number), ""
        except Exception:  # told as an ordinary answer: the whole run ends with one sentence, and Ray retries nothing
            return 0, traceback.format_exc()

    def write(self, number: int) -> int:
        """Write one shard, unless it is there: an actor may die between the end of a shard and saying so.

        Args:
            number (`int`): Its place in `texts.shards`.

        Returns:
            `int`: How many texts it has.
        """
        shard = self.texts.shards[number]
        if not shard.path.exists():
            # Ray may give a shard to another actor while the first one, cut off from the network, still writes it.
            own = f"{gethostname()}-{os.getpid()}"
            with whole_file(shard.path, own) as partial, pq.ParquetWriter(partial, self._schema) as file:
                for batch in shard.batches(READ, BATCH):
                    file.write_table(pa.Table.from_pylist(self.rows(batch.to_pylist()), self._schema))
        return len(shard.rows)

    def rows(self, examples: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The texts of some examples; one that cannot be written has its error instead.

        Where several examples fail together, each half is tried alone, until the bad ones stand alone.
        """
        try:
            return self._written(examples)
        except (MemoryError, OSError):  # the machine's trouble, and no row's
            raise
        except Exception as error:
            if len(examples) == 1:
                said = " ".join(f"{type(error).__name__}: {error}".split())
                return [{EXAMPLE_ID: examples[0][EXAMPLE_ID], ERROR: said}]
            middle = len(examples) // 2
            return self.rows(examples[:middle]) + self.rows(examples[middle:])

    def _written(self, examples: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        verbalizer, tokenizer, folds = self._loaded
        read = [self.writing.read(example, folds) for example in examples]
        ids, histories = [example[EXAMPLE_ID] for example in examples], [history for history, _ in read]
        frame = to_verbalizations(ids, histories, verbalizer, tokenizer, folds=[fold for _, fold in read])
        return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]

    @cached_property
    def _loaded(self) -> tuple[Any, Any, int]:
        return self.writing.load()

    @cached_property
    def _schema(self) -> pa.Schema:
        """The columns of `logs2lang verbalize`, and the error of a row that has no text."""
        verbalizer = self._loaded[0]
        decided = (*verbalizer.known, UNDECIDED) if isinstance(verbalizer, ActionVerbalizer) else ()
        kinds = {EXAMPLE_ID: pa.string(), TEXT: pa.string(), TOKENS: pa.int64(), COMPRESSION: pa.float64()}
        counted = dict.fromkeys(decided, pa.int64())
        return pa.schema({**kinds, **counted, ERROR: pa.string()}, self.texts.metadata)


def require_in_order(verbalizer: str) -> None:
    """Refuse rules whose texts depend on those before them.

    Raises:
        InputError: It draws decisions at random.
    """
    if verbalizer in ("action:random", "lists:random"):
        raise InputError(
            f"{verbalizer} draws its decisions one after the other, so its texts cannot be written in parallel. Leave "
            "out --engine ray, or choose another --verbalizer."
        )
