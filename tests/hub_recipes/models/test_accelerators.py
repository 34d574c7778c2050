import pytest
import torch

from logs2lang.models import accelerators
from logs2lang.models.accelerators import accelerator
from logs2lang.models.language_models import load_language_model


def test_a_torch_built_for_cuda_computes_on_the_processor_where_there_is_no_card(tiny_model_folder, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert accelerator() is None
    model = load_language_model(str(tiny_model_folder))
    assert model.device.type == "cpu"
    assert model.model.dtype == torch.float32


@pytest.fixture
def precision_restored():
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize(
    ("has_amx", "has_avx512_bf16", "used"),
    [(True, False, "medium"), (False, True, "medium"), (False, False, "highest")],
)
def test_products_are_rounded_only_where_the_processor_multiplies_in_bfloat16(
    has_amx, has_avx512_bf16, used, monkeypatch, precision_restored, tiny_language_model
):
    monkeypatch.setattr(accelerators, "accelerator", lambda: None)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_avx512_bf16)
    accelerators.set_matmul_precision("medium")
    assert torch.get_float32_matmul_precision() == used
    # What was rounded is told in results, and is another fingerprint of a row.
    assert tiny_language_model.entry().get("matmul_precision", "highest") == used
    accelerators.set_matmul_precision("highest")
    assert "matmul_precision" not in tiny_language_model.entry()
