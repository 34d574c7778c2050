"""The texts that a reasoner is trained on: written now, or read from files that a frozen verbalizer wrote once."""

from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import EXAMPLE_ID, FOLD, HISTORY

from ...verbalizers.action import ActionVerbalizer
from ...verbalizers.by_rule import DECISION_RULES, TEXT_RULES, is_written_by_rule, to_rule_verbalizer
from ...verbalizers.learned import LEARNED_VERBALIZERS
from ...verbalizers.verbalizer import Verbalizer, write_and_count
from ...verbalizers.written_texts import WrittenTexts
from .arguments import ReasonerArguments


def training_texts(arguments: ReasonerArguments, dataset: BuiltDataset, examples: Dataset, split: str) -> list[str]:
    """One text per example.

    Args:
        arguments ([`ReasonerArguments`]): `texts` names a folder of Parquet files, else `verbalizer` says who writes.
        dataset ([`BuiltDataset`]): Where the examples come from.
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.
        split (`str`): Which file of the folder.

    Raises:
        InputError: There are no such texts, they are of another dataset, split or length of history, one is missing or
            twice there, or a verbalizer is unknown.
    """
    if arguments.texts is not None:
        ids, length = examples[EXAMPLE_ID][:], arguments.history_length
        return WrittenTexts.read(Path(arguments.texts), dataset, split, ids, length).of(ids)
    writers = [to_writer(name.strip(), dataset) for name in arguments.verbalizer.split(",")]
    return mixed_texts(writers, examples[HISTORY], examples[FOLD])


def to_writer(name: str, dataset: BuiltDataset) -> Verbalizer:
    """A verbalizer by the name that the arguments give it: one that writes by rule, `action` or `NAME=ADAPTER`."""
    kind, _, adapter = name.partition("=")
    if adapter and kind in LEARNED_VERBALIZERS:
        of_kind = LEARNED_VERBALIZERS[kind]
        return of_kind.from_pretrained(adapter, dataset.items(), successors=dataset.known_successors())
    if name == ActionVerbalizer.name:  # one that has learned nothing
        name = DECISION_RULES[0]
    if is_written_by_rule(name):
        return to_rule_verbalizer(name, dataset)
    learned = " or ".join(f"{kind}=ADAPTER" for kind in LEARNED_VERBALIZERS)
    rules = ", ".join((*TEXT_RULES, *DECISION_RULES))
    raise InputError(f"There is no verbalizer {name!r} to train on; choose {rules}, {learned}.")


def mixed_texts(writers: Sequence[Verbalizer], histories: Sequence, folds: Sequence[int]) -> list[str]:
    """Let the writers take turns: an oracle should read any of their texts.

    Args:
        writers (`list[Verbalizer]`): In turn.
        histories (`list[list[Record]]`): The records of each user.
        folds (`list[int]`): The fold of successors that each text may read.

    Example:
        >>> class Loud:
        ...     def verbalize(self, histories, progress): return [history.upper() for history in histories]
        >>> class Plain:
        ...     def verbalize(self, histories, progress): return list(histories)
        >>> mixed_texts([Loud(), Plain()], ["a", "b", "c"], [-1, -1, -1])
        ['A', 'b', 'C']
    """
    histories, folds = list(histories), list(folds)
    texts = [""] * len(histories)
    for turn, writer in enumerate(writers):
        part = slice(turn, None, len(writers))
        texts[part], _ = write_and_count(writer, histories[part], folds=folds[part])
    return texts
