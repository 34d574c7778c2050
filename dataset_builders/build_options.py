"""Every choice of a build, with its default."""

from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any, Literal, get_args

from .input_error import InputError
from .schema import (
    MAX_CANDIDATES,
    MAX_HISTORY,
    MAX_SUCCESSORS,
    MIN_HISTORY,
    NUM_CANDIDATES,
    SUCCESSOR_FOLDS,
    SUCCESSOR_WINDOW,
)

SplitProtocol = Literal["leave_last_out", "temporal"]
TieOrder = Literal["random", "file"]
CandidateProtocol = Literal["popularity", "uniform", "impressions"]

FILTERS = ("min_user_interactions", "min_item_interactions", "min_value", "since", "until")
"""The options that leave out interactions; without one, every usable row of the log is in the build."""


@dataclass(frozen=True)
class BuildOptions:
    """How a log becomes examples. Two builds with equal options are byte-identical.

    Args:
        protocol (`str`, defaults to `"leave_last_out"`): Which interactions are targets; see `splits`.
        candidates (`str`, defaults to `"popularity"`): Where the other candidates come from; see `candidates`.
        num_candidates (`int`, defaults to 10): Candidates of an example, the target included; 2 to 100. Answers by
            label need at most 10, and with more there is no config `reasoner`.
        history (`int`, defaults to 100): Most records of a history; the newest are kept.
        min_history (`int`, *optional*): Least number of interactions before a target. By default 5, or as many fewer
            as it takes to fill all three splits of a log whose users are all too short for that; see
            `splits.fitting_history`.
        train_targets (`int`, defaults to 4): Training examples per user, drawn from all that qualify.
        cuts (`tuple[datetime, datetime]`, *optional*): End of training and end of validation, for `temporal`; by
            default the 80% and 90% quantiles of the log's times.
        successor_window (`int`, defaults to 10): How many of a user's next choices count as following one; see
            `successors`.
        successor_folds (`int`, defaults to 5): Into how many parts users fall, so that no training text reads counts
            of its own user; 2 to 100.
        num_successors (`int`, defaults to 50): Most successors of an item.
        ties (`str`, defaults to `"random"`): How records of a user at one instant are ordered: by a seeded draw, or as
            they stand in the file (`"file"`). Where a file lists items by id, its order gives targets away.
        min_user_interactions (`int`, *optional*): Leave out users who chose fewer different items; see `filters`.
        min_item_interactions (`int`, *optional*): Leave out items that fewer different users chose. Both are applied
            until they hold for all that remain; the same number for both is a k-core.
        min_value (`float`, *optional*): Leave out choices that were rated lower, or not at all.
        since (`datetime`, *optional*): Leave out what happened earlier.
        until (`datetime`, *optional*): Leave out what happened then or later.
        seed (`int`, defaults to 0): Decides ties in time, which training targets, candidates and their order.
        salt (`str`, *optional*): Secret mixed into the user hashes. Without one the seed is used, and whoever knows
            the raw ids can find a user again; set one before publishing a log of real people.

    Raises:
        InputError: An option is out of its range.
    """

    protocol: SplitProtocol = "leave_last_out"
    candidates: CandidateProtocol = "popularity"
    num_candidates: int = NUM_CANDIDATES
    history: int = MAX_HISTORY
    min_history: int | None = None
    train_targets: int = 4
    successor_window: int = SUCCESSOR_WINDOW
    successor_folds: int = SUCCESSOR_FOLDS
    num_successors: int = MAX_SUCCESSORS
    cuts: tuple[datetime, datetime] | None = None
    ties: TieOrder = "random"
    min_user_interactions: int | None = None
    min_item_interactions: int | None = None
    min_value: float | None = None
    since: datetime | None = None
    until: datetime | None = None
    seed: int = 0
    salt: str | None = None

    def __post_init__(self) -> None:
        self._require("protocol", self.protocol in get_args(SplitProtocol), get_args(SplitProtocol))
        self._require("ties", self.ties in get_args(TieOrder), get_args(TieOrder))
        self._require("candidates", self.candidates in get_args(CandidateProtocol), get_args(CandidateProtocol))
        self._require("num_candidates", 2 <= self.num_candidates <= MAX_CANDIDATES, f"2 to {MAX_CANDIDATES}")
        self._require("history", 1 <= self.history <= MAX_HISTORY, f"1 to {MAX_HISTORY}")
        self._require("min_history", self.least_history >= 1, "at least 1")
        self._require("train_targets", self.train_targets >= 0, "at least 0")
        self._require("successor_window", 1 <= self.successor_window <= 100, "1 to 100")
        self._require("successor_folds", 2 <= self.successor_folds <= 100, "2 to 100")
        self._require("num_successors", 1 <= self.num_successors <= 1000, "1 to 1000")
        self._require("seed", 0 <= self.seed < 2**31, "0 to 2**31 - 1")
        for name in ("min_user_interactions", "min_item_interactions"):
            number = getattr(self, name)
            self._require(name, number is None or number >= 1, "at least 1")
        self._require("min_value", self.min_value is None or isfinite(self.min_value), "a number")
        if self.since is not None and self.until is not None:
            self._require("until", self.since < self.until, f"a time after since ({_written(self.since)})")
        if self.cuts is not None:
            self._require("cuts", self.protocol == "temporal", "no cuts unless protocol is 'temporal'")
            self._require("cuts", self.cuts[0] < self.cuts[1], "an earlier and a later time")

    @property
    def filters(self) -> dict[str, Any]:
        """The filters that were asked for, by the name of their option; see `filters`.

        Example:
            >>> BuildOptions(min_value=4.0).filters
            {'min_value': 4.0}
        """
        return {name: getattr(self, name) for name in FILTERS if getattr(self, name) is not None}

    @property
    def least_history(self) -> int:
        """Least number of interactions before a target."""
        return MIN_HISTORY if self.min_history is None else self.min_history

    def _require(self, name: str, holds: bool, expected: object) -> None:
        if not holds:
            raise InputError(f"Build option {name!r} is {_written(getattr(self, name))}; expected {expected}.")


def _written(value: object) -> str:
    """A choice as the command line has it.

    Example:
        >>> _written("latest"), _written((datetime(2024, 5, 1), datetime(2024, 6, 1, 12)))
        ("'latest'", '2024-05-01,2024-06-01T12:00:00')
    """
    if isinstance(value, datetime):
        value = (value,)
    if not isinstance(value, tuple):
        return repr(value)
    return ",".join(cut.isoformat().removesuffix("+00:00").removesuffix("T00:00:00") for cut in value)
