"""The code that does what is on screen: adapters, data and metric, each loaded with the library that people know."""

from .comparison import Choices
from .released_adapters import released_folder

_VERBALIZE = """\
from datasets import load_dataset

import logs2lang

examples = load_dataset("data/own", "examples", split="test")
items = {{item["item_id"]: item for item in load_dataset("data/own", "items", split="train")}}
successors = logs2lang.BuiltDataset.open("data/own").successors()

histories = [history[-{history_length}:] for history in examples["history"][:8]]
verbalizers = {{
    "template": logs2lang.TemplateVerbalizer(),
    "profile": logs2lang.ProfileVerbalizer(items),
    "successors": logs2lang.SuccessorsVerbalizer(items, successors),
{learned}}}
texts = {{name: verbalizer.verbalize(histories) for name, verbalizer in verbalizers.items()}}

reasoner = logs2lang.LocalReasoner.from_pretrained({reasoner!r}, answer={answer!r})
candidates = [[items[shown["item_id"]] for shown in row] for row in examples["candidates"][:8]]
rankings = {{name: reasoner.rank(written, candidates) for name, written in texts.items()}}
"""
_LEARNED = '    "{name}": logs2lang.{verbalizer}.from_pretrained({adapter!r}, items, successors=successors),\n'
_ADAPTER = """\
from peft import AutoPeftModelForCausalLM

model = AutoPeftModelForCausalLM.from_pretrained({name!r})
"""
_METRIC = """\
import evaluate

metric = evaluate.load("discovery_recall")
scores = metric.compute(
    predictions=[ranking.item_ids for ranking in rankings["successors"]],
    references=examples["target"][:8],
    is_discovery=examples["is_discovery"][:8],
    k=1,
)
"""


def code_of(choices: Choices, base_model: str) -> str:
    """Python that verbalizes, recommends and scores with these choices.

    Args:
        choices ([`Choices`]): What the page shows. What a visitor typed is quoted as a Python string.
        base_model (`str`): Shown where no adapter was chosen.

    Example:
        >>> "history[-5:]" in code_of(Choices(history_length=5), "org/base")
        True
    """
    learned = (
        ("action", "ActionVerbalizer", _place(choices.action_adapter)),
        ("zero_shot", "RewriteVerbalizer", base_model if choices.zero_shot else ""),
        ("rewrite", "RewriteVerbalizer", _place(choices.rewrite_adapter)),
    )
    code = _VERBALIZE.format(
        history_length=int(choices.history_length),
        learned="".join(
            _LEARNED.format(name=name, verbalizer=verbalizer, adapter=adapter)
            for name, verbalizer, adapter in learned
            if adapter
        ),
        reasoner=_place(choices.reasoner_adapter) or base_model,
        answer=choices.answer,
    )
    adapters = [choices.rewrite_adapter, choices.action_adapter, choices.reasoner_adapter]
    adapter = next((_place(name) for name in adapters if name.strip()), None)
    return "\n".join([code, *([_ADAPTER.format(name=adapter)] if adapter else []), _METRIC])


def _place(name: str) -> str:
    """Where an adapter is loaded from; a released one goes by its name on the page."""
    return f"model_cards/{name.strip()}" if released_folder(name.strip()) is not None else name.strip()
