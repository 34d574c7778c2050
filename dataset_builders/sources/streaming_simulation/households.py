"""Who watches what: the one or two people of each account, their tastes, which drift, and the works they start."""

from dataclasses import dataclass

import numpy as np

from .catalogue import TAG_NAMES, TAGS_PER_WORK, Catalogue
from .simulation_config import SimulationConfig

_SMALLEST_SHARE, _LARGEST_SHARE = 0.3, 0.5
_BLOCK_WEIGHTS = 2_000_000  # so many weights are in memory at once


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


def draw_works(
    tastes: np.ndarray, catalogue: Catalogue, laws: np.ndarray, chance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw what is started: `P(work)` is proportional to `popularity * exp(sum of the taste over the work's tags)`.

    Args:
        tastes (`np.ndarray` of shape `[laws, tags]`): One taste per law.
        catalogue ([`Catalogue`]): Tags and popularity of the works.
        laws (`np.ndarray` of shape `[draws]`): By which law each work is drawn.
        chance (`np.ndarray` of shape `[draws]`): A uniform number in [0, 1) for each.

    Returns:
        `tuple`: The works, and the logarithm of each law's normaliser.
    """
    works, log_normalisers = np.empty(len(laws), dtype=np.int64), np.empty(len(tastes))
    order = np.argsort(laws, kind="stable")
    block = max(1, _BLOCK_WEIGHTS // len(catalogue.titles))
    for first in range(0, len(tastes), block):
        cumulative = _cumulative_weights(tastes[first : first + block], catalogue)
        begin, end = np.searchsorted(laws, [first, first + len(cumulative)], sorter=order)
        drawn = order[begin:end]
        works[drawn] = invert_laws(cumulative, laws[drawn] - first, chance[drawn])
        log_normalisers[first : first + block] = np.log(cumulative[:, -1])
    return works, log_normalisers


def invert_laws(cumulative: np.ndarray, laws: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """The entry in which a uniform number falls, for many laws at once.

    Args:
        cumulative (`np.ndarray` of shape `[laws, entries]`): Running sums of weights.
        laws (`np.ndarray` of shape `[draws]`): Rows of `cumulative`.
        chance (`np.ndarray` of shape `[draws]`): Uniform numbers in [0, 1).

    Example:
        >>> invert_laws(np.cumsum([[1, 3], [3, 1]], axis=1), np.array([0, 0, 1]), np.array([0.2, 0.3, 0.3]))
        array([0, 1, 0])
    """
    entries = cumulative.shape[1]
    # Each row is scaled to (row, row + 1], so that one sorted search serves all rows.
    scaled = cumulative / cumulative[:, -1:] + np.arange(len(cumulative))[:, None]
    places = np.searchsorted(scaled.ravel(), laws + chance, side="right")
    return np.minimum(places - laws * entries, entries - 1)


def _cumulative_weights(tastes: np.ndarray, catalogue: Catalogue) -> np.ndarray:
    log_weights = tastes @ catalogue.tag_matrix() + catalogue.log_popularity.astype(np.float32)
    return np.cumsum(np.exp(log_weights), axis=1, dtype=np.float64)
