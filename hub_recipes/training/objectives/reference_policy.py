"""The policy that a KL term keeps a reasoner near: the base model, or the adapter that training started from."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from transformers import TrainerCallback

REFERENCE = "reference"
"""Name of the frozen copy of the adapter that training started from."""


def keep_start(model: PeftModel) -> None:
    """Put a frozen copy of the active adapter beside it. It costs the memory of an adapter, not of a model.

    TRL's `GRPOTrainer` does the same with an adapter that was trained before.
    """
    active = model.active_adapter
    model.add_adapter(REFERENCE, model.peft_config[active])
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, copy in weights.items():
            if f".{REFERENCE}." in name:
                copy.copy_(weights[name.replace(f".{REFERENCE}.", f".{active}.")])


class DropStart(TrainerCallback):
    """Takes the copy away when training ends, so that it is not saved as part of the result."""

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **rest: Any) -> None:
        peft_model = getattr(model, "module", model)
        if REFERENCE in peft_model.peft_config:
            peft_model.delete_adapter(REFERENCE)


@contextmanager
def reference_weights(model: Any) -> Iterator[None]:
    """Within this context the model, or what it wraps, is the reference; no gradient is kept.

    Args:
        model (`PeftModel` or a wrapper of one): In training.
    """
    peft_model = getattr(model, "module", model)
    with torch.no_grad():
        if REFERENCE not in peft_model.peft_config:
            with peft_model.disable_adapter():
                yield
            return
        active = peft_model.active_adapter
        peft_model.set_adapter(REFERENCE)
        try:
            yield
        finally:
            peft_model.set_adapter(active)
