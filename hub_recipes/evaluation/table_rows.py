"""The rows of the results table: everything that can rank the candidates of an example.

A verbalizer's text read by the reasoner, a classical recommender that reads the history itself, or, for a simulated
log, a ranking that knows the truth.
"""

import random
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, Protocol

import numpy as np
from datasets import Dataset

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError, did_you_mean
from logs2lang.dataset_builders.schema import CANDIDATES, EXAMPLE_ID, FOLD, HISTORY, ITEM_ID, TAGS, YEAR, Item
from logs2lang.dataset_builders.sources.streaming_simulation.ceiling import ceiling_scores

from ..baselines import BASELINES, TRAINED_BASELINES, rankings_from_scores
from ..baselines.sasrec_settings import SasRecSettings
from ..models.language_models import load_language_model
from ..models.weights import Weights
from ..reasoners.ranking import Ranking
from ..reasoners.reasoner import Reasoner
from ..verbalizers.action import ActionVerbalizer
from ..verbalizers.by_rule import DECISION_RULES, TEXT_RULES, is_written_by_rule, to_rule_verbalizer
from ..verbalizers.decision_rules import RuleDecisions
from ..verbalizers.learned import LOADED_VERBALIZERS, STUDENT
from ..verbalizers.rewrite import RewriteVerbalizer
from ..verbalizers.student import StudentVerbalizer
from ..verbalizers.verbalizer import write_and_count
from ..verbalizers.written_texts import WrittenTexts
from .results import TEXTS
from .row_costs import Cost, Meter, to_costs

TEMPLATE_ROW = "template"
CEILING_ROW = "ceiling"
RANDOM_ROW = "random"
VERBALIZER_ROWS = (*TEXT_RULES, "zero_shot", *LOADED_VERBALIZERS, *DECISION_RULES)
ALL_BASELINES = "baselines"
"""Short for every classical baseline."""

DECISIONS = "decisions"
"""Of a row in `results.json`: the number of records by what became of them, for verbalizers that decide on each."""

HISTORIES_PER_SECOND = "histories_per_second"
"""Of a student's row: how fast one process writes its texts."""

Report = Callable[[str, int], None]
"""Called with what a row is doing and the number of finished examples."""


class NothingToGoOnError(Exception):
    """A row cannot tell any two candidates apart, so what it would measure is chance; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """What a row says about each example.

    Args:
        rankings (`list[Ranking | None]`): One per example; `None` is an invalid answer.
        texts (`list[str]` or `None`): The verbalizations, for rows that write any.
        details (`dict`): What else `results.json` tells of the row: the model that wrote, over all examples how
            many records were decided which way, and of a student how many histories it wrote per second.
        decided (`list[str]` or `None`): The decision on each record, for rows that decide; oldest first.
    """

    rankings: Sequence[Ranking | None]
    texts: Sequence[str] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    decided: Sequence[str] | None = None


class TableRow(Protocol):
    """One row of the table."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str:
        """`"verbalizer"`, `"baseline"` or `"ceiling"`."""

    def identity(self) -> dict[str, Any] | None:
        """What decides the outcome, beside the examples; part of the row's fingerprint. `None` for what cannot tell
        whether it has changed, so that it is run every time."""

    def with_seed(self, seed: int) -> "TableRow | None":
        """The row with what chance decides in it drawn by another seed; `None` where it decides nothing."""

    def run(self, examples: Dataset, report: Report) -> Outcome:
        """Rank the candidates of each example.

        Raises:
            NothingToGoOnError: All candidates are alike to this row.
        """


class RowTexts(NamedTuple):
    """The texts of a row.

    Args:
        texts (`list[str]`): One per example.
        details (`dict`): What `results.json` tells of how they came about.
        cost (`Cost` or `None`): What they took, where that is known.
    """

    texts: Sequence[str]
    details: Mapping[str, Any]
    cost: Cost | None


