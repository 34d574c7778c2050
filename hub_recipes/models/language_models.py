"""A causal language model, with or without a LoRA adapter: prompts in, probabilities or text out, in batches."""

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Event, Thread
from typing import Any, cast

import numpy as np
import torch
from peft import PeftConfig
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerBase,
    StoppingCriteriaList,
    TextIteratorStreamer,
)

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import Message

from .accelerators import accelerator
from .model_folders import (
    ADAPTER_CONFIG,
    CHAT_TEMPLATE_CONFIG,
    STUDENT_WEIGHTS,
    content_hash,
    model_folder,
    public_name,
)
from .packaged_model import DEFAULT_BASE_MODEL
from .token_batches import branch_batch, pad_left, refuse_trees, to_batches
from .token_usage import TokenUsage
from .weights import OwnWeights, Weights

__all__ = ["DEFAULT_BASE_MODEL", "LanguageModel", "load_language_model", "load_tokenizer"]

Progress = Callable[[int], None]
"""Called with the number of finished prompts."""

Constraint = Callable[[list[int]], list[int]]
"""Called with the token ids of an answer so far; returns those that may come next, at least one."""

# Enough to keep the matrix products busy; more only moves activations out of the caches of a CPU.
_BATCH_TOKENS = {"cpu": 2_048, "cuda": 65_536}


