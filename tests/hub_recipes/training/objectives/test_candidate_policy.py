"""The exact policy gradient is what GRPO estimates: with visible numbers, and against TRL's own loss."""

import math

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from toy_taste import ITEMS, to_examples
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import nanstd

from logs2lang.models.language_models import LanguageModel, load_language_model
from logs2lang.training.objectives.candidate_policy import (
    entropy,
    expected_advantages,
    expected_kl,
    expected_policy_loss,
    expected_reward,
    is_hit,
)
from logs2lang.training.objectives.candidate_shuffles import Questions
from logs2lang.training.objectives.reasoner_objectives import CandidateObjective, ObjectiveSettings

QUARTERS = torch.tensor([[0.25, 0.75], [0.5, 0.5]]).log()
GOLD = torch.tensor([1, 0])
GROUP = 100_000
BETA = 0.2


def test_advantages_are_rewards_minus_their_expectation():
    # Rewards -1 and 1: expected are -0.25 + 0.75 = 0.5, and 0.
    assert expected_reward(QUARTERS, GOLD).tolist() == pytest.approx([0.5, 0])
    plain = expected_advantages(QUARTERS, GOLD, "none")
    assert plain.tolist() == [pytest.approx([-1.5, 0.5]), pytest.approx([1, -1])]
    # Variance: 0.25 * 1.5**2 + 0.75 * 0.5**2 = 0.75.
    scaled = expected_advantages(QUARTERS, GOLD, "group")
    assert scaled[0].tolist() == pytest.approx([-1.5 / math.sqrt(0.75), 0.5 / math.sqrt(0.75)], rel=1e-3)


@pytest.mark.parametrize("scale_rewards", ["group", "none"])
def test_nothing_is_learned_where_the_outcome_is_certain(scale_rewards):
    certain = torch.tensor([[1.0, 0.0]]).log()
    assert expected_advantages(certain, torch.tensor([0]), scale_rewards)[0, 0] == 0


def test_the_gradient_is_the_expectation_written_out():
    scores = torch.tensor([[0.3, -0.2, 1.0]], requires_grad=True)
    log_policy = scores.log_softmax(-1)
    advantages = expected_advantages(log_policy, torch.tensor([2]), "none")
    (gradient,) = torch.autograd.grad(expected_policy_loss(log_policy, advantages), scores)
    policy = log_policy.exp().detach()[0]
    # Expected reward is 2 p - 1 for p of the target, and dp / dscore is p (1{target} - policy).
    expected = -2 * policy[2] * (torch.tensor([0.0, 0.0, 1.0]) - policy)
    assert gradient[0].tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_missing_candidates_weigh_nothing():
    scores = torch.tensor([[0.3, -0.2, -math.inf]], requires_grad=True)
    log_policy = scores.log_softmax(-1)
    two = log_policy[:, :2]
    advantages = expected_advantages(log_policy, torch.tensor([0]))
    loss = expected_policy_loss(log_policy, advantages) + expected_kl(log_policy, log_policy.detach()).mean()
    assert torch.autograd.grad(loss, scores)[0].isfinite().all()
    assert entropy(log_policy).item() == pytest.approx(entropy(two).item())
    assert is_hit(log_policy, torch.tensor([0])).item()


def reasoner(folder) -> LanguageModel:
    """The tiny model with an adapter that already does something, so that it differs from its reference."""
    torch.manual_seed(0)
    base = load_language_model(str(folder), device="cpu")
    adapter = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    return LanguageModel(get_peft_model(base.model, adapter), base.tokenizer, base.model_id, None, "")


def gradient_of(loss: torch.Tensor, model) -> torch.Tensor:
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return torch.cat([gradient.flatten() for gradient in torch.autograd.grad(loss, weights)])


def trl_loss(trainer: GRPOTrainer, log_policy, log_reference, gold: int, scale_rewards: str) -> torch.Tensor:
    """What `GRPOTrainer` computes from one large group of sampled labels.

    The loss is TRL's `_compute_loss`. Advantages are as `_generate_and_score_completions` of TRL 1.16 has them:
    rewards minus the mean of the group, divided by `nanstd(group) + 1e-4` unless `scale_rewards="none"`. A group of G
    has a standard deviation of its own, so that the expectation of TRL's gradient differs from the exact one by a
    factor that goes to 1 with G; hence one group of 100,000 and not many of 8.
    """
    labels = torch.multinomial(log_policy.detach().exp(), GROUP, replacement=True)
    rewards = torch.where(labels == gold, 1.0, -1.0)
    advantages = rewards - rewards.mean()
    if scale_rewards == "group":
        advantages = advantages / (nanstd(rewards) + 1e-4)
    ones = torch.ones(GROUP, 1, dtype=torch.long)
    trainer._get_per_token_logps_and_entropies = lambda *_, **__: (
        log_policy[labels][:, None],
        torch.zeros(GROUP, 1),
        None,
    )
    inputs = {"prompt_ids": ones, "prompt_mask": ones, "completion_ids": labels[:, None], "completion_mask": ones}
    inputs |= {"advantages": advantages, "ref_per_token_logps": log_reference[labels][:, None]}
    return trainer._compute_loss(trainer.model, {**inputs, "num_items_in_batch": torch.tensor(GROUP)})


@pytest.mark.parametrize("beta", [0.0, BETA])
@pytest.mark.parametrize("scale_rewards", ["group", "none"])
def test_the_gradient_is_the_mean_of_sampled_grpo_gradients(tiny_model_folder, tmp_path, scale_rewards, beta):
    model = reasoner(tiny_model_folder)
    settings = ObjectiveSettings("exact", beta=beta, scale_rewards=scale_rewards)
    objective = CandidateObjective(model, settings)
    examples, texts = to_examples(1, seed=3)
    packed = Questions(model, examples, texts, ITEMS, "label", 2_048, seed=0)[0, 0]
    batch = objective.collate([packed])
    exact = gradient_of(objective.loss(model.model, batch)[0], model.model)
    log_policy = objective.scores(model.model, batch).log_softmax(-1)[0]
    with model.model.disable_adapter(), torch.no_grad():
        log_reference = objective.scores(model.model, batch).log_softmax(-1)[0]
    trainer = GRPOTrainer(
        model.model,
        reward_funcs=[lambda completions, **_: [0.0] * len(completions)],
        args=GRPOConfig(
            str(tmp_path), beta=beta, loss_type="grpo", bf16=False, use_cpu=True, report_to=[], num_generations=8
        ),
        train_dataset=Dataset.from_dict({"prompt": ["x"]}),
        processing_class=model.tokenizer,
    )
    trainer.current_gradient_accumulation_steps = 1
    sampled = gradient_of(trl_loss(trainer, log_policy, log_reference, packed.gold, scale_rewards), model.model)
    error = (exact - sampled).norm() / exact.norm()
    assert 0 < error < 0.03  # Monte-Carlo error of 100,000 samples