@dataclass(frozen=True)
class VerbalizerRow:
    """A verbalizer writes each history as text, and the reasoner answers from it."""

    name: str
    verbalizer: Any
    reasoner: Reasoner
    items: Mapping[str, Item]
    kind: str = "verbalizer"
    shuffle_seed: int | None = None
    """Puts the candidates in another order before the reasoner sees them."""

    def identity(self) -> dict[str, Any] | None:
        written_by = getattr(self.verbalizer, "fingerprint", None)  # a name says nothing about what stands behind it
        return written_by and {"verbalizer": written_by, "reasoner": self.reasoner.entry()}

    def with_seed(self, seed: int) -> "VerbalizerRow | None":
        """The row with random decisions drawn again, and with its candidates in another order. Branches of a tree
        (`title`, `tags`) know no order."""
        drawn = self.verbalizer.with_seed(seed) if isinstance(self.verbalizer, RuleDecisions) else None
        if self.reasoner.entry()["answer"] in ("title", "tags"):
            return None if drawn is None else replace(self, verbalizer=drawn)
        return replace(self, verbalizer=drawn or self.verbalizer, shuffle_seed=seed)

    def run(self, examples: Dataset, report: Report) -> Outcome:
        if self.reasoner.entry()["answer"] == "tags" and not any(item[TAGS] for item in self.items.values()):
            raise NothingToGoOnError(
                "the reasoner ranks by tags, but no item of the catalogue has any; use --answer title"
            )
        texts, details, written = self.to_texts(examples, report)
        report("answering", 0)
        candidates = self._candidates(examples)
        reader = Meter(getattr(self.reasoner, "usage", None))
        rankings = self.reasoner.rank(texts, candidates, progress=lambda done: report("answering", done))
        costs = to_costs([written, reader.read(len(texts))], len(texts))
        return Outcome(rankings, texts, {**details, **costs}, self._decided(examples))

    def to_texts(self, examples: Dataset, report: Report) -> RowTexts:
        """Write the history of each example as text."""
        report("writing", 0)
        histories, folds = examples[HISTORY][:], _folds(examples)
        is_student = isinstance(self.verbalizer, StudentVerbalizer)
        if is_student:  # what is read once, such as successors, is no part of the time of a history
            self.verbalizer.write(histories[:1], folds=folds and folds[:1])
        writer = Meter(getattr(getattr(self.verbalizer, "language_model", None), "usage", None), needs_model=False)
        started = perf_counter()
        texts, counts = write_and_count(self.verbalizer, histories, lambda done: report("writing", done), folds)
        rate = {HISTORIES_PER_SECOND: len(texts) / (perf_counter() - started)} if is_student else {}
        return RowTexts(texts, {**self._details(counts), **rate}, writer.read(len(histories)))

    def _candidates(self, examples: Dataset) -> list[list[Item]]:
        candidates = [[self.items[candidate[ITEM_ID]] for candidate in shown] for shown in examples[CANDIDATES]]
        if self.shuffle_seed is not None:
            for example, shown in zip(examples[EXAMPLE_ID], candidates, strict=True):
                random.Random(f"{self.shuffle_seed}/{example}").shuffle(shown)
        return candidates

    def _decided(self, examples: Dataset) -> list[str] | None:
        """The decision on each record, for a verbalizer that decides; a language model's come from its cache."""
        if not isinstance(self.verbalizer, ActionVerbalizer):
            return None
        folds = _folds(examples)
        writings = self.verbalizer.write(examples[HISTORY][:], folds=folds)
        return [" ".join(decided) for decided in self.verbalizer.decided(writings, folds)]

    def _details(self, counts: Sequence[Mapping[str, int]]) -> dict[str, Any]:
        language_model = getattr(self.verbalizer, "language_model", None)
        writer = {} if language_model is None else {"verbalizer": language_model.entry()}
        names = counts[0] if counts else {}
        decided = {name: sum(of_example[name] for of_example in counts) for name in names}
        return {**writer, DECISIONS: decided} if decided else writer


@dataclass(frozen=True)
class WrittenRow(VerbalizerRow):
    """The reasoner answers from texts that are there already; a [`WrittenTexts`] stands for the verbalizer."""

    def identity(self) -> dict[str, Any]:
        return {TEXTS: self.verbalizer.entry(), "reasoner": self.reasoner.entry()}

    def to_texts(self, examples: Dataset, report: Report) -> RowTexts:
        """The texts as they were read; what it took to write them is not known."""
        return RowTexts(self.verbalizer.of(examples[EXAMPLE_ID][:]), {TEXTS: self.verbalizer.entry()}, None)


def _folds(examples: Dataset) -> list[int] | None:
    return examples[FOLD][:] if FOLD in examples.column_names else None


