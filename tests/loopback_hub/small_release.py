"""A release as small as can be: a simulated dataset, an adapter on a random model, and the sources of its card."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.checksums import sha256_of
from logs2lang.dataset_builders.dataset_folder.export import REPORT_FILE
from logs2lang.dataset_builders.sources.streaming_simulation import SimulationConfig, read_streaming_simulation
from logs2lang.release.cards import write_cards

BASE_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
DATASET = "small-simulation"
ADAPTER = "smollm2-135m-small-simulation-verbalizer-rewrite"
PROMPT = "Rewrite this log:\n\n{history}"


def build_simulation(folder: Path) -> Path:
    """A dataset that may be published: forty accounts of an invented service."""
    config = SimulationConfig(events=2_500, accounts=40, films=60, series=20)
    build_dataset(partial(read_streaming_simulation, config=config), folder, threads=1)
    return folder


def write_adapter(folder: Path, tiny_model: Path, dataset: Path, **changes: Any) -> Path:
    """A LoRA adapter with random weights on the tiny model, the record of a training, results, card and picture."""
    torch.manual_seed(1)
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), lora)
    model.save_pretrained(folder)
    (folder / "README.md").unlink()  # peft's own stub of a card
    config = json.loads((folder / "adapter_config.json").read_text())
    write_json(folder / "adapter_config.json", {**config, "base_model_name_or_path": BASE_MODEL})
    write_json(folder / "run.json", {**run_record(dataset, folder.name), **changes})
    results = folder.parent / "results" / dataset.name
    results.mkdir(parents=True, exist_ok=True)
    write_json(results / "results.json", results_document(dataset))
    write_cards(folder, dataset)
    return folder


def run_record(dataset: Path, name: str = ADAPTER) -> dict[str, Any]:
    """A `run.json`."""
    report = json.loads((dataset / REPORT_FILE).read_text())
    return {
        "schema_version": 1,
        "name": name,
        "role": "verbalizer",
        "method": "grpo",
        "verbalizer": "rewrite",
        "answer": None,
        "release": "smoke",
        "base_model": BASE_MODEL,
        "parent": {"name": "warm-start", "sha256": "ab" * 32},
        "oracle": {"name": "oracle", "sha256": "cd" * 32},
        "dataset": {
            "name": report["name"],
            "dataset_version": 1,
            "options": report["options"],
            "report_sha256": sha256_of(dataset / REPORT_FILE),
        },
        "config": {"learning_rate": 1e-5, "output_dir": "runs/rewrite"},
        "seed": 0,
        "prompts": {"verbalizer": PROMPT},
        "steps": 40,
        "examples_seen": 1_280,
        "history": [
            {"step": step, "reward": step / 40, "completions/mean_length": 60 - step / 2, "loss": 0.1}
            for step in range(10, 50, 10)
        ],
        "metrics": {"reward": 1.0},
        "versions": {"trl": "1.16.0", "peft": "0.21.2"},
        "machine": {"device": "cpu", "cores": 2, "accelerator": None},
        "started": "2026-11-24T09:00:00+00:00",
        "seconds": 1_500.0,
        "results": {"path": f"results/{dataset.name}/results.json", "row": "rewrite"},
    }


def results_document(dataset: Path) -> dict[str, Any]:
    """A `results.json` of forty examples, thirty of them discoveries."""
    report = json.loads((dataset / REPORT_FILE).read_text())
    return {
        "schema_version": 1,
        "command": "logs2lang evaluate",
        "dataset": {"name": report["name"], "dataset_version": 1, "options": report["options"], "cut_times": None},
        "split": "test",
        "n": 40,
        "num_candidates": 10,
        "reasoner": {"id": BASE_MODEL, "base_model": BASE_MODEL, "trained": False, "answer": "title"},
        "rows": [
            _row("template", "verbalizer", 8, 6),
            {**_row("rewrite", "verbalizer", 10, 9), "unsupported_title_rate": 0.125},
            _row("random", "baseline", 4, 3),
            _row("markov-lift", "baseline", 16, 12),
        ],
    }


def _row(name: str, kind: str, hits: int, discovery_hits: int) -> dict[str, Any]:
    return {
        "row": name,
        "kind": kind,
        "discovery_recall@1": discovery_hits / 30,
        "discovery_recall@1_interval": [discovery_hits / 30 - 0.1, discovery_hits / 30 + 0.1],
        "recall@1": hits / 40,
        "recall@1_interval": [hits / 40 - 0.1, hits / 40 + 0.1],
        "n": 40,
        "n_discovery": 30,
        "invalid": 0,
    }


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
