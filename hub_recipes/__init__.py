"""Interaction logs to language, and what that does to the recommendation.

Nothing heavy is imported before it is used:

    >>> import logs2lang
    >>> logs2lang.ProfileVerbalizer  # doctest: +ELLIPSIS
    <class '...ProfileVerbalizer'>
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logs2lang.dataset_builders.build_options import BuildOptions
    from logs2lang.dataset_builders.builder import build_dataset
    from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
    from logs2lang.dataset_builders.histories import read_histories
    from logs2lang.dataset_builders.input_error import InputError
    from logs2lang.dataset_builders.sources.movielens import read_movielens
    from logs2lang.dataset_builders.sources.movietweetings import read_movietweetings
    from logs2lang.dataset_builders.sources.tabular import read_tabular

    from .evaluation.evaluation import evaluate_rows
    from .reasoners.endpoint import EndpointReasoner
    from .reasoners.local import LocalReasoner
    from .training.objectives.rewards import AnswerReward, LengthReward, OracleReward
    from .verbalizers.action import ActionVerbalizer
    from .verbalizers.profile import ProfileVerbalizer
    from .verbalizers.rewrite import RewriteVerbalizer
    from .verbalizers.successors import SuccessorsVerbalizer
    from .verbalizers.template import TemplateVerbalizer

_MODULES = {
    "dataset_builders.build_options": ("BuildOptions",),
    "dataset_builders.builder": ("build_dataset",),
    "dataset_builders.dataset_folder.built_dataset": ("BuiltDataset",),
    "dataset_builders.histories": ("read_histories",),
    "dataset_builders.input_error": ("InputError",),
    "dataset_builders.sources.movielens": ("read_movielens",),
    "dataset_builders.sources.movietweetings": ("read_movietweetings",),
    "dataset_builders.sources.tabular": ("read_tabular",),
    "evaluation.evaluation": ("evaluate_rows",),
    "reasoners.endpoint": ("EndpointReasoner",),
    "reasoners.local": ("LocalReasoner",),
    "training.objectives.rewards": ("AnswerReward", "LengthReward", "OracleReward"),
    "verbalizers.action": ("ActionVerbalizer",),
    "verbalizers.profile": ("ProfileVerbalizer",),
    "verbalizers.rewrite": ("RewriteVerbalizer",),
    "verbalizers.successors": ("SuccessorsVerbalizer",),
    "verbalizers.template": ("TemplateVerbalizer",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [  # noqa: RUF022 (in the order of the work)
    "BuildOptions", "build_dataset", "read_movielens", "read_movietweetings", "read_tabular", "BuiltDataset",
    "read_histories", "TemplateVerbalizer", "ProfileVerbalizer", "SuccessorsVerbalizer", "RewriteVerbalizer",
    "ActionVerbalizer", "LocalReasoner", "EndpointReasoner", "evaluate_rows", "OracleReward", "LengthReward",
    "AnswerReward", "InputError",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for (PEP 562)."""
    if name == "__version__":
        return version("logs2lang")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"logs2lang.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
