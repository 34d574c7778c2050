"""A log behind the interface of `datasets`: `download_and_prepare`, then `as_dataset`.

It stands alone in this module because `datasets` replaces file functions in the module of a builder.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from .build_options import BuildOptions
from .builder import Source, build_dataset
from .dataset_folder.export import REPORT_FILE, filled_splits, shards_of
from .input_error import InputError
from .schema import CONFIG_FEATURES


@dataclass
class LogDatasetConfig(datasets.BuilderConfig):
    """Which table of which log.

    Args:
        source (`Callable`): As in `build_dataset`; picklable, because `datasets` hashes it to name its cache.
        options ([`BuildOptions`]): Every choice of the build.
    """

    source: Source | None = None
    options: BuildOptions = field(default_factory=BuildOptions)


class LogDatasetBuilder(datasets.ArrowBasedBuilder):
    """A log as a `datasets` builder.

    Args:
        config_name (`str`): `"examples"`, `"items"`, `"interactions"`, `"verbalizer"` or `"reasoner"`.
        source (`Callable`): Reads the log; see `build_dataset`.
        options ([`BuildOptions`], *optional*): Every choice of the build.
        cache_dir (`str`, *optional*): Where `datasets` keeps what was built.

    Example:
        >>> from logs2lang.dataset_builders.sources.movielens import read_movielens
        >>> builder = LogDatasetBuilder(config_name="examples", source=read_movielens)  # doctest: +SKIP
        >>> builder.download_and_prepare()  # doctest: +SKIP
        >>> builder.as_dataset(split="test")[0]["candidates"]  # doctest: +SKIP
    """

    BUILDER_CONFIG_CLASS = LogDatasetConfig
    BUILDER_CONFIGS = [LogDatasetConfig(name=name) for name in CONFIG_FEATURES]  # noqa: RUF012
    DEFAULT_CONFIG_NAME = "examples"

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=CONFIG_FEATURES[self.config.name])

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        if self.config.source is None:
            raise InputError(
                "LogDatasetBuilder needs source=..., a function that reads a log, such as read_movielens."
            )
        folder = Path(self._cache_dir_root) / "logs2lang" / self.config_id
        build_dataset(self.config.source, folder, self.config.options)
        filled = filled_splits(folder, self.config.name)
        if not filled:
            raise InputError(
                f"No rows of {self.config.name!r} could be built from this log; see {folder / REPORT_FILE}."
            )
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"shards": shards_of(folder, self.config.name, split)})
            for split in filled
        ]

    def _generate_tables(self, shards: list[Path]) -> Iterator[tuple[Any, pa.Table]]:
        for place, shard in enumerate(shards):
            for group, batch in enumerate(pq.ParquetFile(shard).iter_batches()):
                yield (place, group), pa.Table.from_batches([batch]).cast(self.info.features.arrow_schema)
