"""Ways to pay for length beside hits, side by side on a random model: what each makes of hits and of lengths.

In a world of letters a text is a hit where it names `k` first, and of a good length where it ends in time; at first
the model does neither. Run alone with `pytest tests/benchmarks/test_length_ablation.py -s`; prints a table in
half an hour.
"""

from statistics import mean, stdev

from letter_world import ITEMS, Reader, letter_examples
from tiny_model import save_tiny_model
from trl import GRPOConfig

from logs2lang.training.grpo.grpo_run import to_grpo_trainer
from logs2lang.training.objectives.prompt_rows import to_verbalizer_rows
from logs2lang.training.objectives.rewards import LengthReward, OracleReward
from logs2lang.training.runs.adapters import AdapterArguments, trainable_model
from logs2lang.verbalizers.rewrite import RewriteVerbalizer

SEEDS = range(5)
STEPS = 30
LAST = 5
"""Steps whose mean is reported."""
MOST_TOKENS = 32
"""The template of one record has about as many: a text that is not ended is too long."""

VARIANTS = {
    "scale_rewards: group": {"scale_rewards": "group"},
    "scale_rewards: batch": {"scale_rewards": "batch"},
    "scale_rewards: none": {"scale_rewards": "none"},
    "normalize_then_sum": {"multi_objective_aggregation": "normalize_then_sum"},
    "length of hits alone, by batch": {"scale_rewards": "batch", "only_hits": True},
}


class LengthOfHits(LengthReward):
    """Pays for length only where the oracle hits."""

    __name__ = "length_of_hits"

    def __init__(self, oracle_reward, *others):
        super().__init__(*others)
        self.oracle_reward = oracle_reward

    def __call__(self, completions, **columns):
        columns = {name: value for name, value in columns.items() if name not in ("log_metric", "log_extra")}
        pairs = zip(self.oracle_reward(completions, **columns), super().__call__(completions, **columns), strict=True)
        return [None if hit is None else hit * length for hit, length in pairs]


class WatchedLength(LengthReward):
    """The length reward as it is measured for every variant; its weight is zero."""

    __name__ = "watched"


def run(folder, base, seed: int, only_hits: bool = False, **choices) -> dict[str, float]:
    """Hits, the length reward and the share of groups that learned from length alone, over the last steps."""
    arguments = AdapterArguments(base_model=str(base), base_model_id="org/tiny", lora_r=8)
    policy = trainable_model(arguments, seed, "cpu")
    verbalizer = RewriteVerbalizer(ITEMS, policy, max_new_tokens=MOST_TOKENS, record_tokens=None)
    reader = RewriteVerbalizer(ITEMS)
    oracle = OracleReward(Reader(), reader, ITEMS)
    length = LengthOfHits(oracle, reader, policy.tokenizer) if only_hits else LengthReward(reader, policy.tokenizer)
    arguments = GRPOConfig(
        str(folder),
        per_device_train_batch_size=64,
        num_generations=8,
        max_completion_length=MOST_TOKENS,
        max_steps=STEPS,
        learning_rate=5e-3,
        lr_scheduler_type="constant",
        beta=0.0,
        reward_weights=[0.9, 0.1, 0.0],
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        bf16=False,
        use_cpu=True,
        gradient_checkpointing=False,
        disable_tqdm=True,
        seed=seed,
        **choices,
    )
    prompts = to_verbalizer_rows(letter_examples(64), verbalizer, policy)
    trainer = to_grpo_trainer(policy, arguments, prompts, [oracle, length, WatchedLength(reader, policy.tokenizer)])
    trainer.train()
    rows = [row for row in trainer.state.log_history if "rewards/oracle/mean" in row]
    names = {"hits": "rewards/oracle/mean", "length": "rewards/watched/mean", "alone": f"{length.__name__}/alone"}
    return {name: mean(row[logged] for row in rows[-LAST:]) for name, logged in names.items()} | {
        "hits at first": mean(row["rewards/oracle/mean"] for row in rows[:3])
    }


def test_ways_to_pay_for_length(tmp_path):
    base = tmp_path / "tiny"
    base.mkdir()
    save_tiny_model(base)
    table = {}
    for name, choices in VARIANTS.items():
        runs = [run(tmp_path / "run", base, seed, **choices) for seed in SEEDS]
        table[name] = {column: [one[column] for one in runs] for column in runs[0]}
        cells = (f"{column} {mean(found):.3f} +- {stdev(found):.3f}" for column, found in table[name].items())
        print(f"{name:<32} n = {len(runs)} seeds: {', '.join(cells)}", flush=True)
    for found in table.values():
        assert mean(found["hits"]) > mean(found["hits at first"])
