"""Texts of many examples, written by actors on Ray: Parquet shard by shard, and never a finished shard again."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError

from ..models.model_folders import STUDENT_WEIGHTS, model_folder
from ..verbalizers.by_rule import is_written_by_rule
from ..verbalizers.text_record import writer_record
from ..verbalizers.verbalization_file import COMPRESSION, ERROR
from .ray_session import ray_session, to_sentence
from .shard_writer import ROWS, TROUBLE, ShardWriter, Writing, require_in_order
from .text_shards import TextShards
from .vllm_texts import require_vllm, written_with_vllm

ROWS_PER_SHARD = 10_000
ROWS_PER_MODEL_SHARD = 512
"""Of a language model, which takes longer: a kill costs one shard of each actor at the most."""

_LIVES = 3
"""How often Ray gives a shard to another actor after one has died of it: one that no memory suffices for would
otherwise be tried for ever."""


@dataclass(frozen=True)
class BulkTexts:
    """What a run made.

    Args:
        texts (`int`): How many examples have a text, those of earlier runs included.
        failed (`int`): How many have an error instead.
        error (`str` or `None`): One of these errors.
        compression (`float` or `None`): Tokens of a text over tokens of the template's, on average.
        written (`int`): How many shards this run wrote.
        shards (`int`): How many there are.
    """

    texts: int
    failed: int
    error: str | None
    compression: float | None
    written: int
    shards: int


def write_bulk_texts(
    dataset: BuiltDataset,
    folder: Path,
    writing: Writing,
    *,
    limit: int | None = None,
    discoveries: bool = False,
    seed: int = 0,
    shard_rows: int | None = None,
    address: str | None = None,
    actors: int | None = None,
    vllm: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> BulkTexts:
    """Write the texts of a split as shards, with a pool of actors; shards that are there already stay as they are.

    Memory is bounded: an actor holds `BATCH` examples and the verbalizer, and Ray passes on only numbers of shards. A
    shard whose actor dies is written by another one.

    Args:
        dataset ([`BuiltDataset`]): Whose histories are written as text. All machines see its folder.
        folder (`Path`): Where to; all machines see it. Several splits may lie side by side.
        writing ([`Writing`]): Who writes.
        limit, discoveries, seed: Which examples; see [`choose_examples`].
        shard_rows (`int`, *optional*): Most texts of a shard; 10,000 by default, 512 with a language model.
        address (`str`, *optional*): Where Ray runs; see [`ray_session`].
        actors (`int`, *optional*): How many actors; as many as Ray has CPUs by default, or, for a language model,
            GPUs, if it has any.
        vllm (`bool`, *optional*, defaults to `False`): Whether the language model runs in vLLM, an engine per actor;
            see [`written_with_vllm`]. The shards are the same, so a run with it goes on without it, and the other way
            round.
        progress (`Callable[[int, int], None]`, *optional*): Called with how many texts are there, and of how many.

    Raises:
        InputError: Something cannot be loaded, other texts are in the way, another run is at work, or Ray fails.

    Example:
        >>> writing = Writing(Path("data/own"), "test", "successors")
        >>> write_bulk_texts(BuiltDataset.open("data/own"), Path("texts/own"), writing)  # doctest: +SKIP
    """
    require_in_order(writing.verbalizer)
    folder = folder.absolute()
    by_model = _needs_model(writing)
    if vllm:
        require_vllm(writing.verbalizer, by_model)
    rows = shard_rows or (ROWS_PER_MODEL_SHARD if by_model else ROWS_PER_SHARD)
    written_by = writer_record(dataset, writing.verbalizer, writing.adapter, writing.model, writing.history_length)
    choice: dict[str, Any] = {"limit": limit, "discoveries": discoveries, "seed": seed}
    texts = TextShards.of(dataset, writing.split, folder, rows, written_by, **choice)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / f".{writing.split}.lock", timeout=0):
            missing = texts.missing()
            if missing:
                log = folder.parent / f"ray-{datetime.now(timezone.utc):%Y-%m-%dT%H-%M-%S}.log"
                try:
                    with ray_session(address, None if vllm else actors, log):
                        if vllm:
                            told = written_with_vllm(texts, missing, writing, actors, _LIVES)
                        else:
                            told = _written_by_actors(texts, missing, writing, _pool(by_model, actors, len(missing)))
                        _follow(told, texts, missing, log, progress)
                finally:  # what actors left that were killed
                    for begun in folder.glob(f".{writing.split}-*.partial"):
                        begun.unlink(missing_ok=True)
            return _counted(texts, len(missing))
    except Timeout as error:
        raise InputError(
            f"Another run is writing texts of the split {writing.split!r} to {folder}. Wait for it, or give another "
            "--output."
        ) from error


def _needs_model(writing: Writing) -> bool:
    if writing.adapter is None:
        return not is_written_by_rule(writing.verbalizer)
    return not (model_folder(writing.adapter) / STUDENT_WEIGHTS).is_file()


def _pool(by_model: bool, actors: int | None, shards: int) -> dict[str, Any]:
    """How many actors, and what each of them takes."""
    import ray
    from ray.data import ActorPoolStrategy

    there = ray.cluster_resources()
    on_gpus = by_model and there.get("GPU", 0) >= 1
    most = actors or max(1, int(there.get("GPU" if on_gpus else "CPU", 1)))
    return {"compute": ActorPoolStrategy(size=min(most, shards)), "num_gpus" if on_gpus else "num_cpus": 1}


def _written_by_actors(
    texts: TextShards, missing: list[int], writing: Writing, pool: dict[str, Any]
) -> Iterator[dict[str, list[Any]]]:
    import ray

    # One number, one block, one task: an actor that dies takes no more than its own shards with it.
    with warnings.catch_warnings():
        # Ray 2.64 removes the argument; until then nothing else limits how often a shard is tried.
        warnings.filterwarnings("ignore", message="`ray_remote_args_fn` is deprecated")
        finished = ray.data.from_items(missing, override_num_blocks=len(missing)).map_batches(
            ShardWriter,
            fn_constructor_args=(writing, texts),
            batch_size=1,
            ray_remote_args_fn=partial(dict, max_task_retries=_LIVES),
            **pool,
        )
    told = finished.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    yield from (batch.to_pydict() for batch in cast(Iterable[pa.Table], told))


def _follow(
    told: Iterable[dict[str, list[Any]]],
    texts: TextShards,
    missing: list[int],
    log: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Pass on how many texts are there, as shards are written, and stop where one cannot be."""
    total = sum(len(shard.rows) for shard in texts.shards)
    done = total - sum(len(texts.shards[number].rows) for number in missing)
    if progress is not None:
        progress(done, total)
    for batch in told:
        if trouble := next(filter(None, batch[TROUBLE]), None):
            log.write_text(trouble, encoding="utf-8")
            raise InputError(to_sentence(trouble, log))
        done += sum(batch[ROWS])
        if progress is not None:
            progress(done, total)


def _counted(texts: TextShards, written: int) -> BulkTexts:
    """Count what lies in the shards, one after the other."""
    failed, ratios, error = 0, 0.0, None
    for shard in texts.shards:
        table = pq.read_table(shard.path, columns=[COMPRESSION, ERROR])
        errors = table[ERROR].drop_null()
        failed += len(errors)
        error = error or (errors[0].as_py() if len(errors) else None)
        ratios += pc.sum(table[COMPRESSION]).as_py() or 0.0
    total = sum(len(shard.rows) for shard in texts.shards)
    count = total - failed
    return BulkTexts(count, failed, error, ratios / count if count else None, written, len(texts.shards))
