"""A reasoner as a policy over candidates, and what can be optimised of it. Pure functions on tensors.

All take `log_policy`, of shape `(examples, candidates)`: log-probabilities over the candidates of each example, minus
infinity where an example has fewer; and `gold`, of shape `(examples,)`: the place of each target.

`exact` is GRPO (Shao et al., arXiv 2402.03300) as TRL's `GRPOTrainer` computes it with one update per sample, in
expectation: in place of G answers drawn from the policy, each candidate counts with its probability.
"""

from typing import Literal

import torch
from torch import Tensor

HIT, MISS = 1.0, -1.0
"""Rewards of the paper's second stage (arXiv 2602.20558)."""

STD_EPSILON = 1e-4
"""What TRL 1.16 adds to the standard deviation that divides an advantage."""


def cross_entropy(log_policy: Tensor, gold: Tensor) -> Tensor:
    """Mean negative log-probability of the target.

    Example:
        >>> round(cross_entropy(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([1])).item(), 4)
        0.6931
    """
    return -log_policy.gather(1, gold[:, None]).mean()


def expected_advantages(log_policy: Tensor, gold: Tensor, scale_rewards: Literal["group", "none"] = "group") -> Tensor:
    """How much better than expected the reward of each candidate is: what GRPO estimates from a group of samples.

    Args:
        log_policy (`Tensor`): See above.
        gold (`Tensor`): See above.
        scale_rewards (`str`, *optional*, defaults to `"group"`): `"group"`: in standard deviations of the reward under
            the policy. `"none"`: as it is (Dr. GRPO, arXiv 2503.20783).

    Returns:
        `Tensor` of shape `(examples, candidates)`, without gradient: zero in expectation under the policy.

    Example:
        >>> half = torch.tensor([[0.5, 0.5]]).log()
        >>> expected_advantages(half, torch.tensor([0]), "none")  # the rewards are 1 and -1, and 0 is expected
        tensor([[ 1., -1.]])
    """
    policy = log_policy.detach().exp()
    advantages = _rewards(policy, gold) - expected_reward(log_policy, gold)[:, None]
    if scale_rewards == "none":
        return advantages
    return advantages / ((policy * advantages**2).sum(1, keepdim=True).sqrt() + STD_EPSILON)


def expected_reward(log_policy: Tensor, gold: Tensor) -> Tensor:
    """The reward to expect of an answer drawn from the policy, in [-1, 1]; of shape `(examples,)`, without gradient.

    Example:
        >>> expected_reward(torch.tensor([[0.25, 0.75]]).log(), torch.tensor([1]))
        tensor([0.5000])
    """
    policy = log_policy.detach().exp()
    return (policy * _rewards(policy, gold)).sum(1)


def _rewards(policy: Tensor, gold: Tensor) -> Tensor:
    return torch.full_like(policy, MISS).scatter(1, gold[:, None], HIT)


def expected_policy_loss(log_policy: Tensor, advantages: Tensor) -> Tensor:
    """The loss whose gradient is minus the expectation of `advantage * grad log-probability` under the policy.

    Its value is that of GRPO's loss before the first update, where all probability ratios are 1: minus the mean
    advantage, which is 0. The gradient is what counts.
    """
    ratio = (_finite(log_policy) - _finite(log_policy).detach()).exp()
    return -(log_policy.detach().exp() * ratio * advantages).sum(1).mean()


def expected_kl(log_policy: Tensor, log_reference: Tensor) -> Tensor:
    """TRL's KL term in expectation under the policy: the divergence of the policy from the reference, in nats.

    TRL 1.16 estimates it by `exp(ref - cur) - (ref - cur) - 1`, times the probability ratio, which gives it the
    gradient of the divergence itself (`use_bias_correction_kl`). In expectation `exp(ref - cur) - 1` is 0.

    Args:
        log_policy (`Tensor`): See above.
        log_reference (`Tensor`): Of the same shape.

    Returns:
        `Tensor` of shape `(examples,)`.

    Example:
        >>> half, third = torch.tensor([[1 / 2, 1 / 2]]).log(), torch.tensor([[1 / 3, 2 / 3]]).log()
        >>> expected_kl(half, half).item(), round(expected_kl(half, third).item(), 4)
        (0.0, 0.0589)
    """
    return (log_policy.exp() * (_finite(log_policy) - _finite(log_reference))).sum(1)


def entropy(log_policy: Tensor) -> Tensor:
    """Entropy of each example's policy in nats, of shape `(examples,)`."""
    return -(log_policy.exp() * _finite(log_policy)).sum(1)


def is_hit(log_policy: Tensor, gold: Tensor) -> Tensor:
    """Whether the target is the most probable candidate; of shape `(examples,)`."""
    return log_policy.argmax(1) == gold


def _finite(log_policy: Tensor) -> Tensor:
    """Zero for missing candidates: they have no weight, but minus infinity times no weight is not a number."""
    return log_policy.masked_fill(log_policy.isinf(), 0.0)
