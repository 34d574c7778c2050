"""GRPO on a random model: a verbalizer learns to write what an oracle needs to read."""

import pytest
from letter_world import ITEMS, Reader, letter_examples
from trl import GRPOConfig

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.training.grpo.grpo_run import shuffles_per_example, to_grpo_trainer
from logs2lang.training.objectives.prompt_rows import to_verbalizer_rows
from logs2lang.training.objectives.rewards import LengthReward, OracleReward
from logs2lang.training.runs.adapters import AdapterArguments, restrict_vocabulary, trainable_model
from logs2lang.verbalizers.action import ActionVerbalizer, decision_token_ids
from logs2lang.verbalizers.rewrite import RewriteVerbalizer


def trainer_of(policy, folder, rewards, prompts=None, **others):
    choices = {
        "per_device_train_batch_size": 64,
        "num_generations": 8,
        "max_completion_length": 6,
        "max_steps": 30,
        "learning_rate": 5e-3,
        "lr_scheduler_type": "constant",
        "beta": 0.0,
        "reward_weights": [0.9, 0.1],
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "bf16": False,
        "use_cpu": True,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
        **others,
    }
    if prompts is None:
        verbalizer = RewriteVerbalizer(ITEMS, policy, max_new_tokens=6, record_tokens=None)
        prompts = to_verbalizer_rows(letter_examples(64), verbalizer, policy)
    return to_grpo_trainer(policy, GRPOConfig(str(folder), **choices), prompts, rewards)


def rewards_of(policy):
    verbalizer = RewriteVerbalizer(ITEMS)
    return [OracleReward(Reader(), verbalizer, ITEMS), LengthReward(verbalizer, policy.tokenizer)]


@pytest.fixture
def policy(tiny_model_folder):
    arguments = AdapterArguments(base_model=str(tiny_model_folder), base_model_id="org/tiny", lora_r=8)
    return trainable_model(arguments, seed=0, device="cpu")


@pytest.mark.slow
def test_grpo_raises_the_hit_rate_of_the_oracle(policy, tmp_path):
    trainer = trainer_of(policy, tmp_path, rewards_of(policy))
    frozen = {name: weight.clone() for name, weight in policy.model.named_parameters() if "lora" not in name}
    trainer.train()
    hits = [row["oracle/hit_rate"] for row in trainer.state.log_history if "oracle/hit_rate" in row]
    assert sum(hits[:3]) / 3 < 0.5
    assert sum(hits[-3:]) / 3 > 0.9
    assert all(weight.equal(frozen[name]) for name, weight in policy.model.named_parameters() if name in frozen)


def test_an_action_verbalizer_learns_from_the_decisions_that_somebody_reads(policy, tmp_path):
    """Histories of 5 and 8 records in one batch: all answers have 8 decisions, and of some 5 are read."""
    verbalizer = ActionVerbalizer(ITEMS, policy)
    per_record = len(" detail")  # one token per byte
    lengths = [5, 8]
    rows = letter_examples(2)
    record = rows[0]["history"][0]
    rows = rows.remove_columns("history").add_column("history", [[record] * length for length in lengths])
    prompts = to_verbalizer_rows(rows, verbalizer, policy)
    choices = {"per_device_train_batch_size": 8, "num_generations": 4, "max_completion_length": 8 * per_record}
    restrict_vocabulary(policy.model, decision_token_ids(policy.tokenizer))
    trainer = trainer_of(policy, tmp_path, [AlwaysOne()], reward_weights=None, prompts=prompts, **choices)
    batch = trainer._generate_and_score_completions([prompts[row] for row in (0, 0, 0, 0, 1, 1, 1, 1)])
    assert batch["completion_mask"].sum(dim=1).tolist() == [5 * per_record] * 4 + [8 * per_record] * 4
    assert batch["num_items_in_batch"] == 4 * (5 + 8) * per_record
    assert trainer._metrics["train"]["completions/mean_length"] == [(5 + 8) / 2 * per_record]


class AlwaysOne:
    __name__ = "one"

    def __call__(self, completions, **columns):
        return [1.0] * len(completions)


def test_groups_that_learn_from_length_alone_are_counted(policy, tmp_path):
    class Misses(Reader):
        def rank(self, contexts, candidates, progress=None):
            return [None] * len(contexts)

    verbalizer = RewriteVerbalizer(ITEMS)
    rewards = [OracleReward(Misses(), verbalizer, ITEMS), LengthReward(verbalizer, policy.tokenizer)]
    trainer = trainer_of(policy, tmp_path, rewards, max_steps=1)
    trainer.train()
    row = trainer.state.log_history[0]
    assert row["oracle/equal_groups"] == 1
    # The sum of both rewards is equal where the lengths are; all other groups learn from length alone.
    assert row["length/alone"] == pytest.approx(1 - row["frac_reward_zero_std"])


def test_weights_must_match_the_rewards(policy, tmp_path):
    with pytest.raises(InputError, match="reward_weights has 1 numbers, but the rewards are oracle, length"):
        trainer_of(policy, tmp_path, rewards_of(policy), reward_weights=[1.0])


def test_a_step_that_needs_more_prompts_than_there_are_is_refused(policy, tmp_path):
    with pytest.raises(InputError, match="A step takes 100 prompts, but there are only 64"):
        trainer_of(policy, tmp_path, rewards_of(policy), per_device_train_batch_size=800)


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({"num_train_epochs": 3}, 3),
        # 10 steps of 32 / 8 = 4 prompts are 40 shuffles of 15 examples: two rounds and a part of a third
        ({"max_steps": 10}, 3),
    ],
)
def test_shuffles_are_as_many_as_were_asked_for(choices, expected, tmp_path):
    arguments = GRPOConfig(str(tmp_path), per_device_train_batch_size=32, num_generations=8, bf16=False, **choices)
    assert shuffles_per_example(arguments, num_examples=15) == expected
