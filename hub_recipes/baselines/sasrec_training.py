"""Training SASRec on what users chose, by cross-entropy over the next item."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..models.accelerators import accelerator
from .recommender import Progress
from .sasrec_batches import Batch, Sequences, batches
from .sasrec_network import SasRecNetwork
from .sasrec_settings import SasRecSettings


@dataclass(frozen=True)
class Watch:
    """Who is notified of the progress; all instances are equal, because watching changes nothing."""

    progress: Progress | None = field(default=None, compare=False)

    def tell(self, share: float) -> None:
        if self.progress is not None:
            self.progress(share)


@lru_cache(maxsize=3)  # so that two rows with three seeds each share their networks
def fitted_network(sequences: Sequences, settings: SasRecSettings, watch: Watch = Watch()) -> SasRecNetwork:
    """Train a network, or return one of the last again that was trained on the same sequences with the same settings.

    In float32 everywhere, because bfloat16 is slow on most CPUs. The outcome depends on the seed, not on what was
    drawn from torch's generator before or on the number of threads.

    Args:
        sequences ([`Sequences`]): What users chose.
        settings ([`SasRecSettings`]): The network and its training.
        watch ([`Watch`], *optional*): Notified after every step of training.
    """
    with _one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = SasRecNetwork(sequences.num_items, settings).to(_device())
        _train(network, sequences, settings, watch)
    return network


@contextmanager
def _one_thread() -> Iterator[None]:
    """Steps are small: with two threads on two cores that were busy they took five times as long as with one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _device() -> torch.device:
    return accelerator() or torch.device("cpu")


def _train(network: SasRecNetwork, sequences: Sequences, settings: SasRecSettings, watch: Watch) -> None:
    targets = min(settings.epochs * sequences.num_targets, settings.max_targets)
    if not targets:
        return
    steps = math.ceil(targets / settings.batch_targets)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps, pct_start=0.1)
    network.train()
    for step, batch in enumerate(islice(_endless_batches(sequences, settings), steps), start=1):
        optimizer.zero_grad()
        _loss(network, batch, settings.negatives).backward()
        optimizer.step()
        schedule.step()
        watch.tell(step / steps)


def _endless_batches(sequences: Sequences, settings: SasRecSettings) -> Iterator[Batch]:
    rng = np.random.default_rng(settings.seed)
    while True:
        yield from batches(sequences, settings.window, settings.batch_targets, rng)


def _loss(network: SasRecNetwork, batch: Batch, negatives: int) -> Tensor:
    device = network.items.weight.device
    items, targets, lengths = (
        torch.from_numpy(numbers).to(device) for numbers in (batch.items, batch.targets, batch.lengths)
    )
    meant = targets >= 0
    return next_item_loss(network(items, lengths)[meant], targets[meant], network.items.weight, negatives)


def next_item_loss(hidden: Tensor, targets: Tensor, weights: Tensor, negatives: int) -> Tensor:
    """Cross-entropy of the next item: over the whole catalogue, or over a sample of one that is too large.

    Args:
        hidden (`torch.Tensor` of shape `[targets, dim]`): What is known before each target.
        targets (`torch.Tensor` of shape `[targets]`): Item numbers.
        weights (`torch.Tensor` of shape `[items, dim]`): Output weights.
        negatives (`int`): Size of the sample.
    """
    num_items = len(weights)
    if num_items <= negatives:
        return F.cross_entropy(hidden @ weights.T, targets)
    sample = torch.randint(num_items, (negatives,), device=weights.device)
    # Each item of the sample stands for several of the catalogue, so that the sum is expected to be that over all.
    others = hidden @ weights[sample].T + math.log(num_items / negatives)
    others = others.masked_fill(sample == targets[:, None], -math.inf)
    own = (hidden * weights[targets]).sum(dim=1, keepdim=True)
    return F.cross_entropy(torch.cat([own, others], dim=1), torch.zeros_like(targets))
