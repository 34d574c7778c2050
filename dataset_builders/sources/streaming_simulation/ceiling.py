"""The best that any recommender can do on a simulated log, from its true tastes: the Bayes-optimal ranking.

A new work is started with the probability `p(c)`: the mixture of the laws of the account's people at that moment. The
other candidates are drawn one after another in proportion to weights `w`, from the works the account never touched.
`candidate_posterior` is the exact posterior over which of the candidates was started.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from datasets import Dataset
from scipy.special import logsumexp, softmax

from ...dataset_folder.built_dataset import BuiltDataset
from ...input_error import InputError
from ...schema import (
    CANDIDATES,
    EVENT,
    IS_DISCOVERY,
    ITEM_ID,
    NOISE_EVENTS,
    TARGET_INDEX,
    TIMESTAMP,
    USER,
)

_NODES, _NODE_WEIGHTS = np.polynomial.laguerre.laggauss(32)


def ceiling_scores(dataset: BuiltDataset, examples: Dataset) -> np.ndarray:
    """Probability of each candidate to be the target, given the true tastes and the account's past.

    Ranking by it gives the highest Discovery Recall@1 that can be expected: the mean of its maxima.
    A candidate that the account has touched before can only be the target, because no other candidate was touched; so
    examples that are no discovery are always solved.

    The law is exact for the test split of `leave_last_out`, whose targets are genuine plays. Elsewhere a few targets
    are accidental plays, which follow popularity and not the taste.

    Args:
        dataset ([`BuiltDataset`]): A built streaming simulation.
        examples (`datasets.Dataset`): Rows of its `examples`.

    Returns:
        `np.ndarray` of shape `[examples, candidates]`: Each row sums to 1.

    Raises:
        InputError: The dataset knows no truth, or its candidates were not drawn by a known law.

    Example:
        >>> dataset = BuiltDataset.open("data/streaming-simulation")  # doctest: +SKIP
        >>> scores = ceiling_scores(dataset, dataset.examples("test"))  # doctest: +SKIP
    """
    item_ids, moments = _candidate_ids(examples), pd.to_datetime(examples[TIMESTAMP][:], utc=True)
    users = examples[USER][:]
    pool = CandidatePool.of(dataset)
    law = TargetLaw.of(dataset).log_probabilities(users, moments, item_ids)
    posterior = candidate_posterior(law, pool.weights_of(item_ids), pool.remaining(users, moments, item_ids))
    repeated = np.flatnonzero(~np.asarray(examples[IS_DISCOVERY]))
    posterior[repeated] = np.eye(item_ids.shape[1])[np.asarray(examples[TARGET_INDEX])[repeated]]
    return posterior


def candidate_posterior(log_law: np.ndarray, weights: np.ndarray, remaining: np.ndarray) -> np.ndarray:
    """Which candidate is the target, given that the others were drawn beside it.

    Drawing without replacement in proportion to weights is a race of exponential clocks with these rates. The others
    are the set `S` when all their clocks ring before any clock outside, whose rates sum to `R`:

        P(c is the target | set) ~ p(c) * integral of R exp(-R t) * prod over s in S of (1 - exp(-w_s t)) dt

    `R` is the same for every `c`, because target and others together are the whole set. For small weights this is
    `p(c) / w_c`.

    Args:
        log_law (`np.ndarray` of shape `[examples, candidates]`): `log p(c)`, up to a constant per example.
        weights (`np.ndarray` of shape `[examples, candidates]`): `w_c`; 0 where an item can only be there as target.
        remaining (`np.ndarray` of shape `[examples]`): `R`, the total weight of the works that could have been drawn
            and were not; above 0.

    Returns:
        `np.ndarray` of shape `[examples, candidates]`: Each row sums to 1.

    Example:
        Two works of a large catalogue, the first twice as popular and as much to the user's taste: nothing to choose.

        >>> candidate_posterior(np.log([[0.2, 0.1]]), np.array([[2.0, 1.0]]), np.array([1e9])).round(3)
        array([[0.5, 0.5]])
    """
    relative = weights / remaining[:, None]
    with np.errstate(divide="ignore"):  # an item of weight 0 is never drawn: the logarithm of 0 is meant
        log_rung = np.log(-np.expm1(-relative[:, :, None] * _NODES))
    log_drawn = np.stack(
        [
            logsumexp(np.delete(log_rung, target, axis=1).sum(axis=1), b=_NODE_WEIGHTS, axis=1)
            for target in range(weights.shape[1])
        ],
        axis=1,
    )
    return softmax(log_law + log_drawn, axis=1)


def tastes_at(tastes: pd.DataFrame, users: Sequence[str], moments: pd.DatetimeIndex) -> pd.DataFrame:
    """The tastes of the people on each account at a moment.

    Args:
        tastes (`pandas.DataFrame`): The truth table `tastes`.
        users (`list[str]` of length `examples`): The opaque users.
        moments (`pandas.DatetimeIndex` of length `examples`): One moment for each.

    Returns:
        `pandas.DataFrame`: The rows of `tastes` that hold then, one or two per example, and `example`: its place.
    """
    starts = pd.DatetimeIndex(tastes["since"].unique()).sort_values()
    period = np.maximum(starts.searchsorted(moments, side="right") - 1, 0)
    asked = pd.DataFrame({USER: users, "period": period, "example": range(len(users))})
    return asked.merge(tastes.astype({"period": "int64"}), on=[USER, "period"])


@dataclass(frozen=True)
class TargetLaw:
    """What each account starts at each moment.

    Args:
        tastes (`pandas.DataFrame`): The truth table `tastes`.
        tags (`dict[str, np.ndarray]`): Per item, which tags it has: one flag per tag.
        log_popularity (`pandas.Series`): By item id.
    """

    tastes: pd.DataFrame
    tags: dict[str, np.ndarray]
    log_popularity: pd.Series

    @classmethod
    def of(cls, dataset: BuiltDataset) -> "TargetLaw":
        """Read the law of a built simulation."""
        names = _truth(dataset, "tags").sort_values("position")["tag"].to_numpy()
        tags = {item_id: np.isin(names, item["tags"]) for item_id, item in dataset.items().items()}
        return cls(_truth(dataset, "tastes"), tags, _truth(dataset, "works").set_index(ITEM_ID)["log_popularity"])

    def log_probabilities(self, users: Sequence[str], moments: pd.DatetimeIndex, item_ids: np.ndarray) -> np.ndarray:
        """`log p(c)` for each example and candidate; one law per person, mixed by their shares of the sessions.

        Args:
            users (`list[str]` of length `examples`): The opaque users.
            moments (`pandas.DatetimeIndex` of length `examples`): When each target was started.
            item_ids (`np.ndarray` of shape `[examples, candidates]`): The candidates.
        """
        people = tastes_at(self.tastes, users, moments)
        rows = item_ids[people["example"]]
        has_tag = np.array([[self.tags[item_id] for item_id in row] for row in rows])
        taste = np.einsum("pct,pt->pc", has_tag, np.stack(list(people["taste"])))
        log_law = self.log_popularity.loc[rows.ravel()].to_numpy().reshape(rows.shape) + taste
        shares = (people["share"] * np.exp(-people["log_normaliser"])).to_numpy()
        mixed = np.zeros(item_ids.shape)
        np.add.at(mixed, people["example"].to_numpy(), shares[:, None] * np.exp(log_law))
        return np.log(mixed)


@dataclass(frozen=True)
class CandidatePool:
    """What the other candidates of an example were drawn from.

    Args:
        weights (`pandas.Series`): By item id; see `logs2lang.dataset_builders.candidates.candidate_weights`.
        first_seen (`pandas.Series`): By item id, when the item came into the log.
        touched (`pandas.DataFrame`): `user` and `item_id` of every work that an account ever touched, each once.
    """

    weights: pd.Series
    first_seen: pd.Series
    touched: pd.DataFrame

    @classmethod
    def of(cls, dataset: BuiltDataset) -> "CandidatePool":
        """Read the pool of a built simulation."""
        records = _truth(dataset, "records")
        first_seen = records.groupby(ITEM_ID)[TIMESTAMP].min()
        return cls(_weights(dataset, first_seen), first_seen, records[[USER, ITEM_ID]].drop_duplicates())

    def weights_of(self, item_ids: np.ndarray) -> np.ndarray:
        """The weight of each candidate; 0 where the item was never chosen in training."""
        return self.weights.reindex(item_ids.ravel()).fillna(0).to_numpy().reshape(item_ids.shape)

    def remaining(self, users: Sequence[str], moments: pd.DatetimeIndex, item_ids: np.ndarray) -> np.ndarray:
        """Total weight of the works that were in the log at that moment, untouched, and not drawn."""
        used = pd.DataFrame({USER: np.repeat(users, item_ids.shape[1]), ITEM_ID: item_ids.ravel()})
        used["example"] = np.repeat(np.arange(len(users)), item_ids.shape[1])
        touched = pd.DataFrame({USER: users, "example": np.arange(len(users))}).merge(self.touched, on=USER)
        gone = pd.concat([used, touched])[["example", ITEM_ID]].drop_duplicates()
        arrived = self.first_seen.loc[gone[ITEM_ID]].to_numpy() <= moments[gone["example"]].to_numpy()
        gone_weights = self.weights.reindex(gone[ITEM_ID]).fillna(0).to_numpy() * arrived
        gone_weight = np.bincount(gone["example"], gone_weights, minlength=len(users))
        # A catalogue that is used up leaves nothing; one draw is then the least that the race can be run against.
        return np.maximum(self._available(moments) - gone_weight, 1)

    def _available(self, moments: pd.DatetimeIndex) -> np.ndarray:
        """Total weight of the works that are in the log at each moment."""
        arrivals = self.first_seen.sort_values()
        so_far = np.concatenate([[0], np.cumsum(self.weights.reindex(arrivals.index).fillna(0).to_numpy())])
        return so_far[arrivals.to_numpy().searchsorted(moments.to_numpy(), side="right")]


def _weights(dataset: BuiltDataset, first_seen: pd.Series) -> pd.Series:
    protocol = dataset.report["options"]["candidates"]
    if protocol == "uniform":
        return pd.Series(1.0, index=first_seen.index)
    if protocol != "popularity":
        raise InputError(
            f"The ceiling is known for candidates drawn by 'popularity' or 'uniform'; this dataset has {protocol!r}."
        )
    training = dataset.training_interactions()
    chosen = training.loc[~training[EVENT].isin(NOISE_EVENTS), [USER, ITEM_ID]].drop_duplicates()
    return chosen.groupby(ITEM_ID).size()


def _candidate_ids(examples: Dataset) -> np.ndarray:
    return np.array([[candidate[ITEM_ID] for candidate in row] for row in examples[CANDIDATES]])


def _truth(dataset: BuiltDataset, name: str) -> pd.DataFrame:
    table = dataset.truth(name)
    if table is None:
        raise InputError(
            f"{dataset.name} has no true {name}, so its ceiling is not known. Only the streaming simulation has one; "
            "leave out the row 'ceiling'."
        )
    return table
