"""A group's prompt is read once, and nothing else changes: against TRL's own trainer on the same random model."""

import pytest
import torch
from datasets import Dataset
from small_models import MODELS
from transformers import AutoConfig, AutoModelForCausalLM, MixtralConfig, MixtralForCausalLM
from trl import GRPOConfig, GRPOTrainer

from logs2lang.training.grpo.grpo_run import ResumableGRPOTrainer
from logs2lang.training.grpo.shared_prompts import _work, shared_prefill, to_trees
from logs2lang.training.runs.adapters import AdapterArguments, trainable_model

PROMPTS = ["Heat | play", "Fargo | play | Heat | play | Alien | play", "Heat | pause", "Brazil | play"]
GROUP = 4


def reward(completions, **columns):
    return [float(sum(map(ord, said[0]["content"])) % 7) for said in completions]


@pytest.fixture
def train(tiny_model_folder, tmp_path):
    """Two steps of a trainer: what it logged, the weights it learned, and how many tokens it read."""

    def run(kind: type, lora_target_modules: str = "all-linear", **choices):
        arguments = AdapterArguments(
            base_model=str(tiny_model_folder),
            base_model_id="org/tiny",
            lora_r=4,
            lora_target_modules=lora_target_modules,
        )
        policy = trainable_model(arguments, seed=0, device="cpu")
        read = []
        policy.model.get_input_embeddings().register_forward_hook(lambda _, ids, __: read.append(ids[0].numel()))
        config = GRPOConfig(
            str(tmp_path / kind.__name__),
            **{
                "per_device_train_batch_size": len(PROMPTS) * GROUP,
                "num_generations": GROUP,
                "max_completion_length": 3,
                "max_steps": 2,
                "learning_rate": 1e-2,
                "logging_steps": 1,
                "save_strategy": "no",
                "report_to": "none",
                "bf16": False,
                "use_cpu": True,
                "disable_tqdm": True,
                **choices,
            },
        )
        rows = Dataset.from_list([{"prompt": [{"role": "user", "content": text}]} for text in PROMPTS * 2])
        trainer = kind(policy.model, reward, config, rows, processing_class=policy.tokenizer)
        trainer.train()
        learned = {name: weight for name, weight in policy.model.named_parameters() if weight.requires_grad}
        logged = [
            {name: number for name, number in row.items() if name != "step_time"}
            for row in trainer.state.log_history[:-1]
        ]
        return logged, learned, sum(read)

    return run


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"gradient_checkpointing": False, "temperature": 1.7},
        {"beta": 0.1},
        {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 2},
        {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 1, "steps_per_generation": 2, "beta": 0.1},
    ],
    ids=["defaults", "another temperature", "with a reference", "answers shuffled over pieces", "older answers"],
)
def test_a_step_is_that_of_trl_and_reads_less(train, choices):
    logged, learned, read = train(ResumableGRPOTrainer, **choices)
    as_logged, as_learned, as_read = train(GRPOTrainer, **choices)
    assert len(logged) == 2
    assert all(row == pytest.approx(as_row, rel=1e-3, abs=1e-6) for row, as_row in zip(logged, as_logged, strict=True))
    assert all(torch.allclose(weight, as_learned[name], atol=1e-4) for name, weight in learned.items())
    assert read < 0.75 * as_read


def test_a_model_that_cannot_read_trees_learns_as_with_trl(train, monkeypatch):
    monkeypatch.setattr("logs2lang.training.grpo.shared_prompts.takes_trees", lambda model, longest: False)
    logged, learned, _ = train(ResumableGRPOTrainer)
    as_logged, as_learned, _ = train(GRPOTrainer)
    assert all(row == pytest.approx(as_row, rel=1e-6) for row, as_row in zip(logged, as_logged, strict=True))
    assert all(torch.allclose(weight, as_learned[name], atol=1e-6) for name, weight in learned.items())


def test_experts_are_balanced_as_by_trl(train, monkeypatch):
    """Their loss counts how often each is asked, and a prompt that is read once asks them less."""
    monkeypatch.setattr("logs2lang.models.weights.AutoModelForCausalLM.from_pretrained", tiny_experts)
    logged, learned, _ = train(ResumableGRPOTrainer, lora_target_modules="q_proj,v_proj")
    as_logged, as_learned, _ = train(GRPOTrainer, lora_target_modules="q_proj,v_proj")
    assert all("aux_loss" in row for row in logged)
    assert all(row == pytest.approx(as_row, rel=1e-6) for row, as_row in zip(logged, as_logged, strict=True))
    assert all(torch.allclose(weight, as_learned[name], atol=1e-6) for name, weight in learned.items())


def tiny_experts(folder, **_):
    torch.manual_seed(0)
    sizes = AutoConfig.from_pretrained(folder).to_dict()
    names = (
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "eos_token_id",
    )
    config = MixtralConfig(
        **{name: sizes[name] for name in names}, num_key_value_heads=2, num_local_experts=2, num_experts_per_tok=1,
        router_aux_loss_coef=0.1,
    )  # fmt: skip
    return MixtralForCausalLM(config)


def test_what_would_take_longer_in_a_tree_is_read_as_by_trl(tiny_language_model):
    rows, width = 8, tiny_language_model.model.config.hidden_size
    whole = torch.ones(rows, 20 + 400, dtype=torch.long)  # short prompts, long answers: attention over all of them
    trees = to_trees(whole, whole, 400, torch.float32)
    assert _work(trees.input_ids, width) > _work(whole, width)
    short = to_trees(whole, whole, 5, torch.float32)
    assert _work(short.input_ids, width) < _work(whole, width) / 6


def test_rows_of_different_prompts_and_lengths_are_told_apart():
    ids = torch.tensor([[0, 5, 6, 7, 0], [4, 5, 6, 9, 9], [0, 5, 6, 8, 9]])
    mask = torch.tensor([[0, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 1]])
    trees = to_trees(ids, mask, 2, torch.float32)
    assert trees.input_ids.tolist() == [[5, 6, 7, 6, 8, 9], [0, 4, 5, 6, 9, 9]]
    assert trees.is_token.tolist() == [[1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1]]
    assert trees.kept == 5
    assert trees.by_row(torch.arange(10.0).view(2, 5)).tolist() == [[1.0, 0.0], [8.0, 9.0], [3.0, 4.0]]


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("repeats", [(3, 3), (1, 5)], ids=["equal groups", "unequal groups"])
def test_what_is_written_after_a_shared_prompt_is_the_same(kind, repeats):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(MODELS[kind][0]()).eval()
    prompts = [[0, 0, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6]]
    ids = torch.tensor([prompt for prompt, times in zip(prompts, repeats, strict=True) for _ in range(times)])
    inputs = {"input_ids": ids, "attention_mask": (ids > 0).long(), "max_new_tokens": 6, "do_sample": False}
    shape = {"return_dict_in_generate": True, "output_logits": True, "pad_token_id": 0}
    expected = model.generate(**inputs, **shape)
    with shared_prefill(model):
        written = model.generate(**inputs, **shape)
    assert torch.equal(written.sequences, expected.sequences)
    assert all(torch.allclose(*pair, atol=1e-5) for pair in zip(written.logits, expected.logits, strict=True))
    assert torch.equal(model.generate(**inputs, pad_token_id=0), expected.sequences)  # and the model is as it was
