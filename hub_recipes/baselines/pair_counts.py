"""How often pairs of items go together, and what each record of a history then says about a candidate."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from .decisions import Decisions

_RECORDS_AT_ONCE = 500_000  # with ten candidates each, 40 MB per array


@dataclass(frozen=True, eq=False)
class PairCounts:
    """Counts of ordered pairs of items.

    Args:
        counts (`sparse.csr_matrix` of shape `[items, items]`): How often the column's item goes with the row's;
            indices sorted, since rows are searched.
        rows (`np.ndarray` of shape `[items]`): How often an item is the first of a pair.
        columns (`np.ndarray` of shape `[items]`): How often it is the second.
        total (`float`): Popularity alone expects the pair `(i, j)` to be seen `rows[i] * columns[j] / total` times.
    """

    counts: sparse.csr_matrix
    rows: np.ndarray
    columns: np.ndarray
    total: float

    def lift(self, shrinkage: float) -> sparse.csr_matrix:
        """Each count, divided by what popularity alone expects.

        Args:
            shrinkage (`float`): Added to what is expected, so that a single meeting of two rare items is no wonder.

        Example:
            Of four users two chose tea, two chose milk, one of them both: as often as popularity expects.

            >>> both = sparse.csr_matrix([[0, 1], [1, 0]])
            >>> users = np.array([2, 2])
            >>> PairCounts(both, rows=users, columns=users, total=4).lift(shrinkage=0).toarray()
            array([[0., 1.],
                   [1., 0.]])
        """
        first, second = _pairs(self.counts)
        expected = self.rows[first] * self.columns[second] / self.total
        return _with_values(self.counts, self.counts.data / (expected + shrinkage))

    def cosine(self) -> sparse.csr_matrix:
        """Each count, divided by the geometric mean of how often its two items occur.

        Example:
            >>> both = sparse.csr_matrix([[0, 1], [1, 0]])
            >>> users = np.array([2, 2])
            >>> PairCounts(both, rows=users, columns=users, total=4).cosine().toarray()
            array([[0. , 0.5],
                   [0.5, 0. ]])
        """
        first, second = _pairs(self.counts)
        return _with_values(self.counts, self.counts.data / np.sqrt(self.rows[first] * self.columns[second]))


def _pairs(table: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each stored value."""
    return np.repeat(np.arange(table.shape[0], dtype=table.indices.dtype), np.diff(table.indptr)), table.indices


def _with_values(table: sparse.csr_matrix, values: np.ndarray) -> sparse.csr_matrix:
    return sparse.csr_matrix((values, table.indices, table.indptr), shape=table.shape)


def sum_over_history(table: sparse.csr_matrix, decisions: Decisions, weights: np.ndarray | None = None) -> np.ndarray:
    """Score each candidate by the sum of its pairs with the records of the history.

    Args:
        table (`sparse.csr_matrix` of shape `[items, items]`): The row is an item of the history, the column a
            candidate.
        decisions ([`Decisions`]): Candidates and histories.
        weights (`np.ndarray` of shape `[records]`, *optional*): How much each record counts; 1 by default.

    Returns:
        `np.ndarray` of shape `[examples, candidates]`: `-inf` where a candidate is unknown.
    """
    if decisions.shared is not None:
        return decisions.of_known(_sum_rows(table, decisions, weights))
    sums = decisions.sum_records(weights)
    scores = np.zeros(decisions.candidates.shape)
    for start in range(0, len(decisions.item), _RECORDS_AT_ONCE):
        records = slice(start, start + _RECORDS_AT_ONCE)
        scores += sums[:, records] @ _look_up(table, decisions, records)
    return decisions.of_known(scores)


def _sum_rows(table: sparse.csr_matrix, decisions: Decisions, weights: np.ndarray | None) -> np.ndarray:
    """Whole rows of the table, summed: where everything is a candidate, looking up pairs would take far longer."""
    weights = np.ones(len(decisions.item)) if weights is None else weights
    shape = (len(decisions.candidates), table.shape[0])
    by_item = sparse.csr_matrix((weights, (decisions.example, decisions.item)), shape=shape)
    return (by_item @ table).toarray()[:, decisions.shared]


def _look_up(table: sparse.csr_matrix, decisions: Decisions, records: slice) -> np.ndarray:
    """The table's value for each of these records and each candidate of its example."""
    candidates = np.maximum(decisions.candidates[decisions.example[records]], 0)
    items = np.repeat(decisions.item[records], candidates.shape[1])
    return np.asarray(table[items, candidates.ravel()]).reshape(candidates.shape)