@dataclass(frozen=True)
class BaselineRow:
    """A classical recommender, fitted on the training interactions alone."""

    name: str
    dataset: BuiltDataset
    items: Mapping[str, Item]
    seed: int
    kind: str = "baseline"
    training_seed: int = 0
    """For recommenders that are trained, which are those of `TRAINED_BASELINES`."""

    def identity(self) -> dict[str, Any]:
        return {"baseline": self.name}

    def with_seed(self, seed: int) -> "BaselineRow | None":
        return replace(self, training_seed=seed) if self.name in TRAINED_BASELINES else None

    def run(self, examples: Dataset, report: Report) -> Outcome:
        report("fitting", 0)
        chosen = {"settings": SasRecSettings(seed=self.training_seed)} if self.name in TRAINED_BASELINES else {}
        recommender = BASELINES[self.name](**chosen).fit(
            self.dataset.training_interactions(),
            self.items,
            progress=lambda share: report("fitting", int(share * len(examples))),
        )
        scores = np.asarray(recommender.score(examples))
        if self.name != RANDOM_ROW and (scores == scores[:, :1]).all():
            raise NothingToGoOnError(self._why())
        rankings = rankings_from_scores(scores, examples, seed=self.seed)
        report("fitting", len(examples))
        return Outcome(rankings)

    def _why(self) -> str:
        if self.name == "year-closeness" and not any(item[YEAR] for item in self.items.values()):
            return "no item of the catalogue has a year"
        if self.name == "tag-cosine" and not any(item[TAGS] for item in self.items.values()):
            return "no item of the catalogue has tags"
        return "all candidates of every example have the same score"


@dataclass(frozen=True)
class CeilingRow:
    """A ranking that knows the true tastes of a simulated log: no recommender has a higher expected score."""

    dataset: BuiltDataset
    seed: int
    name: str = CEILING_ROW
    kind: str = "ceiling"

    def identity(self) -> dict[str, Any]:
        return {}

    def with_seed(self, seed: int) -> None:
        return None

    def run(self, examples: Dataset, report: Report) -> Outcome:
        report("scoring", 0)
        rankings = rankings_from_scores(ceiling_scores(self.dataset, examples), examples, seed=self.seed)
        report("scoring", len(examples))
        return Outcome(rankings)


def to_row_names(words: Iterable[str], own: Collection[str] = ()) -> list[str]:
    """Check the names of rows, in the order asked for, each once.

    Args:
        words (`list[str]`): Names of rows; `"baselines"` stands for all classical ones.
        own (`list[str]`, *optional*): Names that count beside the built-in ones.

    Raises:
        InputError: A name is unknown or needs an adapter, or there is none.

    Example:
        >>> to_row_names(["template", "popularity", "template"])
        ['template', 'popularity']
    """
    known = [*dict.fromkeys([*VERBALIZER_ROWS, *own, *BASELINES, CEILING_ROW])]
    names = [name for word in words if word.strip() for name in _expand(word.strip(), known)]
    if not names:
        raise InputError(f"No row was given; choose from {', '.join(known)}, or 'baselines' for all classical ones.")
    for name in names:
        if name in LOADED_VERBALIZERS and name not in own:
            raise _without_adapter(name)
    return list(dict.fromkeys(names))


def _without_adapter(name: str) -> InputError:
    if name == STUDENT:
        return InputError(
            "'student' needs a folder, and none was given. Write one with `logs2lang distill`, then pass "
            "--verbalizer-adapter student=FOLDER."
        )
    return InputError(
        f"{name!r} needs a trained adapter, and none was given. Train one with `logs2lang train verbalizer`, then "
        f"pass --verbalizer-adapter {name}=ID_OR_FOLDER."
    )


def _expand(word: str, known: Sequence[str]) -> Sequence[str]:
    if word == ALL_BASELINES:
        return list(BASELINES)
    if word in known or is_written_by_rule(word):
        return [word]
    hint = did_you_mean(word, [*known, ALL_BASELINES], f"The rows are {', '.join(known)}.")
    raise InputError(f"There is no row {word!r}. {hint}")


