"""The verbalizers that need no language model, by the name that rows, commands and recipes give them."""

from typing import Any

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset

from .action import ActionVerbalizer
from .decision_rules import RULES, RuleDecisions, is_rule, needs_successors
from .profile import ProfileVerbalizer
from .successors import SuccessorsVerbalizer
from .template import TemplateVerbalizer

_DECIDED = f"{ActionVerbalizer.name}:"
TEXT_RULES = ("template", "profile", "successors")
DECISION_RULES = tuple(f"{_DECIDED}{rule}" for rule in RULES)
"""The decisions of an action verbalizer made by a rule; `action:newest-3` stands for any number."""


def is_written_by_rule(name: str) -> bool:
    """Whether a verbalizer of this name needs no language model.

    Example:
        >>> is_written_by_rule("successors"), is_written_by_rule("action:newest-2"), is_written_by_rule("action")
        (True, True, False)
    """
    return name in TEXT_RULES or (name.startswith(_DECIDED) and is_rule(name.removeprefix(_DECIDED)))


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
    rule = name.removeprefix(_DECIDED)
    successors = dataset.successors() if needs_successors(rule) else dataset.known_successors()
    return RuleDecisions(dataset.items(), rule, successors)
