"""Noise: records that say nothing about taste. Their works are drawn by popularity alone, whoever is watching.

Trailers, autoplayed previews and abandoned starts show in the column `event`. Accidental plays and background loops
are logged as plain plays: seconds long the first, the same length to the second again and again the others.
"""

from dataclasses import dataclass

import numpy as np

from ...schema import NOISE_EVENTS
from .catalogue import Catalogue

PLAY = "play"
TRAILER, AUTOPLAY, ABANDON = NOISE_EVENTS[:3]
ACCIDENTAL, LOOP = "accidental", "background_loop"

GENUINE = 0
KINDS = (None, TRAILER, AUTOPLAY, ABANDON, ACCIDENTAL, LOOP)
"""Why a record is noise; `None` for a genuine one. Kinds are stored as their place here."""
EVENTS = (PLAY, TRAILER, AUTOPLAY, ABANDON, PLAY, PLAY)
"""What the log says, by kind."""

RECORD_SHARES = {TRAILER: 0.25, AUTOPLAY: 0.25, ABANDON: 0.15, ACCIDENTAL: 0.2, LOOP: 0.15}
"""Share of each kind among the noise records."""
LOOP_LENGTHS = (3, 6)
"""Fewest and most plays of a loop."""

_SECONDS = {TRAILER: (30, 150), AUTOPLAY: (5, 40), ABANDON: (60, 600), ACCIDENTAL: (2, 25)}


@dataclass(frozen=True)
class Units:
    """Runs of records that belong together: one binge, one loop, one trailer. All arrays have shape `[units]`.

    Args:
        session (`np.ndarray`): Place of the session.
        order (`np.ndarray`): Units of a session happen in this order.
        kind (`np.ndarray`): Place in `KINDS`.
        work (`np.ndarray`): Number of the work.
        records (`np.ndarray`): How many records.
    """

    session: np.ndarray
    order: np.ndarray
    kind: np.ndarray
    work: np.ndarray
    records: np.ndarray

    def __len__(self) -> int:
        return len(self.session)


def mean_noise_units(mean_records: float) -> dict[str, float]:
    """Expected number of units of each kind, for an expected number of noise records."""
    records = {kind: mean_records * share for kind, share in RECORD_SHARES.items()}
    return {**records, LOOP: records[LOOP] / (sum(LOOP_LENGTHS) / 2)}


def draw_noise(sessions: int, mean_records: float, catalogue: Catalogue, rng: np.random.Generator) -> Units:
    """Draw the noise that precedes the play of each session.

    All noise comes before the session's own work, so that an account's last play is always a genuine one.

    Args:
        sessions (`int`): How many sessions.
        mean_records (`float`): Expected number of noise records per session.
        catalogue ([`Catalogue`]): For the popularities.
        rng (`np.random.Generator`): Where chance comes from.
    """
    counts = {kind: rng.poisson(mean, sessions) for kind, mean in mean_noise_units(mean_records).items()}
    session = np.concatenate([np.repeat(np.arange(sessions), count) for count in counts.values()])
    kind = np.repeat([KINDS.index(kind) for kind in counts], [count.sum() for count in counts.values()])
    limits = np.cumsum(np.exp(catalogue.log_popularity))
    work = np.searchsorted(limits / limits[-1], rng.random(len(session)), side="right")
    shortest, longest = LOOP_LENGTHS
    loops = rng.integers(shortest, longest + 1, len(session))
    return Units(session, rng.random(len(session)), kind, work, np.where(kind == KINDS.index(LOOP), loops, 1))


def noise_durations(kind: np.ndarray, length_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Seconds of each noise record.

    Args:
        kind (`np.ndarray` of shape `[records]`): Places in `KINDS`, none of them genuine.
        length_s (`np.ndarray` of shape `[records]`): Full length of the record's work; a loop always plays all of it.
        rng (`np.random.Generator`): Where chance comes from.
    """
    shortest, longest = np.array([_SECONDS.get(name, (0, 0)) for name in KINDS]).T  # type: ignore[arg-type]
    seconds = rng.integers(shortest[kind], longest[kind] + 1)
    return np.where(kind == KINDS.index(LOOP), length_s, seconds)
