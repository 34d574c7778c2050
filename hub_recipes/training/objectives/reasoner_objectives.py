"""Training a reasoner without sampling: history language modelling, cross-entropy, and the exact policy gradient.

How the prior of a title is treated: a reasoner that answers by `title` subtracts what a title's log-probability would
be without any context. Training scores titles in the same way, with the weights of the moment, but keeps no gradient
of what is subtracted: one who could change the prior would learn to make targets improbable without a context, which
says nothing about the user.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from datasets import Dataset
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainingArguments

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import CANDIDATES, IS_DISCOVERY, ITEM_ID, TARGET, Item

from ...evaluation.metric import load_metric
from ...models.language_models import LanguageModel
from ...reasoners.local import BRANCHES_PER_PASS, LocalReasoner
from ...reasoners.questions import ScoredAnswer, to_prompt_of
from .candidate_policy import (
    cross_entropy,
    entropy,
    expected_advantages,
    expected_kl,
    expected_policy_loss,
    expected_reward,
    is_hit,
)
from .candidate_shuffles import (
    PackedExample,
    Questions,
    TrainingTexts,
    judgeable_with_texts,
)
from .history_targets import Histories, RecordFormat
from .objective_trainer import CUT, Measures, Objective, ObjectiveTrainer
from .packed_sequences import (
    Branch,
    PackedSequence,
    branch_scores,
    to_packed_batch,
    token_log_probs,
)
from .reference_policy import DropStart, keep_start, reference_weights

Method = Literal["history_lm", "sft", "exact"]


@dataclass(frozen=True)
class ObjectiveSettings:
    """What is optimised, and what of it is shown.

    Args:
        method (`str`): `"history_lm"`: next-title language modelling over whole histories. `"sft"`: cross-entropy of
            the target. `"exact"`: the expected GRPO update over the candidates in closed form.
        answer (`str`, *optional*, defaults to `"label"`): `"label"`, `"title"` or `"tags"`, as [`LocalReasoner`]
            answers; `history_lm` trains `"title"`.
        max_length (`int`, *optional*): Most tokens of a prompt with its answers; the model's window when `None`. What
            is longer loses its oldest lines, and is counted.
        beta (`float`, *optional*, defaults to 0.0): For `exact`: weight of the KL term against the reference.
        scale_rewards (`str`, *optional*, defaults to `"group"`): For `exact`: `"group"` divides advantages by the
            standard deviation of the reward, as GRPO does; `"none"` does not, as Dr. GRPO.
        history_length (`int`, *optional*): For `history_lm`: most records of a history that are read at once; all when
            `None`.
        subtract_prior (`bool`, *optional*, defaults to `True`): For `"title"` and `"tags"`: see [`LocalReasoner`].
        reference (`str`, *optional*, defaults to `"base"`): For `exact`: `"base"`, the model without adapter, or
            `"start"`, the adapter as it is when training starts.
        records (`str`, *optional*, defaults to `"titles"`): For `history_lm`: what of a record is read: `"titles"`
            alone, or all its fields as `"template"` text.
        questions (`int`, *optional*, defaults to 1): For `history_lm`: how many targets of each history are also asked
            for at the end of a prompt, as at inference.
        temperature (`float`, *optional*, defaults to 1.0): For `exact`, and for `sft` of titles: divides the scores of
            the candidates before the softmax, as in TRL's GRPO; which candidate is best does not depend on it. Titles
            of several tokens differ by many nats before anything is learned, which a temperature above 1 makes up for.

    Raises:
        InputError: A setting is not among its choices, or `history_lm` should train labels.
    """

    method: Method
    answer: ScoredAnswer = "label"
    max_length: int | None = None
    beta: float = 0.0
    scale_rewards: Literal["group", "none"] = "group"
    history_length: int | None = None
    subtract_prior: bool = True
    reference: Literal["base", "start"] = "base"
    records: RecordFormat = "titles"
    questions: int = 1
    temperature: float = 1.0

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"{name} is {getattr(self, name)!r}; choose one of {', '.join(choices)}.")
        for name in ("max_length", "history_length", "questions"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; expected at least 1.")
        if not self.temperature > 0:  # nor is it no number
            raise InputError(f"temperature is {self.temperature}; expected more than 0.")
        if self.beta < 0:
            raise InputError(f"beta is {self.beta}; expected at least 0.")
        if self.method == "history_lm" and self.answer != "title":
            raise InputError(
                f"method 'history_lm' supports only answer mode title, not {self.answer!r}. Set answer: title."
            )


_CHOICES = {
    "method": ("history_lm", "sft", "exact"),
    "answer": get_args(ScoredAnswer),
    "scale_rewards": ("group", "none"),
    "reference": ("base", "start"),
    "records": ("titles", "template"),
}


def train_objective(
    language_model: LanguageModel,
    examples: Dataset,
    texts: Sequence[str],
    items: Mapping[str, Item],
    settings: ObjectiveSettings,
    training_args: TrainingArguments,
    eval_examples: Dataset | None = None,
    eval_texts: Sequence[str] | None = None,
    callbacks: Sequence[TrainerCallback] = (),
    resume_from_checkpoint: str | bool | None = None,
) -> Trainer:
    """Train the LoRA adapter of a language model as a reasoner.

    Args:
        language_model ([`LanguageModel`]): Its `model` is a `PeftModel` whose adapter can be trained.
        examples (`datasets.Dataset`): Training rows of `EXAMPLE_FEATURES`.
        texts (`list[str]`): The verbalized history of each example; `history_lm` reads the histories themselves.
        items (`dict[str, Item]`): The catalogue.
        settings ([`ObjectiveSettings`]): What is optimised.
        training_args (`transformers.TrainingArguments`): How.
        eval_examples (`datasets.Dataset`, *optional*): What `eval_recall@1` is measured on.
        eval_texts (`list[str]`, *optional*): Their verbalized histories.
        callbacks (`list[TrainerCallback]`, *optional*): For the trainer.
        resume_from_checkpoint (`str` or `bool`, *optional*): A folder that training wrote, or `True` for the last one.

    Returns:
        `transformers.Trainer`: After training. Its log holds, of the training batches, `loss` and `cut_contexts` (the
        share that lost old lines); for questions `recall@1`, `entropy`, `reward` and `kl` (both of
        `exact`, whose loss is 0 by construction); for histories
        `title_tokens` (the share of tokens that were the most probable). With examples to evaluate on, it holds
        `eval_recall@1` of the [`LocalReasoner`] that the model is.

    Raises:
        InputError: Settings or examples cannot be used, or the loss is not a number any more.
    """
    trainer = to_trainer(
        language_model, examples, texts, items, settings, training_args, eval_examples, eval_texts, callbacks
    )
    trainer.train(resume_from_checkpoint=resume_from_checkpoint)
    return trainer


def to_trainer(
    language_model: LanguageModel,
    examples: Dataset,
    texts: Sequence[str],
    items: Mapping[str, Item],
    settings: ObjectiveSettings,
    training_args: TrainingArguments,
    eval_examples: Dataset | None = None,
    eval_texts: Sequence[str] | None = None,
    callbacks: Sequence[TrainerCallback] = (),
) -> ObjectiveTrainer:
    """The trainer of [`train_objective`], before training: its `train` is what is left to call."""
    seed = training_args.seed if training_args.data_seed is None else training_args.data_seed
    if settings.method == "exact" and settings.beta and settings.reference == "start":
        keep_start(language_model.model)
    return ObjectiveTrainer(
        language_model.model,
        training_args,
        to_objective(language_model, settings),
        to_training_texts(language_model, examples, texts, items, settings, seed),
        seed=seed,
        evaluation=to_evaluation(language_model, eval_examples, eval_texts, items, settings),
        eval_dataset=eval_examples,
        processing_class=language_model.tokenizer,
        callbacks=[*callbacks, DropStart()],
    )


def to_training_texts(
    language_model: LanguageModel,
    examples: Dataset,
    texts: Sequence[str],
    items: Mapping[str, Item],
    settings: ObjectiveSettings,
    seed: int,
) -> TrainingTexts:
    """What is shown in training: whole histories, or a question per example."""
    window = language_model.max_prompt_tokens
    max_length = min(settings.max_length or window, window)
    if settings.method == "history_lm":
        return Histories(
            language_model,
            examples,
            items,
            records=settings.records,
            history_length=settings.history_length,
            questions=settings.questions,
            asks_without_context=settings.subtract_prior,
            max_length=max_length,
            seed=seed,
        )
    kept, their_texts = judgeable_with_texts(examples, texts)
    return Questions(language_model, kept, their_texts, items, settings.answer, max_length, seed)


def to_objective(language_model: LanguageModel, settings: ObjectiveSettings) -> Objective:
    """The objective that the settings name."""
    return (HistoryObjective if settings.method == "history_lm" else CandidateObjective)(language_model, settings)


@dataclass(frozen=True)
class HistoryObjective:
    """Cross-entropy of the tokens of titles, averaged over the tokens of a batch."""

    language_model: LanguageModel
    settings: ObjectiveSettings

    def collate(self, packed_examples: Sequence[PackedExample]) -> dict[str, Any]:
        return _collate(self.language_model, packed_examples)

    def loss(self, model: Any, batch: Mapping[str, Any]) -> tuple[Tensor, Measures]:
        log_probs, is_best = token_log_probs(model, batch)
        return -log_probs.mean(), {"title_tokens": is_best}


@dataclass(frozen=True)
class CandidateObjective:
    """`sft` or `exact`, over the candidates as [`LocalReasoner`] scores them.

    `sft` with labels takes the probability of the target's label over the whole vocabulary, so that the model also
    learns to answer with a label; over the labels alone it would be free to write anything. With titles or
    tags, it takes the softmax over the candidates.
    """

    language_model: LanguageModel
    settings: ObjectiveSettings

    def collate(self, packed_examples: Sequence[PackedExample]) -> dict[str, Any]:
        batch = _collate(self.language_model, packed_examples)
        if self.settings.answer != "label" and self.settings.subtract_prior:
            batch |= self._prior_batch(packed_examples)
        return {**batch, "gold": torch.tensor([packed.gold for packed in packed_examples])}

    def _prior_batch(self, packed_examples: Sequence[PackedExample]) -> dict[str, Any]:
        """Every answer of a batch once, after a prompt without context, and where each candidate finds its own."""
        answers = [[tuple(branch.ids) for branch in shown.sequence.branches] for shown in packed_examples]
        known = sorted({answer for of_example in answers for answer in of_example})
        prompt = self.language_model.prompt_ids(to_prompt_of(self.settings.answer)("", []))
        parts = [known[start : start + BRANCHES_PER_PASS] for start in range(0, len(known), BRANCHES_PER_PASS)]
        sequences = [PackedSequence(prompt, [Branch(answer, len(prompt)) for answer in part]) for part in parts]
        width = max(map(len, parts))
        place = {answer: row * width + column for row, part in enumerate(parts) for column, answer in enumerate(part)}
        most = max(map(len, answers))
        return {
            "prior": to_packed_batch(sequences, self.language_model.pad_id, self.language_model.model.dtype),
            "prior_at": torch.tensor(
                [[place[answer] for answer in of_row] + [0] * (most - len(of_row)) for of_row in answers]
            ),
        }

    def scores(self, model: Any, batch: Mapping[str, Any]) -> Tensor:
        """The score of each candidate, of shape `(examples, candidates)`; minus infinity where there is none."""
        prior: Tensor | float = 0.0
        if "prior" in batch:
            with torch.no_grad():
                prior_scores = branch_scores(token_log_probs(model, batch["prior"])[0], batch["prior"])
            prior = prior_scores.flatten()[batch["prior_at"]]
        # Last, so that no other pass comes between this one and its backward pass.
        return branch_scores(token_log_probs(model, batch)[0], batch) - prior

    def loss(self, model: Any, batch: Mapping[str, Any]) -> tuple[Tensor, Measures]:
        log_reference = self._reference(model, batch) if self.settings.method == "exact" else None
        scores, gold = self.scores(model, batch), batch["gold"]
        log_policy = self._to_policy(scores)
        measures = {"recall@1": is_hit(log_policy, gold), "entropy": entropy(log_policy.detach())}
        if self.settings.method == "sft":
            return cross_entropy(scores if self.settings.answer == "label" else log_policy, gold), measures
        measures["reward"] = expected_reward(log_policy, gold)
        advantages = expected_advantages(log_policy, gold, self.settings.scale_rewards)
        loss = expected_policy_loss(log_policy, advantages)
        if log_reference is None:
            return loss, measures
        kl = expected_kl(log_policy, log_reference)
        return loss + self.settings.beta * kl.mean(), {**measures, "kl": kl}

    def _reference(self, model: Any, batch: Mapping[str, Any]) -> Tensor | None:
        if not self.settings.beta:
            return None
        with reference_weights(model):
            return self._to_policy(self.scores(model, batch))

    def _to_policy(self, scores: Tensor) -> Tensor:
        return (scores / self.settings.temperature).log_softmax(-1)


def _collate(language_model: LanguageModel, packed_examples: Sequence[PackedExample]) -> dict[str, Any]:
    sequences = [packed.sequence for packed in packed_examples]
    return {
        **to_packed_batch(sequences, language_model.pad_id, language_model.model.dtype),
        CUT: torch.tensor([packed.is_cut for packed in packed_examples]),
    }


@dataclass(frozen=True)
class RecallEvaluation:
    """Recall@1 of the reasoner that the model is by now, by the metric's own arithmetic."""

    reasoner: LocalReasoner
    examples: Dataset
    texts: Sequence[str]
    items: Mapping[str, Item]

    def answers(self, process: int, num_processes: int) -> list[tuple[str, str, bool]]:
        """Pick, target and discovery of every `num_processes`-th example."""
        places = range(process, len(self.examples), num_processes)
        examples = self.examples.select(places)
        shown = [[self.items[candidate[ITEM_ID]] for candidate in row] for row in examples[CANDIDATES]]
        picks = [
            ranking.pick for ranking in self.reasoner.rank([self.texts[place] for place in places], shown) if ranking
        ]
        return list(zip(picks, examples[TARGET], examples[IS_DISCOVERY], strict=True))

    def measure(self, answers: list[tuple[str, str, bool]]) -> dict[str, float]:
        """`recall@1`, and `discovery_recall@1` where there are discoveries."""
        picks, targets, is_discovery = map(list, zip(*answers, strict=True))
        measures = load_metric().compute(predictions=picks, references=targets, is_discovery=is_discovery)
        names = ("recall@1", "discovery_recall@1")
        return {name: measures[name] for name in names if measures[name] is not None}


def to_evaluation(
    language_model: LanguageModel,
    examples: Dataset | None,
    texts: Sequence[str] | None,
    items: Mapping[str, Item],
    settings: ObjectiveSettings,
) -> RecallEvaluation | None:
    """What is measured between steps, if there are examples for it."""
    if examples is None:
        return None
    if texts is None or len(texts) != len(examples):
        raise InputError(f"There are {len(texts or ())} texts for {len(examples)} examples to evaluate on.")
    reasoner = LocalReasoner(language_model, settings.answer, settings.subtract_prior, settings.temperature)
    return RecallEvaluation(reasoner, examples, texts, items)
