"""What scikit-learn fits is what our arrays decide, without scikit-learn."""

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from logs2lang.training.distillation import fitting
from logs2lang.training.distillation.fitting import fit_linear, fit_trees, with_price


def world(made: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four hundred records with three features, the last of them constant; what is decided follows the first two."""
    draws = np.random.default_rng(seed)
    features = draws.normal(size=(400, 3)).astype(np.float32)
    features[:, 2] = 7
    scores = features[:, :1] * np.arange(len(made)) + features[:, 1:2] * draws.normal(size=len(made))
    return features, np.array(made)[scores.argmax(axis=1)]


each_choice = pytest.mark.parametrize("made", [[0, 1, 2, 3], [0, 3], [1, 2, 3]], ids=str)


@each_choice
def test_the_logistic_regression_decides_as_scikit_learns(made):
    features, decided = world(made)
    model = fit_linear(features, decided, 4)
    model.check(3, 4)
    theirs = LogisticRegression(max_iter=2_000).fit((features - model.means) / model.deviations, decided)
    assert (model.scores(features).argmax(axis=1) == theirs.predict((features - model.means) / model.deviations)).all()
    assert (model.scores(features).argmax(axis=1) == decided).mean() > 0.9
    assert not model.weights[:, 2].any()


@each_choice
def test_the_trees_decide_as_scikit_learns(made):
    features, decided = world(made)
    model = fit_trees(features, decided, 4, seed=3)
    model.check(3, 4)
    theirs = GradientBoostingClassifier(
        init="zero",
        n_estimators=fitting.STAGES,
        learning_rate=fitting.LEARNING_RATE,
        max_depth=fitting.TREE_DEPTH,
        subsample=fitting.SUBSAMPLE,
        random_state=3,
    ).fit(features, decided)
    unseen = np.concatenate([features, world(made, seed=9)[0]])
    expected = theirs.decision_function(unseen)
    scores = model.scores(unseen)
    ours = scores[:, made[1]] - scores[:, made[0]] if len(made) == 2 else scores[:, made]
    assert np.allclose(ours, expected, atol=1e-4)
    assert (model.scores(unseen).argmax(axis=1) == theirs.predict(unseen)).all()


def test_values_that_stand_on_a_threshold_go_the_same_way():
    """Thresholds lie halfway between two values; rounded to single precision this one would move onto the larger."""
    lower = np.nextafter(np.float32(4), np.float32(5))
    features = np.array([[lower], [np.nextafter(lower, np.float32(5))]] * 20, np.float32)
    decided = np.array([0, 1] * 20)
    model = fit_trees(features, decided, 2)
    assert (model.scores(features).argmax(axis=1) == decided).all()


def test_a_teacher_that_always_decides_alike_is_followed():
    features, _ = world([0, 1])
    decided = np.full(len(features), 2)
    assert fit_trees(features, decided, 4) is None
    assert (fit_linear(features, decided, 4).scores(features).argmax(axis=1) == 2).all()


@pytest.mark.parametrize("fit", [fit_linear, fit_trees])
def test_a_price_moves_decisions_towards_those_that_write_less(fit):
    features, decided = world([0, 1, 2, 3])
    model = fit(features, decided, 4)
    means = [with_price(model, price).scores(features).argmax(axis=1).mean() for price in (0, 1, 100)]
    assert means[0] > means[1] > means[2] == 0
