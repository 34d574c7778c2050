"""Texts that are there already: one file, or a folder with a file or shards per split, read by example."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.export import shards_of
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import EXAMPLE_ID

from .text_record import DATASET, LENGTH, SPLIT, content_of, read_record
from .verbalization_file import ERROR, TEXT

_FILE = "__filename"
"""What pyarrow calls the column that says which file a row comes from."""


@dataclass(frozen=True)
class WrittenTexts:
    """The texts of some examples, as they were written earlier.

    Args:
        texts (`dict[str, str]`): By example id.
        record (`dict` or `None`): What is recorded beside them; `None` where nothing is, as for texts of another
            program.
    """

    texts: Mapping[str, str]
    record: Mapping[str, Any] | None

    @classmethod
    def read(
        cls,
        place: Path,
        dataset: BuiltDataset,
        split: str,
        example_ids: Sequence[str],
        history_length: int | None = None,
    ) -> "WrittenTexts":
        """Read the texts of some examples, and see that they are about what is evaluated or trained on.

        Args:
            place (`Path`): What `logs2lang verbalize` wrote; see [`text_files`].
            dataset ([`BuiltDataset`]): Where the examples come from.
            split (`str`): Theirs.
            example_ids (`list[str]`): Whose texts; no others are kept in memory.
            history_length (`int`, *optional*): How many of the newest records a text may tell of; all by default.

        Raises:
            InputError: There are no such texts, they were written for another dataset, split or length of history, or
                as in [`read_texts`].

        Example:
            >>> dataset = BuiltDataset.open("data/own")  # doctest: +SKIP
            >>> ids = dataset.examples("test")["example_id"][:]  # doctest: +SKIP
            >>> len(WrittenTexts.read(Path("texts/own"), dataset, "test", ids).texts) == len(ids)  # doctest: +SKIP
            True
        """
        files = text_files(place, split)
        record = _common_record(place, files)
        if record is not None:
            _require_same(place, record, {DATASET: content_of(dataset), SPLIT: split, LENGTH: history_length})
        return cls(dict(zip(example_ids, read_texts(files, example_ids), strict=True)), record)

    def of(self, example_ids: Sequence[str]) -> list[str]:
        """The text of each example."""
        return [self.texts[example_id] for example_id in example_ids]

    def entry(self) -> dict[str, Any]:
        """Where the texts come from, as `results.json` tells it: their content as a hash, and what is recorded.

        Example:
            >>> WrittenTexts({"a": "Saw Up."}, {"verbalizer": "template"}).entry()["written_by"]
            {'verbalizer': 'template'}
        """
        content = json.dumps(sorted(self.texts.items())).encode()
        return {"sha256": hashlib.sha256(content).hexdigest(), "written_by": self.record}


def text_files(place: Path, split: str) -> list[Path]:
    """The files with the texts of a split.

    Args:
        place (`Path`): A file; or a folder with a file such as `test.parquet`, or with the shards that
            `logs2lang verbalize --engine ray` wrote.
        split (`str`): Of a folder, which files.

    Raises:
        InputError: There are none.
    """
    whole = place if place.is_file() else place / f"{split}.parquet"
    files = [whole] if whole.is_file() else shards_of(place.parent, place.name, split)
    if not files:
        raise InputError(
            f"{place} cannot be read as verbalizations: there is no {whole}, and no shard of {split!r}. Write them "
            f"with `logs2lang verbalize DATASET --split {split} --output {whole}`."
        )
    return files


def read_texts(files: Sequence[Path], example_ids: Sequence[str]) -> list[str]:
    """The text of each example; rows of other examples are not kept in memory.

    Args:
        files (`list[Path]`): See [`text_files`].
        example_ids (`list[str]`): Whose texts.

    Raises:
        InputError: A file has no texts, or an example has none, several, or an error in place of one.
    """
    place = files[0] if len(files) == 1 else files[0].parent
    rows = _rows(place, files, example_ids)
    counts = Counter(rows[EXAMPLE_ID].to_pylist())
    if repeated := [example_id for example_id, count in counts.items() if count > 1]:
        raise InputError(
            f"{place} has several texts for {len(repeated)} of {len(example_ids)} examples, such as {repeated[0]}. "
            "Keep only the files of one run there."
        )
    failed = rows.filter(pc.is_valid(rows[ERROR]))
    if len(failed):
        first, wrong = failed.slice(0, 1).to_pylist()[0], pc.unique(failed[_FILE]).to_pylist()
        bad_files = wrong[0] if len(wrong) == 1 else f"the {len(wrong)} files with such rows, such as {wrong[0]}"
        raise InputError(
            f"{place} has an error in place of the text of {len(failed)} of {len(example_ids)} examples, such as "
            f"{first[EXAMPLE_ID]} ({first[ERROR]}). Delete {bad_files}, and run the same `logs2lang verbalize` again."
        )
    texts = dict(zip(rows[EXAMPLE_ID].to_pylist(), rows[TEXT].to_pylist(), strict=True))
    if missing := [example_id for example_id in example_ids if texts.get(example_id) is None]:
        raise InputError(
            f"{place} has no text for {len(missing)} of {len(example_ids)} examples, such as {missing[0]}. Write them "
            "with the same dataset, --split, --limit, --discoveries and --seed."
        )
    return [texts[example_id] for example_id in example_ids]


def _rows(place: Path, files: Sequence[Path], example_ids: Sequence[str]) -> pa.Table:
    """Example, text, error and file of these examples."""
    try:
        found = ds.dataset([str(file) for file in files], format="parquet")
        errors = [ERROR] if ERROR in found.schema.names else []
        wanted = ds.field(EXAMPLE_ID).isin(list(example_ids))
        rows = found.to_table([EXAMPLE_ID, TEXT, _FILE, *errors], filter=wanted)
        return rows if errors else rows.append_column(ERROR, pa.nulls(len(rows), pa.string()))
    except (OSError, pa.ArrowException) as reason:
        raise InputError(
            f"{place} cannot be read as verbalizations ({str(reason).splitlines()[0]}). Write it again with "
            "`logs2lang verbalize`."
        ) from reason


def _common_record(place: Path, files: Sequence[Path]) -> dict[str, Any] | None:
    """What is recorded beside texts, the same in all of their files."""
    records = [read_record(file) for file in files]
    for file, record in zip(files, records, strict=True):
        if record != records[0]:
            raise InputError(
                f"{place} holds texts of several runs: {files[0].name} and {file.name} were written with different "
                "settings. Keep only the files of one run there."
            )
    return records[0]


def _require_same(place: Path, record: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Stop where texts are about something else than the examples that they are to be read for."""
    was, now = record.get(SPLIT), wanted[SPLIT]
    if was != now:
        raise InputError(f"{place} holds texts of the split {was!r}, not of {now!r}. Give the texts of that split.")
    was, now = record.get(DATASET), wanted[DATASET]
    if was != now:
        raise InputError(
            f"{place} holds texts of another build of the dataset (content {str(was)[:12]}, not {now[:12]}). Use "
            "the build that they were written from, or write them again with `logs2lang verbalize`."
        )
    was, now = record.get(LENGTH), wanted[LENGTH]
    if was != now:
        raise InputError(
            f"{place} holds texts of {records_phrase(was)} of each history, and {records_phrase(now)} are to be "
            "read. Choose the same history length for both."
        )


def records_phrase(history_length: int | None) -> str:
    """How much of a history was read.

    Example:
        >>> records_phrase(5), records_phrase(None)
        ('the newest 5 records', 'all records')
    """
    return "all records" if history_length is None else f"the newest {history_length} records"
