"""Sessions: when they begin, on which device, what is started, and how long they last."""

from dataclasses import dataclass, replace

import numpy as np

from .catalogue import Catalogue
from .households import Households, draw_works
from .simulation_config import PERIOD_DAYS, SimulationConfig

MOST_SITTINGS = 3
MOST_EPISODES = 10

_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S

# Relative number of sessions per hour of the day (UTC), midnight first: little at night, most in the evening.
_HOUR_WEIGHTS = np.array([3, 2, 1, 1, 1, 1, 2, 3, 4, 4, 4, 5, 6, 6, 6, 6, 7, 9, 12, 15, 17, 16, 12, 7], dtype=float)
# Share of tv, phone, tablet and computer in each six hours of the day, midnight first.
_DEVICE_SHARES = np.array(
    [[0.35, 0.35, 0.15, 0.15], [0.25, 0.45, 0.15, 0.15], [0.40, 0.25, 0.15, 0.20], [0.65, 0.12, 0.13, 0.10]]
)
_FEWEST_SESSIONS = 3
_SESSION_SPREAD = 4.0  # shape of the gamma law of sessions per account: standard deviation is half the mean
_BACK_TO_LAST = 0.4  # how steeply older sessions are returned to less


@dataclass(frozen=True)
class Sessions:
    """Sessions of a group of accounts, in order of account and time. All arrays have shape `[sessions]`.

    Args:
        account (`np.ndarray`): Number of the account in the group.
        place (`np.ndarray`): How many sessions the account had before.
        start_s (`np.ndarray`): Planned start, in seconds since the log began.
        device (`np.ndarray`): Place in `DEVICES`.
        person (`np.ndarray`): Row of [`Households`].
        work (`np.ndarray`): What is watched.
        plays (`np.ndarray`): How many plays in a row: episodes of a series, sittings of a film.
    """

    account: np.ndarray
    place: np.ndarray
    start_s: np.ndarray
    device: np.ndarray
    person: np.ndarray
    work: np.ndarray
    plays: np.ndarray

    def __len__(self) -> int:
        return len(self.account)


def draw_sessions(
    config: SimulationConfig, catalogue: Catalogue, households: Households, rng: np.random.Generator
) -> tuple[Sessions, np.ndarray]:
    """Draw the sessions of a group of accounts.

    Args:
        config ([`SimulationConfig`]): Rates and lengths.
        catalogue ([`Catalogue`]): What can be watched.
        households ([`Households`]): Who watches.
        rng (`np.random.Generator`): Where chance comes from.

    Returns:
        `tuple`: The sessions, and the log-normaliser of the law of each person and period: shape `[people, periods]`.
    """
    sessions = _sittings(config, households, rng)
    period = np.minimum(sessions.start_s // (PERIOD_DAYS * _DAY_S), config.periods - 1)
    tastes = households.tastes.reshape(-1, households.tastes.shape[-1])
    laws = sessions.person * config.periods + period
    drawn, log_normalisers = draw_works(tastes, catalogue, laws, rng.random(len(laws)))
    work = drawn[_origins(sessions.place, config.returns, rng)]
    plays = rng.geometric(1 - config.binge, len(sessions))
    # Films and series are equally likely to be played once, and so equally likely to close a log as a discovery.
    most = np.where(catalogue.is_series[work], MOST_EPISODES, MOST_SITTINGS)
    sessions = replace(sessions, work=work, plays=np.minimum(plays, most))
    return sessions, log_normalisers.reshape(-1, config.periods)


def mean_plays(config: SimulationConfig) -> float:
    """Expected number of plays of a session, where films and series are started in proportion to their number."""
    capped = {most: sum(config.binge**play for play in range(most)) for most in (MOST_SITTINGS, MOST_EPISODES)}
    return (config.films * capped[MOST_SITTINGS] + config.series * capped[MOST_EPISODES]) / config.works


def mean_sessions(config: SimulationConfig) -> float:
    """Expected number of sessions of an account, so that plays and noise together make `config.events`."""
    per_session = mean_plays(config) / (1 - config.noise_share)
    return max(config.events_per_account / per_session, _FEWEST_SESSIONS)


def mean_noise_records(config: SimulationConfig) -> float:
    """Expected number of noise records of a session."""
    return mean_plays(config) * config.noise_share / (1 - config.noise_share)


def _sittings(config: SimulationConfig, households: Households, rng: np.random.Generator) -> Sessions:
    """Sessions with their time, device and person; what is watched is still open."""
    accounts = int(households.account.max()) + 1
    spare = mean_sessions(config) - _FEWEST_SESSIONS
    counts = _FEWEST_SESSIONS + rng.poisson(rng.gamma(_SESSION_SPREAD, spare / _SESSION_SPREAD, accounts))
    account = np.repeat(np.arange(accounts), counts)
    place = np.arange(len(account)) - np.repeat(np.cumsum(counts) - counts, counts)
    start_s = _start_times(config, account, rng)
    person = households.draw_viewers(account, rng)
    undecided = np.zeros(len(account), dtype=np.int64)
    return Sessions(account, place, start_s, _devices(start_s, rng), person, undecided, undecided)


def _start_times(config: SimulationConfig, account: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A time for each session, increasing within each account."""
    days = rng.integers(0, config.days, len(account))
    hours = rng.choice(24, size=len(account), p=_HOUR_WEIGHTS / _HOUR_WEIGHTS.sum())
    start_s = days * _DAY_S + hours * _HOUR_S + rng.integers(0, _HOUR_S, len(account))
    span = (config.days + 1) * _DAY_S
    return np.sort(account * span + start_s) - account * span


def _devices(start_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    part_of_day = start_s % _DAY_S // (6 * _HOUR_S)
    limits = np.cumsum(_DEVICE_SHARES, axis=1)[part_of_day]
    return np.minimum((rng.random(len(start_s))[:, None] > limits).sum(axis=1), limits.shape[1] - 1)


def _origins(place: np.ndarray, returns: float, rng: np.random.Generator) -> np.ndarray:
    """For each session the one whose work it watches: itself, or for a return the earlier one it leads back to."""
    own = np.arange(len(place))
    is_return = (rng.random(len(place)) < returns) & (place > 0)
    back = np.minimum(rng.geometric(_BACK_TO_LAST, len(place)), np.maximum(place, 1))
    origin = np.where(is_return, own - back, own)
    while True:  # a return may lead to a return; each turn halves the way to its end
        further = origin[origin]
        if np.array_equal(further, origin):
            return origin
        origin = further
