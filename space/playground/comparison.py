"""The comparison itself: verbalizers write the same log, and the reasoner chooses from each text."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import HISTORY, MAX_HISTORY
from logs2lang.models.language_models import LanguageModel
from logs2lang.models.model_folders import model_folder
from logs2lang.reasoners.local import LocalReasoner, trained_choices
from logs2lang.verbalizers.action import ActionVerbalizer
from logs2lang.verbalizers.decision_rules import RuleDecisions
from logs2lang.verbalizers.language_model_verbalizer import VERBALIZER_CONFIG, LanguageModelVerbalizer
from logs2lang.verbalizers.learned import LEARNED_VERBALIZERS
from logs2lang.verbalizers.profile import ProfileVerbalizer
from logs2lang.verbalizers.rewrite import RewriteVerbalizer
from logs2lang.verbalizers.successors import SuccessorsVerbalizer
from logs2lang.verbalizers.template import TemplateVerbalizer
from logs2lang.verbalizers.verbalization_file import count_tokens

from .decision import Decision
from .loaded_models import LoadedModels
from .released_adapters import MODEL_CARDS, default_adapter

VERBALIZERS = ("template", "profile", "successors", "action", "zero_shot", "rewrite")
ACTION_RULE = "newest-3"
"""What decides about records where no action adapter was chosen."""
BY_ACTION_RULE = f"rule {ACTION_RULE}"

UNTRAINED_TEMPERATURE = 4.0
"""Of a reasoner that was not trained for its answer mode: sums over the tokens of a title lie many nats apart, so
without it nearly every pick would show 100%. The ranking does not depend on it."""

PageAnswer = Literal["title", "tags", "label"]
State = Literal["empty", "waiting", "writing", "reading", "done"]


@dataclass(frozen=True)
class Choices:
    """What a visitor can choose.

    Args:
        history_length (`int`, defaults to 20): How many of the newest records are read.
        action_adapter (`str`, defaults to `""`): Folder or Hub id; a rule decides if empty.
        rewrite_adapter (`str`, defaults to `""`): Folder or Hub id; nothing is rewritten if empty.
        reasoner_adapter (`str`, defaults to `""`): Folder or Hub id; the untrained base model if empty.
        answer (`str`, defaults to `"title"`): Answer mode of the reasoner: `"title"`, `"tags"` or `"label"`.
        seed (`int`, defaults to 0): Decides the order of the candidates; 0 leaves it as it came.
        zero_shot (`bool`, defaults to `False`): Whether the untrained base model writes a text as well.

    Raises:
        InputError: A choice is not among those there are.
    """

    history_length: int = 20
    action_adapter: str = ""
    rewrite_adapter: str = ""
    reasoner_adapter: str = ""
    answer: PageAnswer = "title"
    seed: int = 0
    zero_shot: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.history_length <= MAX_HISTORY:
            raise InputError(f"history_length is {self.history_length}; expected 1 to {MAX_HISTORY}.")
        if self.answer not in get_args(PageAnswer):
            raise InputError(f"answer is {self.answer!r}; expected 'title', 'tags' or 'label'.")

    @property
    def verbalizers(self) -> tuple[str, ...]:
        """Those that are to write, in the order of the page."""
        asked = {"zero_shot": self.zero_shot, "rewrite": bool(self.rewrite_adapter.strip())}
        return tuple(name for name in VERBALIZERS if asked.get(name, True))


@dataclass(frozen=True)
class Written:
    """What one verbalizer made of a log, as far as it has come.

    Args:
        state (`str`): `"empty"`, `"waiting"`, `"writing"`, `"reading"` (the reasoner is at work) or `"done"`.
        text (`str`): The text so far.
        by (`str`): Who wrote it.
        tokens (`int`, *optional*): Length of the text for the reasoner.
        template_tokens (`int`, *optional*): Length of the template's text.
        decisions (`Sequence[str]`): Of `action`: one per record, as far as they are made.
        probabilities (`dict[str, float]`): By candidate; empty until the reasoner has read the text.
    """

    state: State = "empty"
    text: str = ""
    by: str = ""
    tokens: int | None = None
    template_tokens: int | None = None
    decisions: Sequence[str] = ()
    probabilities: Mapping[str, float] = field(default_factory=dict)

    @property
    def compression(self) -> float | None:
        """Length relative to the template's text."""
        return self.tokens / self.template_tokens if self.tokens is not None and self.template_tokens else None

    @property
    def pick(self) -> str | None:
        """The candidate that the reasoner would choose."""
        return max(self.probabilities, key=self.probabilities.__getitem__) if self.probabilities else None


