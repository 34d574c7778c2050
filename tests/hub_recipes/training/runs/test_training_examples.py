"""Users parted by hash: a judge and what it judges share none."""

import pytest
from toy_taste import to_examples

from logs2lang import train_reasoner, train_verbalizer
from logs2lang.commands.chain import read_chain
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.training.runs.arguments import ReasonerArguments, VerbalizerArguments, parse_arguments
from logs2lang.training.runs.training_examples import of_users

PARSED = {
    "reasoner": (ReasonerArguments, train_reasoner.CONFIGURATIONS),
    "verbalizer": (VerbalizerArguments, train_verbalizer.CONFIGURATIONS),
}


def test_halves_share_no_user_and_lose_none():
    examples, _ = to_examples(200, seed=0)
    first, second = (set(of_users(examples, *half)["user"]) for half in ((0, 0.5), (0.5, 1)))
    assert first | second == set(examples["user"])
    assert not first & second
    assert 70 < len(first) < 130  # a fair coin for each of 200 users: 100, give or take four deviations of 7


def test_all_users_are_the_default():
    examples, _ = to_examples(5, seed=0)
    assert of_users(examples, 0, 1) is examples


@pytest.mark.parametrize("share", [(0.5, 0.5), (-0.1, 1), (0, 1.1)])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InputError, match="expected 0 <= users_from < users_below <= 1"):
        of_users(to_examples(5, seed=0)[0], *share)


def test_a_share_without_anybody_is_one_sentence():
    with pytest.raises(InputError, match="None of the 5 examples"):
        of_users(to_examples(5, seed=0)[0], 0, 1e-9)


@pytest.mark.parametrize("chain", ["smoke", "cpu", "simulation", "gpu"])
def test_no_chain_trains_a_verbalizer_on_users_that_its_oracle_learned_from(chain, monkeypatch):
    monkeypatch.setattr("logs2lang.training.runs.arguments._refuse_slow", lambda training_args: None)
    monkeypatch.setattr("transformers.training_args.is_torch_bf16_gpu_available", lambda: True, raising=False)
    shares = {}
    for step in read_chain(f"smollm2-135m/chain/{chain}.yaml"):
        if step.action == "train":
            own = parsed(step.role, step.choices)
            shares[step.name] = (own.users_from, own.users_below)
            if own.adapter and step.name == "oracle":
                assert shares[own.adapter.strip("{}")] == shares["oracle"]
    if chain == "cpu":  # its oracle was trained on nobody
        assert "oracle" not in shares
        return
    assert shares["oracle"] == (0, 0.5)
    assert shares["verbalizer"] == (0.5, 1)


def parsed(role, choices):
    names = ("config", "method", "adapter", "users_from", "users_below")
    given = {name: choices[name] for name in names if name in choices}
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    own, *_ = parse_arguments(*PARSED[role], [*words, "--dataset", "built", "--output_dir", "run"])
    return own
