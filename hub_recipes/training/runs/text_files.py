"""A frozen verbalizer writes every split once: the texts that stage 2 is trained on."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pandas as pd
from datasets import Dataset

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.chosen_examples import choose_examples
from logs2lang.dataset_builders.schema import EXAMPLE_ID, FOLD, HISTORY

from ...console.exit_codes import UNFINISHED
from ...console.progress import Report, show_progress
from ...models.language_models import DEFAULT_BASE_MODEL, load_tokenizer
from ...models.model_folders import model_folder
from ...verbalizers.learned import LEARNED_VERBALIZERS
from ...verbalizers.text_record import examples_record, writer_record
from ...verbalizers.verbalization_file import to_verbalizations, write_parquet
from .run_record import read_run

PART = 256
"""Examples between two visits to the disk."""


@dataclass(frozen=True)
class TextFiles:
    """`train.parquet`, `validation.parquet` and `test.parquet`, as `logs2lang verbalize` writes them.

    Args:
        verbalizer ([`LanguageModelVerbalizer`]): Frozen; with its language model.
        dataset ([`BuiltDataset`]): Whose histories are written as text.
        folder (`Path`): Where to.
        writer (`dict`): What is recorded of the verbalizer; see [`writer_record`].
        limits (`dict[str, int]`, *optional*): How many examples of a split, drawn by `seed`; else all, 0 for none.
        history_length (`int`, *optional*): How many of the newest records; all by default.
        discoveries (`bool`, *optional*, defaults to `False`): Only examples whose target the user never touched.
        seed (`int`, *optional*, defaults to 42): As in training, or other examples would be chosen; 42 is what
            trainers of transformers start from.
    """

    verbalizer: Any
    dataset: BuiltDataset
    folder: Path
    writer: Mapping[str, Any]
    limits: Mapping[str, int]
    history_length: int | None = None
    discoveries: bool = False
    seed: int = 42

    @classmethod
    def by_adapter(cls, adapter: str, dataset: BuiltDataset, folder: Path, **choices: Any) -> "TextFiles":
        """With the verbalizer that an adapter's `run.json` says it is."""
        limits = {name.removesuffix("_limit"): choices.pop(name) for name in list(choices) if name.endswith("_limit")}
        name = read_run(model_folder(adapter))["verbalizer"]
        verbalizer = LEARNED_VERBALIZERS[name].from_pretrained(
            adapter, dataset.items(), successors=dataset.known_successors()
        )
        language_model = verbalizer.language_model  # a student has none
        model = DEFAULT_BASE_MODEL if language_model is None else language_model.model_id
        writer = writer_record(dataset, name, adapter, model, choices.get("history_length"))
        return cls(verbalizer, dataset, folder, writer, limits, **choices)

    def write(self, splits: Iterable[str], minutes: float | None = None) -> int:
        """Write what is missing.

        Args:
            splits (`list[str]`): Which.
            minutes (`float`, *optional*): Stop after so many; parts that are written stay.

        Returns:
            `int`: Exit code: 0 when all is there, 75 when the time limit came first.
        """
        deadline = None if minutes is None else monotonic() + 60 * minutes
        for split in splits:
            is_wanted = self.limits.get(split) != 0 and not self._path(split).exists()
            if is_wanted and not self._write_split(split, deadline):
                return UNFINISHED
        return 0

    def _write_split(self, split: str, deadline: float | None) -> bool:
        chosen = self.limits.get(split)
        of_split = self.dataset.examples(split)
        examples = choose_examples(of_split, chosen, self.seed, self.history_length, self.discoveries)
        record = {**examples_record(self.dataset, split, chosen, self.discoveries, self.seed), **self.writer}
        starts = range(0, len(examples), PART)
        # A part that is there is whole, so a kill costs one part at the most.
        parts = [self.folder / "parts" / f"{split}-{start:08}.parquet" for start in starts]
        with show_progress() as report:
            report("texts", split, 0, len(examples))
            for start, part in zip(starts, parts, strict=True):
                if not part.exists():
                    if deadline is not None and monotonic() >= deadline:
                        return False
                    chosen_part = examples.select(range(start, min(start + PART, len(examples))))
                    move = partial(_move, report, split, start, len(examples))
                    write_parquet(self._verbalized(chosen_part, move), part, record)
                report("texts", split, min(start + PART, len(examples)), len(examples))
        frame = pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)
        write_parquet(frame, self._path(split), record)
        return True

    def _path(self, split: str) -> Path:
        return self.folder / f"{split}.parquet"

    def _verbalized(self, examples: Dataset, progress: Callable[[int], None]) -> pd.DataFrame:
        writer = self.verbalizer.language_model  # a student has none
        tokenizer = load_tokenizer() if writer is None else writer.tokenizer
        histories, folds = examples[HISTORY][:], examples[FOLD][:]
        return to_verbalizations(examples[EXAMPLE_ID][:], histories, self.verbalizer, tokenizer, progress, folds)


def _move(report: Report, split: str, start: int, total: int, done: int) -> None:
    """Report the texts of a part, of which `start` were written before."""
    report("texts", split, start + done, total)