Comparison = dict[str, Written]
"""By verbalizer, in the order of the page."""


def written_by_rules(decision: Decision, choices: Choices) -> Comparison:
    """The comparison before any model has run: texts by rules are there at once, the others are waited for."""
    history, items, successors = decision.history, decision.items, decision.successors
    by_rules = {
        "template": TemplateVerbalizer(),
        "profile": ProfileVerbalizer(items),
        "successors": SuccessorsVerbalizer(items, successors),
    }
    written = {name: Written("waiting", by_rules[name].verbalize([history])[0], by="rules") for name in by_rules}
    if not choices.action_adapter.strip():
        rule = RuleDecisions(items, ACTION_RULE, successors)
        decided = rule.decide(history, np.random.default_rng(rule.seed))
        written["action"] = Written("waiting", rule.verbalize([history])[0], by=BY_ACTION_RULE, decisions=decided)
    return {name: written.get(name, Written("waiting")) for name in choices.verbalizers}


def compare(decision: Decision, choices: Choices, models: LoadedModels) -> Iterator[Comparison]:
    """Write the log in each way that was chosen, and let the reasoner choose from each text.

    Args:
        decision ([`Decision`]): With the records that are to be read and the candidates in the order to be shown.
        choices ([`Choices`]): Which models.
        models ([`LoadedModels`]): Where they are kept.

    Yields:
        `dict[str, Written]`: Whenever something was added.

    Raises:
        InputError: An adapter cannot be had, or is for another base model.
    """
    comparison = written_by_rules(decision, choices)
    yield comparison
    # All adapters before the first text: a wrong one is said at once and not after half a minute.
    writers = _to_writers(comparison, decision, choices, models)
    reasoner = to_reasoner(choices, models)
    by_rules = [name for name in comparison if name not in writers]
    comparison = _counted(comparison, by_rules, reasoner)
    for step in _read(comparison, by_rules, decision, reasoner):
        comparison = step
        yield comparison
    adapters = {"action": choices.action_adapter, "rewrite": choices.rewrite_adapter}
    for name, verbalizer in writers.items():
        by = adapters.get(name, "").strip() or models.base_model
        for written in _steps(by, decision, verbalizer):
            comparison = {**comparison, name: written}
            yield comparison
        comparison = _counted(comparison, (name,), reasoner)
        for step in _read(comparison, [name], decision, reasoner):
            comparison = step
            yield comparison


def reread(comparison: Comparison, decision: Decision, choices: Choices, models: LoadedModels) -> Iterator[Comparison]:
    """Let the reasoner choose again from texts that are there, such as after a change of the candidates' order."""
    reasoner = to_reasoner(choices, models)
    names = [name for name, written in comparison.items() if written.text]
    yield from _read(comparison, names, decision, reasoner)


def default_choices(folder: Path = MODEL_CARDS) -> Choices:
    """What the page starts with: the released adapters, as far as there are any."""
    action, rewrite, reasoner = (default_adapter(role, folder) for role in ("action", "rewrite", "reasoner"))
    return Choices(action_adapter=action, rewrite_adapter=rewrite, reasoner_adapter=reasoner)


def written_ahead(decision: Decision, models: LoadedModels) -> dict[str, dict[str, Any]]:
    """What the shipped examples hold of a comparison with the default choices."""
    choices = default_choices(models.released)
    *_, comparison = compare(decision.newest(choices.history_length), choices, models)
    return {
        name: {
            "text": written.text,
            "by": written.by,
            "tokens": written.tokens,
            "template_tokens": written.template_tokens,
            "decisions": list(written.decisions),
            "probabilities": {item_id: round(p, 4) for item_id, p in written.probabilities.items()},
        }
        for name, written in comparison.items()
    }


