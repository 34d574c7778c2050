"""Which shard holds which texts, and which shards are there: what a run that goes on need not write again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.chosen_examples import choose_places
from logs2lang.dataset_builders.dataset_folder.export import shard_path, shards_of
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import IS_DISCOVERY

from ..verbalizers.text_record import examples_record, read_record, to_metadata


@dataclass(frozen=True)
class TextShard:
    """One file of texts.

    Args:
        path (`Path`): Where it belongs.
        examples (`Path`): The file with its examples.
        rows (`range` or `np.ndarray`): Which rows of that file, in order.
    """

    path: Path
    examples: Path
    rows: range | np.ndarray

    def batches(self, columns: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
        """Its examples, a few at a time; of the file, only the row groups that hold them are read."""
        wanted = np.asarray(self.rows)
        with pq.ParquetFile(self.examples) as file:
            lengths = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
            ends = np.cumsum(lengths)
            groups = np.unique(np.searchsorted(ends, wanted, side="right"))
            # Numbers of rows, as if the file had only those groups.
            before = ends[groups] - np.asarray(lengths)[groups]
            start_of = np.cumsum([0, *np.asarray(lengths)[groups][:-1]])
            group_of = np.searchsorted(groups, np.searchsorted(ends, wanted, side="right"))
            left = wanted - before[group_of] + start_of[group_of]
            first = 0
            for batch in file.iter_batches(size, row_groups=groups.tolist(), columns=list(columns)):
                here = left[(left >= first) & (left < first + len(batch))] - first
                first += len(batch)
                if len(here):
                    yield batch.take(pa.array(here))


@dataclass(frozen=True)
class TextShards:
    """All texts of a split, as shards named as on the Hub, such as `test-00000-of-00003.parquet`.

    Args:
        shards (`list[TextShard]`): In the order of the dataset.
        written_by (`dict`): The settings that decide the texts; they stand in the metadata of every shard.
    """

    shards: Sequence[TextShard]
    written_by: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        dataset: BuiltDataset,
        split: str,
        folder: Path,
        rows: int,
        written_by: Mapping[str, Any],
        *,
        limit: int | None = None,
        discoveries: bool = False,
        seed: int = 0,
    ) -> "TextShards":
        """Plan the shards of a split.

        Args:
            dataset ([`BuiltDataset`]): Whose histories are written as text.
            split (`str`): Which examples.
            folder (`Path`): Where the shards belong.
            rows (`int`): Most texts of a shard. A shard has its examples from one file of the dataset.
            written_by (`dict`): What else decides the texts.
            limit, discoveries, seed: Which examples; see [`choose_examples`].

        Raises:
            InputError: There are no such examples.
        """
        files = shards_of(dataset.folder, "examples", split)
        counts = [pq.read_metadata(file).num_rows for file in files]
        flags = None
        if discoveries:
            read = [pq.read_table(file, columns=[IS_DISCOVERY])[IS_DISCOVERY].to_numpy() for file in files]
            flags = np.concatenate(read) if read else np.array([], bool)
        chosen = choose_places(sum(counts), limit, seed, flags)
        of_files: list[tuple[Path, range | np.ndarray]] = []
        start = 0
        for file, count in zip(files, counts, strict=True):
            own: range | np.ndarray = range(count)
            if chosen is not None:
                own = chosen[(chosen >= start) & (chosen < start + count)] - start
            of_files += [(file.resolve(), own[first : first + rows]) for first in range(0, len(own), rows)]
            start += count
        shards = [
            TextShard(shard_path(folder.parent, folder.name, split, number, len(of_files)), file, own)
            for number, (file, own) in enumerate(of_files)
        ]
        examples = examples_record(dataset, split, limit, discoveries, seed)
        return cls(shards, {**examples, "shard_rows": rows, **written_by})

    @property
    def metadata(self) -> dict[bytes, bytes]:
        """Of the schema of every shard."""
        return to_metadata(self.written_by)

    def missing(self) -> list[int]:
        """The numbers of the shards that are still to be written.

        Raises:
            InputError: There are files of their kind that were written with other settings, or by somebody else.
        """
        folder, split = self.shards[0].path.parent, self.written_by["split"]
        there = shards_of(folder.parent, folder.name, split)
        for path in there:
            self._require_own(path)
        return [number for number, shard in enumerate(self.shards) if shard.path not in there]

    def _require_own(self, path: Path) -> None:
        found = read_record(path)
        if found is None:
            raise InputError(
                f"{path} exists and does not contain texts of --engine ray, so nothing is written beside it. Give "
                "another --output, or move it."
            )
        other = [name for name in {**self.written_by, **found} if found.get(name) != self.written_by.get(name)]
        if other:
            raise InputError(
                f"{path} holds texts that were written with another choice of {', '.join(other)}. Give another "
                f"--output, or delete the files of the split {self.written_by['split']!r} there."
            )
