import pandas as pd
import pytest

from logs2lang.evaluation.catalogue_popularity import CataloguePopularity
from logs2lang.evaluation.example_groups import group_columns, group_measures


def judged(n: int) -> pd.DataFrame:
    """Every third example is a hit, the others have the target second."""
    ranks = [1 if place % 3 == 0 else 2 for place in range(n)]
    ranked = [["t", "x"] if rank == 1 else ["x", "t"] for rank in ranks]
    shared = {"target": "t", "is_discovery": True, "num_candidates": 2}
    return pd.DataFrame({"ranked": ranked, "target_rank": ranks, **shared})


def test_examples_fall_into_groups_by_history_activity_and_popularity():
    interactions = pd.DataFrame({"user": ["busy"] * 20 + ["rare"], "item_id": ["hit"] * 20 + ["other"]})
    popularity = CataloguePopularity(pd.Series({"hit": 20, "other": 1}), num_users=2, num_items=3)
    examples = {
        "history": [[{}] * 9, [{}] * 50, [{}] * 10],
        "user": ["busy", "rare", "unknown in training"],
        "target": ["hit", "other", "never chosen"],
    }
    groups = group_columns(examples, interactions, popularity)
    assert groups["history"].tolist() == ["under_10", "50_and_more", "10_to_19"]
    assert groups["activity"].tolist() == ["20_to_49", "under_10", "under_10"]
    assert groups["popularity"].tolist() == ["head", "tail", "cold"]


@pytest.mark.parametrize(("n", "is_told"), [(29, False), (30, True)])
def test_a_group_of_fewer_than_thirty_has_its_number_of_examples_alone(n, is_told):
    groups = pd.DataFrame({kind: [name] * n for kind, name in {"history": "under_10", "activity": "under_10"}.items()})
    groups["popularity"] = "head"
    measured = group_measures(judged(n), groups, [1, 2])["popularity"]
    assert list(measured) == ["head"]
    assert measured["head"]["n"] == n
    assert ("recall@1" in measured["head"]) is is_told
    if is_told:
        assert measured["head"]["recall@1"] == pytest.approx(1 / 3)
        assert measured["head"]["ndcg@2"] > 1 / 3
