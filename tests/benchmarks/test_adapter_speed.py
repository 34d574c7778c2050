"""Loading a released adapter on top of its base model, and answering the first example.

Counted is processor time of one thread: what two idle cores need is no more, and what else runs here does not matter.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from small_release import DATASET, build_simulation
from transformers import AutoModelForCausalLM

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.schema import CANDIDATES, HISTORY, ITEM_ID
from logs2lang.models.language_models import DEFAULT_BASE_MODEL, load_language_model
from logs2lang.models.model_folders import model_folder
from logs2lang.reasoners.local import LocalReasoner
from logs2lang.verbalizers.rewrite import RewriteVerbalizer

MOST_SECONDS = 10.0


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory) -> Path:
    """A LoRA adapter of the size that the recipes train, with random weights."""
    folder = tmp_path_factory.mktemp("adapter")
    base = AutoModelForCausalLM.from_pretrained(model_folder(DEFAULT_BASE_MODEL), dtype=torch.float32)
    lora = LoraConfig(r=16, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    model = get_peft_model(base, lora)
    model.peft_config["default"].base_model_name_or_path = DEFAULT_BASE_MODEL
    model.save_pretrained(folder, save_embedding_layers=False)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> BuiltDataset:
    return BuiltDataset.open(build_simulation(tmp_path_factory.mktemp("data") / DATASET))


@pytest.fixture(scope="module")
def base_seconds() -> float:
    load_language_model(DEFAULT_BASE_MODEL, device="cpu")  # its files are then in the memory of the machine
    started = time.process_time()
    load_language_model(DEFAULT_BASE_MODEL, device="cpu")
    return time.process_time() - started


def test_a_verbalizer_writes_its_first_text(adapter, dataset, base_seconds):
    example, items = dataset.examples("test")[0], dataset.items()
    started = time.process_time()
    # Records and room as in smollm2-135m/verbalizer/cpu.yaml; random weights never stop before the room is used up.
    shape = {"history_length": 10, "max_new_tokens": 64}
    verbalizer = RewriteVerbalizer.from_pretrained(str(adapter), items, device="cpu", **shape)
    assert verbalizer.verbalize([example[HISTORY]])
    _say_and_hold("verbalizer", time.process_time() - started, base_seconds)


def test_a_reasoner_ranks_its_first_candidates(adapter, dataset, base_seconds):
    example, items = dataset.examples("test")[0], dataset.items()
    candidates = [items[candidate[ITEM_ID]] for candidate in example[CANDIDATES]]
    started = time.process_time()
    reasoner = LocalReasoner.from_pretrained(str(adapter), answer="title", device="cpu")
    assert reasoner.rank(["Likes slow films with fog in them."], [candidates])
    _say_and_hold("reasoner", time.process_time() - started, base_seconds)


def _say_and_hold(what: str, seconds: float, base_seconds: float) -> None:
    print(f"\n{what}: {seconds:.1f} s from the folder to the first answer; the base model alone {base_seconds:.1f} s")
    assert seconds - base_seconds < MOST_SECONDS
