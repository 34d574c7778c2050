"""From the most probable next tokens, as a chat server lists them, to the probabilities of the labels."""

from collections.abc import Mapping

import numpy as np

from logs2lang.dataset_builders.schema import CANDIDATE_LABELS

_LEAST = 1e-9  # where rounding leaves nothing: the logarithm of a probability must stay finite


def label_probabilities(top_log_probs: Mapping[str, float], num_candidates: int) -> np.ndarray | None:
    """The probability of each label among the labels shown.

    A server lists its twenty most probable tokens at most. A label that is not among them is less probable than the
    last of those, and has no more than an even share of what is left of 1.

    Args:
        top_log_probs (`dict[str, float]`): Natural logarithms by token; `"A"` and `" A"` are the same label.
        num_candidates (`int`): How many labels were shown, from A on.

    Returns:
        `np.ndarray` of shape `(num_candidates,)`, summing to 1; `None` where no label is among the tokens.

    Example:
        >>> from math import log
        >>> shares = label_probabilities({"A": log(0.5), " A": log(0.1), "B": log(0.2), "The": log(0.1)}, 3)
        >>> [round(float(share), 3) for share in shares * 0.9]  # C takes the 0.1 that is left
        [0.6, 0.2, 0.1]
    """
    shown = CANDIDATE_LABELS[:num_candidates]
    found = dict.fromkeys(shown, 0.0)
    for token, log_prob in top_log_probs.items():
        if token.strip() in found:
            found[token.strip()] += float(np.exp(log_prob))
    probabilities = np.array(list(found.values()))
    unseen = probabilities == 0
    if unseen.all():
        return None
    listed = np.exp(list(top_log_probs.values()))
    if unseen.any():
        share = min((1 - listed.sum()) / unseen.sum(), listed.min())
        probabilities[unseen] = max(share, _LEAST)
    return probabilities / probabilities.sum()
