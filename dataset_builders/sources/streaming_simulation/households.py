"""Who watches: accounts, the one or two people on each, and their tastes, which drift from period to period."""

from dataclasses import dataclass

import numpy as np

from dataset_builders.sources.streaming_simulation.catalogue import TAG_NAMES, TAGS_PER_WORK, Catalogue
from dataset_builders.sources.streaming_simulation.simulation_config import SimulationConfig

_SMALLEST_SHARE, _LARGEST_SHARE = 0.3, 0.5


@dataclass(frozen=True)
class Households:
    """The people of a group of accounts: first one per account, then the second ones of those that are shared.

    Args:
        account (`np.ndarray` of shape `[people]`): Whose account a person watches on, numbered from 0 in the group.
        share (`np.ndarray` of shape `[people]`): Share of the account's sessions that the person has.
        tastes (`np.ndarray` of shape `[people, periods, tags]`): What each tag adds to the log-odds of watching.
    """

    account: np.ndarray
    share: np.ndarray
    tastes: np.ndarray

    def draw_viewers(self, accounts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Which person watches, for each entry of `accounts`."""
        num_accounts = int(self.account.max()) + 1
        second = np.zeros(num_accounts, dtype=np.int64)
        second[self.account[num_accounts:]] = np.arange(num_accounts, len(self.account))
        is_first = rng.random(len(accounts)) < self.share[accounts]
        return np.where(is_first, accounts, second[accounts])


def draw_households(config: SimulationConfig, accounts: int, rng: np.random.Generator) -> Households:
    """Draw who shares an account and what everybody likes.

    A taste is a normal variable per tag, scaled so that the three tags of a work together have the standard deviation
    `config.sharpness`. From period to period it is an autoregression of order one, so that its size stays the same.

    Args:
        config ([`SimulationConfig`]): `households`, `drift`, `sharpness` and `periods` are used.
        accounts (`int`): How many accounts.
        rng (`np.random.Generator`): Where chance comes from.
    """
    shared = np.flatnonzero(rng.random(accounts) < config.households)
    second_share = rng.uniform(_SMALLEST_SHARE, _LARGEST_SHARE, len(shared))
    first_share = np.ones(accounts)
    first_share[shared] -= second_share
    account = np.concatenate([np.arange(accounts), shared])
    tastes = _drifting_tastes(config, len(account), rng)
    return Households(account, np.concatenate([first_share, second_share]), tastes)


def _drifting_tastes(config: SimulationConfig, people: int, rng: np.random.Generator) -> np.ndarray:
    tastes = rng.standard_normal((people, config.periods, len(TAG_NAMES)), dtype=np.float32)
    kept = np.float32(1 - config.drift)
    for period in range(1, config.periods):
        tastes[:, period] = kept * tastes[:, period - 1] + np.sqrt(1 - kept**2) * tastes[:, period]
    return tastes * np.float32(config.sharpness / np.sqrt(TAGS_PER_WORK))


@dataclass(frozen=True)
class ViewingLaws:
    """With what probability each person, in each period, starts each work.

    Args:
        cumulative (`np.ndarray` of shape `[people * periods, works]`): Unnormalised, running sum over the works.
    """

    cumulative: np.ndarray

    @property
    def log_normalisers(self) -> np.ndarray:
        """Logarithm of the sum over all works of `exp(log popularity + taste)`: shape `[people * periods]`."""
        return np.log(self.cumulative[:, -1])

    def draw(self, laws: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One work for each entry of `laws` (rows of `cumulative`)."""
        # Each row is scaled to (row, row + 1], so that one sorted search serves all rows.
        scaled = self.cumulative / self.cumulative[:, -1:] + np.arange(len(self.cumulative))[:, None]
        places = np.searchsorted(scaled.ravel(), laws + rng.random(len(laws)), side="right")
        works = places - laws * self.cumulative.shape[1]
        return np.minimum(works, self.cumulative.shape[1] - 1)


def viewing_laws(tastes: np.ndarray, catalogue: Catalogue) -> ViewingLaws:
    """The law of each taste: `P(work)` is proportional to `popularity * exp(sum of the taste over the work's tags)`.

    Args:
        tastes (`np.ndarray` of shape `[people, periods, tags]`): As in [`Households`].
        catalogue ([`Catalogue`]): Tags and popularity of the works.
    """
    log_weights = tastes.reshape(-1, tastes.shape[-1]) @ catalogue.tag_matrix()
    log_weights += catalogue.log_popularity.astype(np.float32)
    return ViewingLaws(np.cumsum(np.exp(log_weights), axis=1, dtype=np.float64))
