"""The comparison itself: five verbalizers write the same log, and the reasoner chooses from each text."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from logs2lang.dataset_builders.schema import HISTORY
from logs2lang.models.language_models import LanguageModel
from logs2lang.models.model_folders import model_folder
from logs2lang.reasoners.local import Answer, LocalReasoner
from logs2lang.space.playground.decision import Decision
from logs2lang.space.playground.loaded_models import LoadedModels
from logs2lang.space.playground.released_adapters import MODEL_CARDS, default_adapter
from logs2lang.verbalizers.action import ActionVerbalizer, parse_decisions
from logs2lang.verbalizers.language_model_verbalizer import VERBALIZER_CONFIG, LanguageModelVerbalizer
from logs2lang.verbalizers.learned import LEARNED_VERBALIZERS
from logs2lang.verbalizers.profile import ProfileVerbalizer
from logs2lang.verbalizers.rewrite import RewriteVerbalizer
from logs2lang.verbalizers.template import TemplateVerbalizer
from logs2lang.verbalizers.verbalization_file import count_tokens

VERBALIZERS = ("template", "profile", "zero_shot", "action", "rewrite")
State = Literal["empty", "waiting", "writing", "reading", "done"]


@dataclass(frozen=True)
class Choices:
    """What a visitor can choose.

    Args:
        history_length (`int`, defaults to 20): How many of the newest records are read.
        action_adapter (`str`, defaults to `""`): Folder or Hub id; the base model as it is when empty.
        rewrite_adapter (`str`, defaults to `""`): The same.
        reasoner_adapter (`str`, defaults to `""`): The same.
        answer (`str`, defaults to `"title"`): Answer mode of the reasoner: `"title"`, `"tags"` or `"label"`.
        seed (`int`, defaults to 0): Decides the order of the candidates; 0 leaves it as it came.
    """

    history_length: int = 20
    action_adapter: str = ""
    rewrite_adapter: str = ""
    reasoner_adapter: str = ""
    answer: Answer = "title"
    seed: int = 0


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
        note (`str`): What should be known about this text.
    """

    state: State = "empty"
    text: str = ""
    by: str = ""
    tokens: int | None = None
    template_tokens: int | None = None
    decisions: Sequence[str] = ()
    probabilities: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

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


def written_by_rules(decision: Decision) -> Comparison:
    """The comparison before any model has run: two texts are there at once, the others are waited for."""
    by_rules = {"template": TemplateVerbalizer(), "profile": ProfileVerbalizer(decision.items)}
    texts = {name: verbalizer.verbalize([decision.history])[0] for name, verbalizer in by_rules.items()}
    return {
        name: Written("waiting", texts[name], by="rules") if name in texts else Written("waiting")
        for name in VERBALIZERS
    }


def compare(decision: Decision, choices: Choices, models: LoadedModels) -> Iterator[Comparison]:
    """Write the log in five ways, and let the reasoner choose from each.

    Args:
        decision ([`Decision`]): With the records that are to be read and the candidates in the order to be shown.
        choices ([`Choices`]): Which models.
        models ([`LoadedModels`]): Where they are kept.

    Yields:
        `dict[str, Written]`: Whenever something was added.

    Raises:
        InputError: An adapter cannot be had, or is for another base model.
    """
    comparison = written_by_rules(decision)
    yield comparison
    # All adapters before the first text: a wrong one is said at once and not after half a minute.
    writers = {
        "zero_shot": RewriteVerbalizer(decision.items, models.base()),
        "action": _to_verbalizer("action", choices.action_adapter, decision, models),
        "rewrite": _to_verbalizer("rewrite", choices.rewrite_adapter, decision, models),
    }
    reasoner = to_reasoner(choices, models)
    comparison = _counted(comparison, ("template", "profile"), reasoner)
    yield comparison
    waiting = ["template", "profile"]
    adapters = {"action": choices.action_adapter, "rewrite": choices.rewrite_adapter}
    for name, verbalizer in writers.items():
        by = adapters.get(name, "").strip() or models.base_model
        for written in _steps(name, by, decision, verbalizer, comparison):
            comparison = {**comparison, name: written}
            yield comparison
        comparison = _counted(comparison, (name,), reasoner)
        for step in _read(comparison, [*waiting, name], decision, reasoner):
            comparison = step
            yield comparison
        waiting = []


def reread(comparison: Comparison, decision: Decision, choices: Choices, models: LoadedModels) -> Iterator[Comparison]:
    """Let the reasoner choose again from texts that are there, such as after a change of the candidates' order."""
    reasoner = to_reasoner(choices, models)
    names = [name for name, written in comparison.items() if written.text]
    yield from _read(comparison, names, decision, reasoner)


def default_choices(folder: Path = MODEL_CARDS) -> Choices:
    """What the page starts with: the released adapters, as far as there are any."""
    adapters = {f"{role}_adapter": default_adapter(role, folder) for role in ("action", "rewrite", "reasoner")}
    return Choices(**adapters)


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
            "note": written.note,
        }
        for name, written in comparison.items()
    }


def to_reasoner(choices: Choices, models: LoadedModels) -> LocalReasoner:
    """The chosen reasoner, with the settings it was trained with if it was trained for this answer mode."""
    model = models.get(choices.reasoner_adapter)
    if model.adapter_id is None:
        return LocalReasoner(model, choices.answer)
    return LocalReasoner.as_trained(model, model_folder(model.adapter_id), choices.answer)


def _to_verbalizer(name: str, adapter: str, decision: Decision, models: LoadedModels) -> LanguageModelVerbalizer:
    """A learned verbalizer with its adapter and settings, or with the untrained base model."""
    kind, model = LEARNED_VERBALIZERS[name], models.get(adapter)
    if model.adapter_id is None:
        return kind(decision.items, model)
    trained = kind.trained_choices(model_folder(model.adapter_id) / VERBALIZER_CONFIG)
    return kind(decision.items, model, **trained)


def _steps(
    name: str, by: str, decision: Decision, verbalizer: LanguageModelVerbalizer, comparison: Comparison
) -> Iterator[Written]:
    """The text of one language model while it grows."""
    model = cast(LanguageModel, verbalizer.language_model)
    trained = model.adapter_id is not None
    if name == "rewrite" and not trained:
        note = "No adapter was chosen, so this text is written by the untrained base model: it is the zero-shot text."
        yield replace(comparison["zero_shot"], state="writing", probabilities={}, note=note)
        return
    note = "" if trained or name == "zero_shot" else "No adapter was chosen: the untrained base model decides."
    history = verbalizer.fit(decision.history)
    yield Written("writing", by=by, note=note)
    completion = ""
    for piece in _pieces(verbalizer, history, model):
        completion += piece
        yield _to_written(verbalizer, completion, history, decision, by, note)
    yield _to_written(verbalizer, completion, history, decision, by, note)


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
    note: str,
) -> Written:
    if not isinstance(verbalizer, ActionVerbalizer):
        return Written("writing", verbalizer.realize(completion, {HISTORY: history}), by=by, note=note)
    made = parse_decisions(completion, len(history))
    decided = len(history) - made.undecided
    text = verbalizer.realize(completion, {HISTORY: history[:decided]})
    # Records that did not fit the model's window were never asked about, and were left out of the text.
    unread = [""] * (len(decision.history) - len(history))
    return Written("writing", text, by=by, decisions=[*unread, *made.of_records[:decided]], note=note)


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
