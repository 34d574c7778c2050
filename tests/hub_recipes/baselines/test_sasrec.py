import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from logs2lang.baselines.sasrec import SasRec
from logs2lang.baselines.sasrec_batches import Sequences, batches
from logs2lang.baselines.sasrec_network import SasRecNetwork
from logs2lang.baselines.sasrec_settings import SasRecSettings
from logs2lang.baselines.sasrec_training import fitted_network, next_item_loss
from logs2lang.baselines.training_log import TrainingLog

CYCLE = "abcdef"
SMALL = SasRecSettings(dim=16, window=8, dropout=0.0, epochs=60, batch_targets=64, learning_rate=1e-2)


@pytest.fixture
def cycle(training):
    """Twelve users who go round, each from another place and for another time."""
    return training(*((CYCLE * 4)[start : start + length] for start in range(6) for length in (9, 14)))


@pytest.fixture(autouse=True)
def forget():
    fitted_network.cache_clear()


def test_it_learns_what_comes_next_in_a_cycle(cycle, examples):
    scores = SasRec(settings=SMALL).fit(cycle, {}).score(examples(("ab", CYCLE), ("bcdef", CYCLE), ("!cd", CYCLE)))
    assert [CYCLE[best] for best in scores.argmax(axis=1)] == ["c", "a", "e"]


def test_the_seed_decides_and_nothing_else(cycle, examples):
    few = SasRecSettings(dim=16, window=8, epochs=2)
    shown = examples(("abc", CYCLE))
    torch.manual_seed(1)
    once = SasRec(settings=few).fit(cycle, {}).score(shown)
    state = torch.get_rng_state()
    fitted_network.cache_clear()
    torch.manual_seed(2)
    again = SasRec(settings=few).fit(cycle, {}).score(shown)
    other = SasRec(settings=SasRecSettings(dim=16, window=8, epochs=2, seed=1)).fit(cycle, {}).score(shown)
    assert once.tolist() == again.tolist()
    assert not np.allclose(once, other)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)  # fitting drew nothing from the generator of others


def test_both_rows_train_one_network(cycle, training):
    plain = SasRec(settings=SMALL).fit(cycle, {})
    lifted = SasRec(lift=True, settings=SMALL).fit(cycle.copy(), {})
    assert lifted.network is plain.network
    assert SasRec(settings=SMALL).fit(training("abc", "abd"), {}).network is not plain.network


def test_lift_takes_the_logarithm_of_the_audience_away(training, examples):
    log, shown = training("abp", "bap", "ap", "p"), examples(("ab", "abp"))
    plain, lifted = (SasRec(lift=lift, settings=SMALL).fit(log, {}).score(shown)[0] for lift in (False, True))
    assert plain - lifted == pytest.approx(np.log([3 + 10, 2 + 10, 4 + 10]), rel=1e-5)


def test_what_nobody_chose_comes_last(cycle, examples):
    for lift in (False, True):
        assert SasRec(lift, SMALL).fit(cycle, {}).score(examples(("ab", "az")))[0][1] == -np.inf


def test_an_empty_history_is_no_error(cycle, examples):
    scores = SasRec(settings=SMALL).fit(cycle, {}).score(examples(("", "ab"), ("z", "ab"), ("!a", "ab")))
    assert scores.tolist() == [[0, 0]] * 3


@pytest.mark.parametrize("words", [("a", "b"), ("ab",)])
def test_a_log_with_nothing_to_learn_is_no_error(training, examples, words):
    scores = SasRec(settings=SasRecSettings(epochs=1)).fit(training(*words), {}).score(examples(("a", "ab")))
    assert np.isfinite(scores).all()


def test_threads_are_left_as_they_were(cycle):
    before = torch.get_num_threads()
    SasRec(settings=SasRecSettings(dim=16, epochs=1)).fit(cycle, {})
    assert torch.get_num_threads() == before


def test_the_share_of_the_training_is_told_after_every_step(cycle):
    shares: list[float] = []
    few = SasRecSettings(dim=16, batch_targets=64, epochs=1)
    SasRec(settings=few).fit(cycle, {}, shares.append)
    steps = math.ceil(Sequences.of(TrainingLog.of(cycle)).num_targets / 64)
    assert shares == pytest.approx([step / steps for step in range(1, steps + 1)])
    SasRec(lift=True, settings=few).fit(cycle, {}, shares.append)  # the same network, whoever looks on
    assert len(shares) == steps


def test_max_targets_ends_training_early(cycle):
    sequences = Sequences.of(TrainingLog.of(cycle))
    one_epoch, capped = (
        fitted_network(sequences, SasRecSettings(dim=16, batch_targets=64, epochs=epochs, max_targets=most))
        for epochs, most in ((1, 10**6), (50, sequences.num_targets))
    )
    assert torch.equal(one_epoch.items.weight, capped.items.weight)


def test_every_choice_but_the_first_is_a_target_once_per_epoch(training):
    sequences = Sequences.of(TrainingLog.of(training("abcdefghij", "k", "lmnop", "qr")))
    rng = np.random.default_rng(0)
    for _ in range(20):
        pairs = [
            (int(item), int(target))
            for batch in batches(sequences, window=3, batch_targets=4, rng=rng)
            for item, target in zip(batch.items.ravel(), batch.targets.ravel(), strict=True)
            if target >= 0
        ]
        expected = [(item, item + 1) for item in range(17) if item not in (9, 10, 15)]  # the last item of each user
        assert sorted(pairs) == expected


def test_cuts_move_from_epoch_to_epoch_and_windows_stay_short(training):
    sequences = Sequences.of(TrainingLog.of(training("abcdefghij")))
    rng = np.random.default_rng(0)
    epochs = [sorted(batch.items[:, 0].tolist()[0] for batch in batches(sequences, 3, 1, rng)) for _ in range(9)]
    assert len({tuple(begins) for begins in epochs}) == 3
    assert all(batch.items.shape[1] <= 3 for batch in batches(sequences, 3, 100, rng))


def test_padding_and_later_items_are_not_read():
    torch.manual_seed(0)
    network = SasRecNetwork(num_items=9, settings=SasRecSettings(dim=16, window=8)).eval()
    short = network(torch.tensor([[1, 2]]), torch.tensor([2]))
    padded = network(torch.tensor([[1, 2, 7, 8]]), torch.tensor([2]))
    assert torch.allclose(short[0], padded[0, :2], atol=1e-6)


def test_positions_are_counted_from_the_end():
    torch.manual_seed(0)
    network = SasRecNetwork(num_items=9, settings=SasRecSettings(dim=16, window=8, layers=0)).eval()
    short, long = (network(torch.tensor([items]), torch.tensor([len(items)])) for items in ([5], [1, 2, 3, 5]))
    assert torch.allclose(short[0, -1], long[0, -1], atol=1e-6)


def test_a_sampled_catalogue_has_the_loss_of_the_whole_one_on_average():
    torch.manual_seed(0)
    hidden, weights = torch.randn(40, 8), torch.randn(500, 8) / 4
    targets = torch.randint(500, (40,))
    whole = F.cross_entropy(hidden @ weights.T, targets).item()
    assert next_item_loss(hidden, targets, weights, negatives=500).item() == pytest.approx(whole)
    sampled = [next_item_loss(hidden, targets, weights, negatives=200).item() for _ in range(60)]
    assert np.mean(sampled) == pytest.approx(whole, abs=0.04)
    assert whole > math.log(100)  # far from 0, so that agreeing to 0.04 says something
