import torch

from logs2lang.models.accelerators import accelerator
from logs2lang.models.language_models import load_language_model


def test_a_torch_built_for_cuda_computes_on_the_processor_where_there_is_no_card(tiny_model_folder, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert accelerator() is None
    model = load_language_model(str(tiny_model_folder))
    assert model.device.type == "cpu"
    assert model.model.dtype == torch.float32