def to_text_places(words: Iterable[str]) -> dict[str, Path]:
    """The places of texts that are there already, by the name of their row.

    Args:
        words (`list[str]`): `NAME=PLACE`, with a name that no other row has.

    Raises:
        InputError: A word has another form, or its name is that of a row or comes twice.

    Example:
        >>> {name: str(place) for name, place in to_text_places(["bulk=texts/own"]).items()}
        {'bulk': 'texts/own'}
    """
    places: dict[str, Path] = {}
    for word in words:
        name, _, place = word.partition("=")
        if not place or not re.fullmatch(r"[\w.-]+", name):
            raise InputError(
                f"{word!r} names no texts; expected NAME=FILE_OR_FOLDER, and in NAME letters, digits, '.', '_' or '-'."
            )
        if name in (*VERBALIZER_ROWS, *BASELINES, CEILING_ROW, ALL_BASELINES):
            raise InputError(f"{name!r} is a row of its own. Give the texts another name: written-{name}={place}.")
        if name in places:
            raise InputError(f"There are two places for {name!r}: {places[name]} and {place}. Give only one.")
        places[name] = Path(place)
    return places


def read_row_texts(
    places: Mapping[str, Path], dataset: BuiltDataset, split: str, examples: Dataset, history_length: int | None
) -> dict[str, WrittenTexts]:
    """Read the texts of rows that are there already; see [`WrittenTexts.read`]."""
    ids = examples[EXAMPLE_ID][:]
    return {name: WrittenTexts.read(place, dataset, split, ids, history_length) for name, place in places.items()}


def needs_reasoner(names: Iterable[str]) -> bool:
    """Whether any of these rows is a text that a reasoner must read.

    Example:
        >>> needs_reasoner(["popularity"]), needs_reasoner(["popularity", "template"])
        (False, True)
    """
    return any(name != CEILING_ROW and name not in BASELINES for name in names)


def to_rows(
    words: Iterable[str],
    dataset: BuiltDataset,
    reasoner: Reasoner | None = None,
    verbalizers: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> list[TableRow]:
    """The rows of those names, ready to run.

    Args:
        words (`list[str]`): As in `to_row_names`.
        dataset ([`BuiltDataset`]): Baselines are fitted on its training interactions.
        reasoner ([`Reasoner`], *optional*): Reads the texts; needed by verbalizer rows only.
        verbalizers (`dict[str, Verbalizer | WrittenTexts]`, *optional*): Your own, or texts that are there already, by
            row name; one may replace a built-in one.
        seed (`int`, *optional*, defaults to 0): Breaks ties between the scores of a baseline.

    Raises:
        InputError: A name is unknown, or needs a reasoner where none is.
    """
    own = verbalizers or {}
    names, items = to_row_names(words, own), dataset.items()
    rows: list[TableRow] = []
    for name in names:
        if name == CEILING_ROW:
            rows.append(CeilingRow(dataset, seed))
        elif name in BASELINES and name not in own:
            rows.append(BaselineRow(name, dataset, items, seed))
        elif reasoner is None:
            raise InputError(f"Row {name!r} is a text that a reasoner must read, but no reasoner was given.")
        else:
            verbalizer = own.get(name) or to_verbalizer(name, dataset, _language_model(name, reasoner))
            of_kind = WrittenRow if isinstance(verbalizer, WrittenTexts) else VerbalizerRow
            rows.append(of_kind(name, verbalizer, reasoner, items))
    return rows


def _language_model(name: str, reasoner: Reasoner) -> Any:
    """Who writes a row: the reasoner's own model, or the default base model where the reasoner is an endpoint."""
    own = getattr(reasoner, "language_model", None)
    return _default_language_model() if own is None and not is_written_by_rule(name) else own


@lru_cache(maxsize=1)
def _default_language_model() -> Any:
    return load_language_model()


def to_verbalizer(name: str, dataset: BuiltDataset, language_model: Any, weights: Weights | None = None) -> Any:
    """One of the built-in verbalizers.

    Args:
        name (`str`): `"zero_shot"`, or one that is written by rule; see [`to_rule_verbalizer`].
        dataset ([`BuiltDataset`]): For its catalogue and its successors.
        language_model ([`LanguageModel`]): Writes the text of `zero_shot`.
        weights ([`Weights`], *optional*): What loads its base model, where it is an adapter.

    Raises:
        InputError: The verbalizer is a learned one, which is loaded by its own `from_pretrained`, or names successors
            that the dataset does not have.
    """
    if name in LOADED_VERBALIZERS:
        raise _without_adapter(name)
    if is_written_by_rule(name):
        return to_rule_verbalizer(name, dataset)
    if language_model.adapter_id is not None:  # an adapter was taught to answer; the base model still writes
        language_model = load_language_model(language_model.model_id, weights=weights)
    return RewriteVerbalizer(dataset.items(), language_model, successors=dataset.known_successors())
