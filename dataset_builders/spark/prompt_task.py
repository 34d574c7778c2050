"""Prompts of the examples, written shard by shard on executors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from ..build_options import BuildOptions
from ..builder import prompt_writer
from .files_moved import move_files


@dataclass(frozen=True)
class PromptTask:
    """Writes the prompt configs of some shards of examples, as `DataFrame.mapInArrow` asks for it.

    Args:
        shards (`list[tuple[str, str]]`): Path and split of each shard of examples.
        folder (`str`): The dataset folder.
        options ([`BuildOptions`]): Those of the build.
    """

    shards: Sequence[tuple[str, str]]
    folder: str
    options: BuildOptions

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Nothing; `batches` say in their only column which shards are written."""
        for batch in batches:
            for place in batch.column(0).to_pylist():
                path, split = self.shards[place]
                with TemporaryDirectory(prefix="logs2lang-") as made:
                    prompt_writer(Path(self.folder), self.options, Path(made))(Path(path), split)
                    move_files(Path(made), Path(self.folder))
        yield from ()