def to_reasoner(choices: Choices, models: LoadedModels) -> LocalReasoner:
    """The chosen reasoner, with the settings it was trained with if it was trained for this answer mode."""
    model = models.get(choices.reasoner_adapter)
    trained = {} if model.adapter_id is None else trained_choices(model_folder(model.adapter_id))
    if trained.get("answer") == choices.answer:
        return LocalReasoner(model, **trained)
    return LocalReasoner(model, choices.answer, temperature=UNTRAINED_TEMPERATURE)


def _to_writers(
    comparison: Comparison, decision: Decision, choices: Choices, models: LoadedModels
) -> dict[str, LanguageModelVerbalizer]:
    """The language models whose texts are still waited for."""
    adapters = {"zero_shot": "", "action": choices.action_adapter, "rewrite": choices.rewrite_adapter}
    waited_for = [name for name, written in comparison.items() if not written.by]
    return {name: _to_verbalizer(name, adapters[name], decision, models) for name in waited_for}


def _to_verbalizer(name: str, adapter: str, decision: Decision, models: LoadedModels) -> LanguageModelVerbalizer:
    """A learned verbalizer with its adapter and settings, or with the untrained base model."""
    kind, model = LEARNED_VERBALIZERS.get(name, RewriteVerbalizer), models.get(adapter)
    trained = (
        {} if model.adapter_id is None else kind.trained_choices(model_folder(model.adapter_id) / VERBALIZER_CONFIG)
    )
    return kind(decision.items, model, successors=decision.successors, **trained)


def _steps(by: str, decision: Decision, verbalizer: LanguageModelVerbalizer) -> Iterator[Written]:
    """The text of one language model while it grows."""
    history = verbalizer.fit(decision.history)
    yield Written("writing", by=by)
    completion = ""
    for piece in _pieces(verbalizer, history, cast(LanguageModel, verbalizer.language_model)):
        completion += piece
        yield _to_written(verbalizer, completion, history, decision, by)
    yield _to_written(verbalizer, completion, history, decision, by)


def _pieces(verbalizer: LanguageModelVerbalizer, history: Sequence[Any], model: LanguageModel) -> Iterator[str]:
    example = {HISTORY: history}
    prompt = model.prompt_ids(verbalizer.prompt(example))
    return model.stream(prompt, verbalizer.max_completion_tokens(example), verbalizer.constraint(example))


def _to_written(
    verbalizer: LanguageModelVerbalizer,
    completion: str,
    history: Sequence[Any],
    decision: Decision,
    by: str,
) -> Written:
    if not isinstance(verbalizer, ActionVerbalizer):
        return Written("writing", verbalizer.realize(completion, {HISTORY: history}), by=by)
    text, decided = verbalizer.realize_begun(completion, {HISTORY: history})
    # Records that did not fit the model's window were never asked about, and were left out of the text.
    unread = [""] * (len(decision.history) - len(history))
    return Written("writing", text, by=by, decisions=[*unread, *decided])


def _counted(comparison: Comparison, names: Sequence[str], reasoner: LocalReasoner) -> Comparison:
    """Say how long texts are, in the tokens of the reasoner."""
    tokenizer = reasoner.language_model.tokenizer
    texts = [comparison["template"].text, *(comparison[name].text for name in names)]
    template, *lengths = (int(count) for count in count_tokens(tokenizer, texts))
    counted = {
        name: replace(comparison[name], tokens=length, template_tokens=template)
        for name, length in zip(names, lengths, strict=True)
    }
    return {**comparison, **counted}


def _read(
    comparison: Comparison, names: Sequence[str], decision: Decision, reasoner: LocalReasoner
) -> Iterator[Comparison]:
    """The reasoner reads some of the texts."""
    yield {**comparison, **{name: replace(comparison[name], state="reading") for name in names}}
    shown = decision.candidate_items
    rankings = reasoner.rank([comparison[name].text for name in names], [shown] * len(names))
    for name, ranking in zip(names, rankings, strict=True):
        probabilities = dict(zip(ranking.item_ids, ranking.probabilities, strict=True)) if ranking else {}
        comparison = {**comparison, name: replace(comparison[name], state="done", probabilities=probabilities)}
    yield comparison
