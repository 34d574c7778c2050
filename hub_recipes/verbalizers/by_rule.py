"""The verbalizers that need no language model, by the name that rows, commands and recipes give them."""

from typing import Any

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset

from .action import ActionVerbalizer
from .decision_rules import RULES, RuleDecisions, is_rule, needs_successors
from .profile import ProfileVerbalizer
from .successors import SuccessorsVerbalizer
from .template import TemplateVerbalizer

TEXT_RULES = ("template", "profile", "successors")
_LINES = f"{ActionVerbalizer.name}:"
_LISTS = "lists:"
_DECIDED = (_LINES, _LISTS)
DECISION_RULES = tuple(f"{_LINES}{rule}" for rule in RULES)
"""The decisions of an action verbalizer made by a rule, as a line per record; `action:newest-3` stands for any number.
`lists:newest-3` is the same with the text as two lists."""


def is_written_by_rule(name: str) -> bool:
    """Whether a verbalizer of this name needs no language model.

    Example:
        >>> is_written_by_rule("successors"), is_written_by_rule("lists:newest-2"), is_written_by_rule("action")
        (True, True, False)
    """
    return name in TEXT_RULES or (name.startswith(_DECIDED) and is_rule(_rule_of(name)))


def to_rule_verbalizer(name: str, dataset: BuiltDataset) -> Any:
    """The verbalizer of a name that `is_written_by_rule`.

    Args:
        name (`str`): Such as `"template"`, `"successors"` or `"action:next"`.
        dataset ([`BuiltDataset`]): For its catalogue and its successors.

    Raises:
        InputError: The rule needs successors, and the dataset was built before there were any.
    """
    if name == "template":
        return TemplateVerbalizer()
    if name == "profile":
        return ProfileVerbalizer(dataset.items())
    if name == "successors":
        return SuccessorsVerbalizer(dataset.items(), dataset.successors())
    rule = _rule_of(name)
    successors = dataset.successors() if needs_successors(rule) else dataset.known_successors()
    return RuleDecisions(dataset.items(), rule, successors, as_lists=name.startswith(_LISTS))


def _rule_of(name: str) -> str:
    return name.partition(":")[2]
