"""Log records: the units of each session laid out in time, one after another."""

from dataclasses import dataclass, fields

import numpy as np

from .catalogue import Catalogue
from .noise import (
    GENUINE,
    KINDS,
    LOOP,
    Units,
    draw_noise,
    noise_durations,
)
from .sessions import Sessions, mean_noise_records
from .simulation_config import SimulationConfig

_AFTER_NOISE = 2.0  # noise is ordered by draws below 1
_BETWEEN_SESSIONS_S = 600
# Shortest and longest pause after a record, in seconds.
_AFTER_EPISODE_S, _AFTER_SITTING_S, _AFTER_NOISE_S, _AFTER_LOOP_S = (5, 20), (300, 5400), (3, 60), (1, 3)
_LENGTH_VARIATION = (0.9, 1.02)  # credits are skipped, scenes seen twice
_SITTING_JITTER = 0.3


@dataclass(frozen=True)
class Records:
    """Records of a group of accounts, in order of account and time. All arrays have shape `[records]`.

    Args:
        session (`np.ndarray`): Place of the session.
        kind (`np.ndarray`): Place in `KINDS`.
        work (`np.ndarray`): Number of the work.
        time_s (`np.ndarray`): Seconds since the log began; different for all records of an account.
        duration_s (`np.ndarray`): Whole seconds.
    """

    session: np.ndarray
    kind: np.ndarray
    work: np.ndarray
    time_s: np.ndarray
    duration_s: np.ndarray

    def __len__(self) -> int:
        return len(self.session)


def draw_records(
    config: SimulationConfig, catalogue: Catalogue, sessions: Sessions, rng: np.random.Generator
) -> Records:
    """Lay out every session as records: its noise first, then its plays.

    Args:
        config ([`SimulationConfig`]): `noise_share` is used.
        catalogue ([`Catalogue`]): For lengths.
        sessions ([`Sessions`]): What is watched.
        rng (`np.random.Generator`): Where chance comes from.
    """
    noise = draw_noise(len(sessions), mean_noise_records(config), catalogue, rng)
    units = _in_order(_genuine_units(sessions), noise)
    unit = np.repeat(np.arange(len(units)), units.records)
    place = np.arange(len(unit)) - np.repeat(np.cumsum(units.records) - units.records, units.records)
    kind, work, session = units.kind[unit], units.work[unit], units.session[unit]
    duration_s = _durations(catalogue, kind, work, place, units.records[unit], rng)
    pause_s = _pauses(kind, catalogue.is_series[work], rng)
    return Records(session, kind, work, _times(sessions, session, duration_s + pause_s), duration_s)


def number_episodes(records: Records, sessions: Sessions, catalogue: Catalogue) -> np.ndarray:
    """Which episode of its series each genuine record plays, counted through all seasons from 0.

    An account watches a series in order, and starts again after the last episode.

    Returns:
        `np.ndarray` of shape `[records]`: The number, or -1 for a film and for noise.
    """
    episode = np.full(len(records), -1)
    rows = np.flatnonzero((records.kind == GENUINE) & catalogue.is_series[records.work])
    viewing = sessions.account[records.session[rows]] * len(catalogue.titles) + records.work[rows]
    order = np.argsort(viewing, kind="stable")
    _, starts, counts = np.unique(viewing[order], return_index=True, return_counts=True)
    seen_before = np.arange(len(rows)) - np.repeat(starts, counts)
    work = records.work[rows[order]]
    episode[rows[order]] = seen_before % (catalogue.seasons[work] * catalogue.episodes[work])
    return episode


def _genuine_units(sessions: Sessions) -> Units:
    own = np.arange(len(sessions))
    return Units(own, np.full(len(own), _AFTER_NOISE), np.full(len(own), GENUINE), sessions.work, sessions.plays)


def _in_order(one: Units, other: Units) -> Units:
    names = [field.name for field in fields(Units)]
    both = Units(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in names))
    order = np.lexsort((both.order, both.session))
    return Units(*(getattr(both, name)[order] for name in names))


def _durations(
    catalogue: Catalogue,
    kind: np.ndarray,
    work: np.ndarray,
    place: np.ndarray,
    records: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    length_s = catalogue.length_s[work]
    part = np.where(catalogue.is_series[work], 1, _sitting_shares(place, records, rng))
    played_s = length_s * part * rng.uniform(*_LENGTH_VARIATION, len(work))
    return np.where(kind == GENUINE, played_s.astype(np.int64), noise_durations(kind, length_s, rng))


def _sitting_shares(place: np.ndarray, records: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which part of a film each of its sittings shows; the parts of one viewing sum to 1."""
    is_last = place == records - 1
    jitter = rng.uniform(-_SITTING_JITTER, _SITTING_JITTER, len(place))
    ends = np.where(is_last, 1, (place + 1 + jitter) / records)
    begins = np.where(place == 0, 0, np.roll(ends, 1))
    return ends - begins


def _pauses(kind: np.ndarray, is_series: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    bounds = np.full((len(KINDS), 2), _AFTER_NOISE_S)
    bounds[KINDS.index(LOOP)] = _AFTER_LOOP_S
    bounds[GENUINE] = _AFTER_EPISODE_S
    shortest, longest = bounds[kind].T
    is_sitting = (kind == GENUINE) & ~is_series
    shortest, longest = (
        np.where(is_sitting, bound, other) for bound, other in zip(_AFTER_SITTING_S, (shortest, longest), strict=True)
    )
    return rng.integers(shortest, longest + 1)


def _times(sessions: Sessions, session: np.ndarray, busy_s: np.ndarray) -> np.ndarray:
    """When each record begins: records follow one another, and a session waits for the one before to end."""
    elapsed = np.cumsum(busy_s) - busy_s
    first = np.searchsorted(session, np.arange(len(sessions)))
    session_s = np.add.reduceat(busy_s, first) + _BETWEEN_SESSIONS_S
    # A session starts as planned or right after the one before: start + (time needed before) never decreases.
    needed = np.cumsum(session_s) - session_s
    account_offset = sessions.account * (int(sessions.start_s.max()) + int(session_s.sum()) + 1)
    start_s = np.maximum.accumulate(sessions.start_s - needed + account_offset) - account_offset + needed
    return (start_s - elapsed[first])[session] + elapsed
