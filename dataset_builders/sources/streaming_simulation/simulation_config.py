"""Every choice of a simulation, with its default."""

from dataclasses import dataclass
from datetime import datetime, timezone

from ...input_error import InputError

PERIOD_DAYS = 30
"""A taste stays the same for so many days, then it drifts."""

_SHARPEST = 5.2
_UNIT_INTERVAL = "0 to 1"


@dataclass(frozen=True)
class SimulationConfig:
    """What the simulated service is like. The defaults give about 100,000 events for development.

    Args:
        events (`int`, defaults to 100,000): Approximate number of log records; with 100 accounts or more the log
            comes within a few percent of it.
        accounts (`int`, defaults to 1,000): User ids of the log. One or two people use each.
        films (`int`, defaults to 700): Films in the catalogue.
        series (`int`, defaults to 500): Series in the catalogue, each with seasons and episodes.
        difficulty (`float`, defaults to 0.5): 0 to 1. At 1 everyone watches what is popular, so that no recommender
            can beat chance; at 0 taste almost determines what is watched.
        noise_share (`float`, defaults to 0.25): Share of the records that say nothing about taste, 0 to 0.9.
        binge (`float`, defaults to 0.45): Probability, after each play, that the same work is continued: the next
            episode of a series, the rest of an interrupted film. 0 to 0.9.
        returns (`float`, defaults to 0.25): Share of the sessions that return to a work of an earlier session: the
            next episode of the series, or the film again. 0 to 0.95.
        households (`float`, defaults to 0.3): Share of the accounts used by two people, 0 to 1.
        drift (`float`, defaults to 0.15): How much of a taste is new after 30 days; 0 is nothing, 1 is everything.
        days (`int`, defaults to 180): Length of the log; an account with more sessions than fit continues after it.
        start (`datetime`, defaults to 2025-01-01 UTC): First moment of the log.
        seed (`int`, defaults to 0): Decides every draw.

    Raises:
        InputError: A choice is out of its range.

    Example:
        >>> SimulationConfig(events=10_000_000, accounts=100_000).events_per_account
        100.0
    """

    events: int = 100_000
    accounts: int = 1_000
    films: int = 700
    series: int = 500
    difficulty: float = 0.5
    noise_share: float = 0.25
    binge: float = 0.45
    returns: float = 0.25
    households: float = 0.3
    drift: float = 0.15
    days: int = 180
    start: datetime = datetime(2025, 1, 1, tzinfo=timezone.utc)
    seed: int = 0

    def __post_init__(self) -> None:
        self._require("accounts", 1 <= self.accounts <= 10_000_000, "1 to 10,000,000")
        self._require("events", 5 <= self.events_per_account <= 10_000, "5 to 10,000 events per account")
        self._require("films", 1 <= self.films <= 10_000, "1 to 10,000")
        self._require("series", 1 <= self.series <= 10_000, "1 to 10,000")
        self._require("difficulty", 0 <= self.difficulty <= 1, _UNIT_INTERVAL)
        self._require("noise_share", 0 <= self.noise_share <= 0.9, "0 to 0.9")
        self._require("binge", 0 <= self.binge <= 0.9, "0 to 0.9")
        self._require("returns", 0 <= self.returns <= 0.95, "0 to 0.95")
        self._require("households", 0 <= self.households <= 1, _UNIT_INTERVAL)
        self._require("drift", 0 <= self.drift <= 1, _UNIT_INTERVAL)
        self._require("days", 1 <= self.days <= 3_650, "1 to 3,650")
        self._require("start", self.start.tzinfo is not None, "a time with its time zone")
        self._require("seed", 0 <= self.seed < 2**31, "0 to 2**31 - 1")

    def _require(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise InputError(f"Simulation choice {name!r} is {getattr(self, name)!r}; expected {expected}.")

    @property
    def works(self) -> int:
        """Films and series together: the items of the log."""
        return self.films + self.series

    @property
    def events_per_account(self) -> float:
        """Mean number of records of an account."""
        return self.events / self.accounts

    @property
    def periods(self) -> int:
        """In how many stretches of 30 days, each with its own taste, the log lies."""
        return -(-self.days // PERIOD_DAYS)

    @property
    def sharpness(self) -> float:
        """Standard deviation, over works and people, of the taste's part in the log-odds of watching a work."""
        return _SHARPEST * (1 - self.difficulty)