@dataclass(frozen=True)
class LanguageModel:
    """A model with its tokenizer, on one device.

    Args:
        model (`PreTrainedModel` or `PeftModel`): In evaluation mode.
        tokenizer (`PreTrainedTokenizerBase`): With a chat template.
        model_id (`str`): Hub id or path of the base model.
        adapter_id (`str`, *optional*): Hub id or path of the adapter.
        fingerprint (`str`): Changes whenever weights do, or the prompts by `chat_template_kwargs`.
        chat_template_kwargs (`dict`, *optional*): What every prompt passes to the chat template, such as
            `{"enable_thinking": False}` for Qwen3. An adapter says what it was trained with.
        usage ([`TokenUsage`]): What it read and wrote so far, but for streams.

    Example:
        >>> model = load_language_model()  # doctest: +SKIP
        >>> model.generate([[{"role": "user", "content": "Name a film."}]], max_new_tokens=8)  # doctest: +SKIP
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    model_id: str
    adapter_id: str | None
    fingerprint: str
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    usage: TokenUsage = field(default_factory=TokenUsage, repr=False, compare=False)

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def max_prompt_tokens(self) -> int:
        """Most tokens of the context window."""
        return self.model.config.max_position_embeddings

    @cached_property
    def _special_tokens(self) -> re.Pattern[str]:
        """The tokens that the tokenizer reads as commands, whatever text they stand in."""
        names = {token.content for token in self.tokenizer.added_tokens_decoder.values() if token.special}
        return re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))) or r"(?!)")

    @property
    def _batch_tokens(self) -> int:
        return _BATCH_TOKENS.get(self.device.type, _BATCH_TOKENS["cuda"])

    def entry(self) -> dict[str, Any]:
        """The model as `results.json` names it, with the precision of its matrix products where they are rounded."""
        precision = torch.get_float32_matmul_precision()
        return {
            "id": public_name(self.adapter_id or self.model_id),
            "base_model": self.model_id,
            "trained": self.adapter_id is not None,
            "fingerprint": self.fingerprint,
            **({} if precision == "highest" else {"matmul_precision": precision}),
        }

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """The token ids of a conversation, up to where the assistant's answer begins.

        Args:
            messages (`list[dict]`): `role` and `content`; special tokens in the content are broken up.
        """
        return self.text_ids(self.prompt_text(messages))

    def prompt_text(self, messages: Sequence[Message]) -> str:
        """The text that `prompt_ids` turns into tokens."""
        harmless = [{**message, "content": self.harmless(message["content"])} for message in messages]
        choices: dict[str, Any] = {**self.chat_template_kwargs, "tokenize": False, "add_generation_prompt": True}
        return cast(str, self.tokenizer.apply_chat_template(harmless, **choices))

    def harmless(self, text: str) -> str:
        """Break up what this tokenizer would read as a special token.

        `prompting.prompts` already does so for the spellings of known tokenizers; this holds for any.
        """
        return self._special_tokens.sub(lambda token: f"{token[0][0]} {token[0][1:]}", text)

    def text_ids(self, text: str) -> list[int]:
        """The token ids of a text, nothing added."""
        return self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]

    @torch.inference_mode()
    def next_token_log_probs(
        self, prompts: Sequence[Sequence[int]], token_ids: Sequence[int], progress: Progress | None = None
    ) -> np.ndarray:
        """How probable each of some tokens is as the next one, in one forward pass.

        Args:
            prompts (`list[list[int]]`): Token ids, each at most `max_prompt_tokens` long.
            token_ids (`list[int]`): The tokens in question.
            progress (`Callable[[int], None]`, *optional*): See `Progress`.

        Returns:
            `np.ndarray` of `float32`, shape `(prompts, tokens)`: natural logarithms, over the whole vocabulary.
        """
        log_probs = np.empty((len(prompts), len(token_ids)), np.float32)
        done = 0
        for places in to_batches([len(ids) for ids in prompts], self._batch_tokens):
            batch = self._to_device(pad_left([prompts[place] for place in places], self.pad_id))
            # The head on the last position alone: on all positions it is a third of the work.
            logits = self.model(**batch, logits_to_keep=1, use_cache=False).logits[:, -1].float()
            log_probs[places] = logits.log_softmax(-1)[:, list(token_ids)].cpu().numpy()
            self.usage.count(len(places), sum(len(prompts[place]) for place in places))
            done += len(places)
            _tell(progress, done)
        return log_probs

    @torch.inference_mode()
    def branch_log_probs(
        self,
        prefixes: Sequence[Sequence[int]],
        branches: Sequence[Sequence[Sequence[int]]],
        progress: Progress | None = None,
    ) -> list[np.ndarray]:
        """How probable several continuations of each prefix are, all of them in one forward pass.

        Args:
            prefixes (`list[list[int]]`): Token ids; none is empty.
            branches (`list[list[list[int]]]`): Token ids of the continuations of each prefix; none is empty.
            progress (`Callable[[int], None]`, *optional*): See `Progress`.

        Returns:
            `list[np.ndarray]`: Per prefix, the natural logarithm of each branch's probability.

        Raises:
            InputError: The model cannot read trees; see [`token_batches.takes_trees`].
        """
        lengths = [len(prefix) + sum(map(len, of_row)) for prefix, of_row in zip(prefixes, branches, strict=True)]
        refuse_trees(self.model, max(lengths, default=0))
        log_probs: list[np.ndarray] = [np.empty(0)] * len(prefixes)
        done = 0
        for places in to_batches(lengths, self._batch_tokens):
            chosen = [prefixes[place] for place in places], [branches[place] for place in places]
            for place, scores in zip(places, self._branch_batch(*chosen), strict=True):
                log_probs[place] = scores
            self.usage.count(len(places), sum(lengths[place] for place in places))
            done += len(places)
            _tell(progress, done)
        return log_probs

    def _branch_batch(
        self, prefixes: Sequence[Sequence[int]], branches: Sequence[Sequence[Sequence[int]]]
    ) -> list[np.ndarray]:
        batch = self._to_device(branch_batch(prefixes, branches, self.pad_id, self.model.dtype))
        tails = [sum(map(len, of_row)) for of_row in branches]
        # From the last token of the prefixes on: nothing before it decides a token of a branch.
        logits = self.model(**batch, logits_to_keep=max(tails) + 1, use_cache=False).logits.float().log_softmax(-1)
        return [
            _sum_branches(row[-tail - 1 :], of_row) for row, tail, of_row in zip(logits, tails, branches, strict=True)
        ]

    @torch.inference_mode()
    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        progress: Progress | None = None,
        constraints: Sequence[Constraint] | None = None,
        **sampling: Any,
    ) -> list[str]:
        """Let the model write.

        Args:
            prompts (`list[list[int]]`): Token ids.
            max_new_tokens (`int`): Most tokens of an answer.
            progress (`Callable[[int], None]`, *optional*): See `Progress`.
            constraints (`list[Callable]`, *optional*): One per prompt; see `Constraint`.
            **sampling (`Any`, *optional*): As `model.generate` takes them; greedy by default.

        Returns:
            `list[str]`: The answers, without special tokens.
        """
        choices: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None, **sampling}
        texts = [""] * len(prompts)
        done = 0
        for places in to_batches([len(ids) + max_new_tokens for ids in prompts], 8 * self._batch_tokens):
            batch = self._to_device(pad_left([prompts[place] for place in places], self.pad_id))
            width = batch["input_ids"].shape[1]
            mask = batch.pop("attention_mask", torch.ones_like(batch["input_ids"]))
            del batch["position_ids"]  # `generate` counts its own from the mask
            if constraints is not None:
                choices["prefix_allowed_tokens_fn"] = _batch_constraint([constraints[row] for row in places], width)
            answers = self.model.generate(
                **batch, attention_mask=mask, max_new_tokens=max_new_tokens, pad_token_id=self.pad_id, **choices
            )
            written = int((answers[:, width:] != self.pad_id).sum())
            self.usage.count(len(places), sum(len(prompts[place]) for place in places), written)
            for place, ids in zip(places, answers[:, width:], strict=True):
                texts[place] = cast(str, self.tokenizer.decode(ids, skip_special_tokens=True)).strip()
            done += len(places)
            _tell(progress, done)
        return texts

    def stream(
        self, prompt: Sequence[int], max_new_tokens: int, constraint: Constraint | None = None, **sampling: Any
    ) -> Iterator[str]:
        """Let the model write one answer, and hand out each piece as soon as it is decided.

        Args:
            prompt (`list[int]`): Token ids.
            max_new_tokens (`int`): Most tokens of the answer.
            constraint (`Callable`, *optional*): See `Constraint`.
            **sampling (`Any`, *optional*): As `model.generate` takes them; greedy by default.

        Yields:
            `str`: Pieces of the text that [`~LanguageModel.generate`] returns whole, up to blanks around it. The model
            stops writing as soon as the iterator is closed.
        """
        choices: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None, **sampling}
        if constraint is not None:
            choices["prefix_allowed_tokens_fn"] = _batch_constraint([constraint], len(prompt))
        ids = torch.tensor([list(prompt)], device=self.device)
        streamer = TextIteratorStreamer(self.tokenizer, skip_prompt=True, skip_special_tokens=True)
        stopped, failures = Event(), []

        def write() -> None:
            try:
                self.model.generate(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    max_new_tokens=max_new_tokens,
                    pad_token_id=self.pad_id,
                    streamer=streamer,
                    stopping_criteria=StoppingCriteriaList(
                        [lambda *_: torch.tensor([stopped.is_set()]).to(ids.device)]
                    ),
                    **choices,
                )
            except Exception as error:  # nobody would hear of it in a thread; the reader raises it
                failures.append(error)
                streamer.end()

        writer = Thread(target=write, daemon=True)
        writer.start()
        try:
            yield from (piece for piece in streamer if piece)
        finally:
            stopped.set()
            writer.join()
        if failures:
            raise failures[0]

    @property
    def pad_id(self) -> int:
        """What fills the left side of a batch."""
        pad, end = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        return end if pad is None else pad

    def _to_device(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: tensor.to(self.device) for name, tensor in batch.items()}


def _sum_branches(log_probs: torch.Tensor, branches: Sequence[Sequence[int]]) -> np.ndarray:
    """The log-probability of each branch.

    Args:
        log_probs (`torch.Tensor`, shape `(1 + tokens, vocabulary)`): What follows the prefix, then what follows each
            token of branch after branch.
        branches (`list[list[int]]`): Token ids.
    """
    sums, start = [], 1
    for branch in branches:
        # What decides the first token of a branch is the end of the prefix; then each token decides the next.
        deciders = [0, *range(start, start + len(branch) - 1)]
        sums.append(log_probs[deciders, list(branch)].sum().item())
        start += len(branch)
    return np.array(sums)


def _batch_constraint(constraints: Sequence[Constraint], width: int) -> Callable[[int, torch.Tensor], list[int]]:
    """The constraints of a batch as `model.generate` asks for them: by row, with the prompt before the answer."""
    return lambda row, ids: constraints[row](ids[width:].tolist())


def _tell(progress: Progress | None, done: int) -> None:
    if progress is not None:
        progress(done)


def load_language_model(
    name: str = DEFAULT_BASE_MODEL,
    *,
    revision: str | None = None,
    device: str | None = None,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    weights: Weights | None = None,
) -> LanguageModel:
    """Load a base model, or an adapter together with the base model it names.

    Args:
        name (`str`, *optional*, defaults to `"HuggingFaceTB/SmolLM2-135M-Instruct"`): Local folder or Hub id; for
            where it is looked for see [`model_folders.model_folder`].
        revision (`str`, *optional*): Branch, tag or commit of the Hub repo.
        device (`str`, *optional*): Where to; the accelerator if there is one, else the CPU.
        chat_template_kwargs (`dict`, *optional*): What every prompt passes to the chat template; by default what the
            adapter was trained with, and nothing for a base model.
        weights ([`Weights`], *optional*): What loads the weights: [`SharedWeights`] for several adapters on one base
            model; each with a base of its own by default.

    Returns:
        [`LanguageModel`]: In float32 on a CPU (bfloat16 without AVX512 is hundreds of times slower), else in bfloat16.

    Raises:
        InputError: The files are not to be had, have no chat template, or the adapter belongs to another base model.
    """
    device = device or str(accelerator() or "cpu")
    weights = weights or OwnWeights()
    folder = model_folder(name, revision)
    if (folder / STUDENT_WEIGHTS).is_file():
        raise InputError(
            f"{name} is a student of an action verbalizer, not a language model. Open it with "
            "ActionVerbalizer.from_pretrained, or give an adapter or a base model here."
        )
    switches = trained_chat_template_kwargs(folder) if chat_template_kwargs is None else chat_template_kwargs
    check_chat_template_kwargs(switches, "chat_template_kwargs")
    mark = "" if chat_template_kwargs is None else f"+{json.dumps(switches, sort_keys=True)}"
    if not (folder / ADAPTER_CONFIG).exists():
        model = weights.base(folder, device)
        return LanguageModel(model, _load_tokenizer(name, folder), name, None, fingerprint_of(folder) + mark, switches)
    base_id = base_of(folder)
    base_folder = model_folder(base_id)
    model = weights.adapted(base_folder, folder, device, name, base_id)
    tokenizer = _load_tokenizer(name, folder if _has_tokenizer(folder) else base_folder)
    return LanguageModel(model, tokenizer, base_id, name, fingerprint_of(folder) + mark, switches)


def base_of(folder: Path) -> str:
    """The Hub id or folder of the base model that an adapter names."""
    return PeftConfig.from_pretrained(str(folder)).base_model_name_or_path


def fingerprint_of(folder: Path) -> str:
    """The content of a model's folder as a hash; of an adapter, its base model's and its own.

    Args:
        folder (`Path`): As [`model_folders.model_folder`] returns it.
    """
    own = content_hash(folder)
    if not (folder / ADAPTER_CONFIG).exists():
        return own
    return f"{content_hash(model_folder(base_of(folder)))}+{own}"


def trained_chat_template_kwargs(folder: Path) -> dict[str, Any]:
    """What an adapter's training passed to the chat template; empty where its files do not say.

    Args:
        folder (`Path`): As [`model_folders.model_folder`] returns it.

    Raises:
        InputError: The file is damaged.
    """
    path = folder / CHAT_TEMPLATE_CONFIG
    if not path.is_file():
        return {}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}). Download the adapter again, or train it again.") from error
    check_chat_template_kwargs(stored, str(path))
    return stored


def check_chat_template_kwargs(switches: Any, where: str) -> None:
    """Refuse anything that is not an argument of a chat template, or that would change how prompts are built.

    Raises:
        InputError: It is not a dictionary, or a name in it is an argument of `apply_chat_template` itself.
    """
    if not isinstance(switches, Mapping):
        raise InputError(
            f"{where} is {switches!r}; expected a mapping of template arguments, such as {{enable_thinking: false}}."
        )
    if taken := switches.keys() & inspect.signature(PreTrainedTokenizerBase.apply_chat_template).parameters.keys():
        raise InputError(f"{where} contains {min(taken)!r}, which logs2lang sets itself. Leave it out.")


def load_tokenizer(name: str = DEFAULT_BASE_MODEL) -> PreTrainedTokenizerBase:
    """The tokenizer of a model alone, without its weights; see [`load_language_model`] for `name`."""
    folder = model_folder(name)
    if (folder / ADAPTER_CONFIG).exists() and not _has_tokenizer(folder):
        folder = model_folder(base_of(folder))
    return _load_tokenizer(name, folder)


def _has_tokenizer(folder: Path) -> bool:
    return (folder / "tokenizer_config.json").exists()


def _load_tokenizer(name: str, folder: Path) -> PreTrainedTokenizerBase:
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    if tokenizer.chat_template is None:
        raise InputError(f"The tokenizer of {name} has no chat template. Choose an instruction-tuned model.")
    return tokenizer
