"""Texts of a language model that runs in vLLM, through `ray.data.llm`: actors make the prompts, engines answer them,
and this process writes a shard as soon as all of its prompts are answered."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, partial
from importlib.util import find_spec
from typing import Any, cast

import pyarrow as pa
from peft import PeftConfig

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import FOLD, HISTORY

from ..models.language_models import Constraint, LanguageModel
from ..models.model_folders import model_folder
from ..models.weights import NoWeights
from ..verbalizers.action import ActionVerbalizer, DecisionGrammar, decision_token_ids
from ..verbalizers.language_model_verbalizer import LanguageModelVerbalizer
from ..verbalizers.text_cache import cache_key
from .shard_writer import BATCH, READ, ShardWriter, Writing
from .text_shards import TextShards

_SHARD, _PROMPTS, _KEY, _ANSWER = "shard", "prompts", "key", "answer"
"""Columns beside a prompt: the number of its shard, how many prompts that has, its name, and what came back."""
_REFUSAL = "__inference_error__"
"""Ray's column for what vLLM said where it did not answer."""

_CPUS = 0.25
"""Of an actor or a task around the engines, which waits for them most of the time."""
_PROMPTS_AT_ONCE = 64
_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The sizes that vLLM makes room for."""
_ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1"}
"""vLLM reports how it is used, unless it is told otherwise."""


class RefusalError(Exception):
    """vLLM did not answer a prompt; the message is what it said."""


@dataclass(frozen=True)
class AnsweredModel(LanguageModel):
    """A language model that was asked elsewhere. It knows the prompts that it was asked, and needs no weights.

    Args:
        answers (`dict[str, str | RefusalError]`): By the name of the prompt; see [`prompt_name`].
    """

    answers: dict[str, str | RefusalError] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, model: LanguageModel) -> "AnsweredModel":
        """The same model, without an answer yet."""
        return cls(**{one.name: getattr(model, one.name) for one in fields(model)})

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        progress: Any = None,
        constraints: Sequence[Constraint] | None = None,
        **sampling: Any,
    ) -> list[str]:
        """The answers to some prompts; the other arguments were a matter of asking.

        Raises:
            RefusalError: One of them was not answered.
        """
        found = [self.answers[prompt_name(ids)] for ids in prompts]
        if refusal := next((answer for answer in found if isinstance(answer, RefusalError)), None):
            raise refusal
        return cast(list[str], found)


def prompt_name(ids: Sequence[int]) -> str:
    """A short name for a prompt, the same wherever it is made.

    Example:
        >>> prompt_name([1, 2]) == prompt_name((1, 2)), prompt_name([1, 2]) == prompt_name([1, 3])
        (True, False)
    """
    return cache_key(ids, "", {})


def sampling_params(verbalizer: LanguageModelVerbalizer, example: Mapping[str, Any]) -> dict[str, Any]:
    """How vLLM answers about an example as [`LanguageModel.generate`] does, as its `SamplingParams` take it.

    Args:
        verbalizer ([`LanguageModelVerbalizer`]): Of an `action` verbalizer, every token is the decision on one record.
        example (`dict`): As [`LanguageModelVerbalizer.fit_prompt`] returns it.
    """
    model = cast(LanguageModel, verbalizer.language_model)
    room = max(1, verbalizer.sampled_tokens(example))  # vLLM takes no request for 0 tokens
    penalty = model.model.generation_config.repetition_penalty or 1.0  # `generate` reads it there
    params = {"temperature": 0.0, "max_tokens": room, "repetition_penalty": penalty, "detokenize": False}
    if not isinstance(verbalizer, ActionVerbalizer):
        return params
    allowed = decision_token_ids(model.tokenizer, verbalizer.known)
    return {**params, "allowed_token_ids": allowed, "min_tokens": room, "ignore_eos": True}


class Asker:
    """An actor of Ray Data: takes numbers of shards, and makes the prompts for them.

    Args:
        writing ([`Writing`]): Who writes.
        texts ([`TextShards`]): Which shard holds what.
        model (`str`): Who answers, as vLLM finds it; see `_source`.
    """

    def __init__(self, writing: Writing, texts: TextShards, model: str):
        self.writing = writing
        self.texts = texts
        self.model = model

    def __call__(self, batch: Mapping[str, Sequence[int]]) -> Iterator[pa.Table]:
        for number in map(int, batch["item"]):
            requests = self.requests(number)
            beside = {_SHARD: number, _PROMPTS: len(requests), "model": self.model}
            if requests:
                yield pa.Table.from_pylist([{**beside, _KEY: key, **asked} for key, asked in requests.items()])

    def requests(self, number: int) -> dict[str, dict[str, Any]]:
        """What vLLM is asked for a shard, by the name of each prompt; the same prompt is asked once."""
        batches = self.texts.shards[number].batches(READ, BATCH)
        asked = [self._request(example) for batch in batches for example in batch.to_pylist()]
        return {prompt_name(request["tokenized_prompt"]): request for request in asked if request is not None}

    def _request(self, example: Mapping[str, Any]) -> dict[str, Any] | None:
        try:
            verbalizer, _, folds = self._loaded
            history, fold = self.writing.read(example, folds)
            shown, ids = verbalizer.fit_prompt({HISTORY: history, FOLD: fold})
            params = sampling_params(verbalizer, shown)
        except (MemoryError, OSError):  # the machine's trouble, and no row's
            raise
        except Exception:  # no prompt can be made of it; whoever writes the shard finds so too, and says so in its row
            return None
        return {"tokenized_prompt": ids, "sampling_params": params}

    @cached_property
    def _loaded(self) -> tuple[Any, Any, int]:
        return self.writing.load(NoWeights())


class AnsweredShards(ShardWriter):
    """Writes shards whose prompts were answered elsewhere."""

    @cached_property
    def _loaded(self) -> tuple[Any, Any, int]:
        verbalizer, tokenizer, folds = self.writing.load(NoWeights())
        _require_single_tokens(verbalizer)
        verbalizer.language_model = AnsweredModel.of(verbalizer.language_model)
        return verbalizer, tokenizer, folds

    @property
    def model(self) -> AnsweredModel:
        """Which model is asked, and its answers for the shard that is being written."""
        return self._loaded[0].language_model

    def take(self, numbers: Iterable[int], answers: Iterable[pa.Table]) -> Iterator[dict[str, list[Any]]]:
        """Write each shard as soon as its last answer has come.

        Args:
            numbers (`list[int]`): The shards that are to be written.
            answers (`list[pyarrow.Table]`): As the engines give them, shards mixed.

        Yields:
            `dict[str, list]`: As [`ShardWriter`] tells of the shards that it wrote.

        Raises:
            InputError: vLLM answers nothing, so that the trouble is not with single rows.
        """
        left, came = set(numbers), defaultdict[int, dict[str, str | RefusalError]](dict)
        for table in answers:
            for row in table.to_pylist():
                number, of_shard = row[_SHARD], came[row[_SHARD]]
                of_shard[row[_KEY]] = self._answer(row)
                if len(of_shard) == row[_PROMPTS] and number in left:
                    left.remove(number)
                    yield self._write_answered(number, came.pop(number))
        for number in sorted(left):  # not one prompt could be made
            yield self._write_answered(number, came.pop(number, {}))

    def _answer(self, row: Mapping[str, Any]) -> str | RefusalError:
        if row[_REFUSAL]:
            return RefusalError(row[_REFUSAL])
        return cast(str, self.model.tokenizer.decode(row[_ANSWER], skip_special_tokens=True)).strip()

    def _write_answered(self, number: int, answers: Mapping[str, str | RefusalError]) -> dict[str, list[Any]]:
        refusals = [answer for answer in answers.values() if isinstance(answer, RefusalError)]
        if 1 < len(answers) == len(refusals):
            raise InputError(
                f"vLLM answers none of the {len(answers)} prompts of {self.texts.shards[number].path.name}, which is "
                f"not written ({refusals[0]}). See to it and run the same command again, or leave out --vllm."
            )
        self.model.answers.clear()
        self.model.answers.update(answers)
        return self({"item": [number]})


def require_vllm(verbalizer: str, by_model: bool) -> None:
    """Refuse what vLLM cannot write, before Ray starts.

    Args:
        verbalizer (`str`): Its name.
        by_model (`bool`): Whether a language model writes.

    Raises:
        InputError: None does, or there is no vLLM.
    """
    if not by_model:
        raise InputError(f"--vllm runs language models, and {verbalizer} is written without one. Leave out --vllm.")
    if find_spec("vllm") is None:
        raise InputError(
            "--vllm needs vLLM. Install it with `pip install vllm` here and on every machine of the cluster, or leave "
            "out --vllm."
        )


def written_with_vllm(
    texts: TextShards, missing: Sequence[int], writing: Writing, engines: int | None, lives: int
) -> Iterator[dict[str, list[Any]]]:
    """Write shards with engines of vLLM, each on a GPU of its own.

    Memory is bounded: Ray Data makes no more prompts than the engines ask for, and a shard is written as soon as it is
    answered.

    Args:
        texts ([`TextShards`]): Which shard holds what.
        missing (`list[int]`): The numbers of those that are to be written.
        writing ([`Writing`]): Who writes.
        engines (`int`, *optional*): How many; as many as Ray has GPUs by default.
        lives (`int`): How often a request is asked again after an engine has died of it.

    Yields:
        `dict[str, list]`: As [`ShardWriter`] tells of the shards that it wrote.

    Raises:
        InputError: There is no GPU, or as in [`AnsweredShards.take`].
    """
    import ray
    from ray.data import ActorPoolStrategy

    place = _place(engines, len(missing))
    writer = AnsweredShards(writing, texts)
    model = _source(writer.model.adapter_id or writer.model.model_id)
    askers = ActorPoolStrategy(size=place["concurrency"][1])
    prompts = ray.data.from_items(list(missing), override_num_blocks=len(missing)).map_batches(
        Asker, fn_constructor_args=(writing, texts, model), batch_size=1, compute=askers, num_cpus=_CPUS
    )
    answered = _processor(writer.model, place, lives)(prompts)
    yield from writer.take(missing, answered.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0))


def _processor(model: LanguageModel, place: Mapping[str, Any], lives: int) -> Any:
    from ray.data.llm import build_processor, vLLMEngineProcessorConfig

    adapted = model.adapter_id is not None
    on_processors = "placement_group_config" in place
    engine = {
        "dtype": "float32" if on_processors else "bfloat16",  # as `load_language_model`
        "enforce_eager": on_processors,  # to compile for them takes longer than what they are there for
        "load_format": "safetensors",
        "max_model_len": -1,  # the model's window, or what the memory has room for
        "disable_log_stats": True,
        **({"enable_lora": True, "max_lora_rank": _lora_rank(cast(str, model.adapter_id))} if adapted else {}),
    }
    config = vLLMEngineProcessorConfig(
        model_source=_source(model.model_id),
        engine_kwargs=engine,
        batch_size=_PROMPTS_AT_ONCE,
        should_continue_on_error=True,
        # Prompts are made here, as for every other way to write, and answers are read here.
        chat_template_stage=False,
        tokenize_stage=False,
        detokenize_stage=False,
        log_engine_metrics=False,
        runtime_env={"env_vars": _ENVIRONMENT},
        **place,
    )
    around = {"num_cpus": _CPUS}
    logging.disable(logging.WARNING)  # it says that Ray runs already, and where no model is fetched from
    try:
        processor = build_processor(
            config, postprocess=_to_answer, preprocess_map_kwargs=around, postprocess_map_kwargs=around
        )
    finally:
        logging.disable(logging.NOTSET)
        logging.getLogger("ray").setLevel(logging.ERROR)
    stage = processor.get_stage_by_name("vLLMEngineStage")
    stage.map_batches_kwargs["ray_remote_args_fn"] = partial(dict, max_task_retries=lives)
    return processor


def _to_answer(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: row[name] for name in (_SHARD, _PROMPTS, _KEY)}, _ANSWER: row["generated_tokens"]}


def _place(engines: int | None, shards: int) -> dict[str, Any]:
    """How many engines there are, and what each of them takes of the cluster."""
    import ray

    gpus = int(ray.cluster_resources().get("GPU", 0))
    count = min(engines or max(1, gpus), shards)
    place: dict[str, Any] = {"concurrency": (count, count)}
    if gpus:
        return place
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():  # there is a vLLM that is built for processors
        raise InputError(
            "--vllm needs a GPU, and Ray finds none. Leave out --vllm, or give the --address of a cluster with GPUs."
        )
    return {**place, "placement_group_config": {"bundles": [{"CPU": 1}]}}


def _require_single_tokens(verbalizer: LanguageModelVerbalizer) -> None:
    model = cast(LanguageModel, verbalizer.language_model)
    if not isinstance(verbalizer, ActionVerbalizer):
        return
    if DecisionGrammar.of(model.tokenizer, verbalizer.known).tokens_per_record > 1:
        raise InputError(
            f"{model.model_id} spells {', '.join(verbalizer.known)} with several tokens, and vLLM can be told which "
            "tokens to write, but not in which order. Leave out --vllm."
        )


def _source(name: str) -> str:
    """A model as vLLM finds it: its folder, or its Hub id where that lies in the cache of the Hub, of which every
    machine has its own."""
    folder = model_folder(name).absolute()
    return name if folder.parent.name == "snapshots" else str(folder)


def _lora_rank(adapter: str) -> int:
    """The smallest room in which an adapter fits."""
    config: Any = PeftConfig.from_pretrained(str(model_folder(adapter)))
    rank = max(config.r, *(config.rank_pattern or {}).values(), 1)
    return next((room for room in _LORA_RANKS if room >= rank), _LORA_RANKS[-1])
