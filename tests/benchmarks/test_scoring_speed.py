"""Scoring ten candidates against the rate of a plain matrix product, and against writing the answer and parsing it."""

import random
from time import perf_counter

import pytest
import torch

from dataset_builders.prompts import to_reasoner_prompt
from dataset_builders.schema import CANDIDATE_LABELS
from hub_recipes.language_models import load_language_model
from hub_recipes.reasoners.answer import parse_answer
from hub_recipes.reasoners.local import MAX_ANSWER_TOKENS, LocalReasoner

EXAMPLES = 24
LEAST_SHARE_OF_MATMUL = 0.75
LEAST_SPEEDUP = 5.0
WRITTEN = 6
"""Examples that are also answered by writing, which takes long."""


@pytest.fixture(scope="module")
def reasoner() -> LocalReasoner:
    return LocalReasoner(load_language_model(device="cpu"))


@pytest.fixture(scope="module")
def questions() -> tuple[list[str], list[list[dict]]]:
    """Contexts of 5 to 25 records, and ten candidates each."""
    rng = random.Random(0)
    contexts = [
        "\n".join(
            f"2024-05-{day:02} 20:15 | play | {rng.getrandbits(64):016x} | Film {day}" for day in range(1, records)
        )
        for records in (rng.randint(6, 26) for _ in range(EXAMPLES))
    ]
    film = {"title": "The invented film", "year": 1999, "tags": ["Drama", "Crime"]}
    return contexts, [[{**film, "item_id": label} for label in CANDIDATE_LABELS] for _ in contexts]


def matmul_rate() -> float:
    """Floating-point operations per second of the float32 products a model of this size is made of."""
    tokens, hidden, inner = 2_048, 576, 1_536
    left, right = torch.randn(tokens, hidden), torch.randn(hidden, inner)
    left @ right
    best = min(_seconds(lambda: [left @ right for _ in range(20)]) for _ in range(3))
    return 20 * 2 * tokens * hidden * inner / best


def _seconds(work) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def scoring_flops(model, lengths: list[int]) -> float:
    """Multiplications and additions of a forward pass over the real tokens, with the head on the last one."""
    config = model.config
    head = config.vocab_size * config.hidden_size
    body = sum(weights.numel() for weights in model.get_decoder().layers.parameters())
    width = config.num_attention_heads * config.head_dim
    # Causal attention: a token looks at half of the sequence on average, once for scores and once for values.
    attention = sum(2 * width * length * length / 2 for length in lengths) * config.num_hidden_layers
    return 2 * (body * sum(lengths) + head * len(lengths) + attention)


def test_scoring_uses_most_of_the_processor(reasoner, questions):
    contexts, candidates = questions
    model = reasoner.language_model
    lengths = [len(model.prompt_ids(to_reasoner_prompt(*question))) for question in zip(*questions, strict=True)]
    reasoner.rank(contexts[:2], candidates[:2])
    rates, shares = [], []
    for _ in range(3):  # side by side, because the machine may be busy with other things
        plain = matmul_rate()
        rates.append(scoring_flops(model.model, lengths) / _seconds(lambda: reasoner.rank(contexts, candidates)))
        shares.append(rates[-1] / plain)
    print(f"\nscoring: {max(rates) / 1e9:.0f} GFLOP/s, {max(shares):.0%} of a float32 matrix product")
    assert max(shares) > LEAST_SHARE_OF_MATMUL


def test_scoring_beats_writing_and_parsing(reasoner, questions):
    """Both must read the prompt, and a small model answers in few words; so the gain is less than one might hope."""
    contexts, candidates = (part[:WRITTEN] for part in questions)
    scoring = _seconds(lambda: reasoner.rank(contexts, candidates))
    writing = _seconds(lambda: write_and_parse(reasoner, contexts, candidates))
    speedup = writing / scoring
    print(f"\nscoring: {len(contexts) / scoring:.2f} examples/s, {speedup:.1f} times as many as by writing")
    assert speedup > LEAST_SPEEDUP


def write_and_parse(reasoner: LocalReasoner, contexts, candidates) -> None:
    """What a script would do: prompt by prompt, `model.generate` and the parser."""
    model = reasoner.language_model
    for context, shown in zip(contexts, candidates, strict=True):
        prompt = torch.tensor([model.prompt_ids(to_reasoner_prompt(context, shown))])
        written = model.model.generate(prompt, max_new_tokens=MAX_ANSWER_TOKENS, do_sample=False)
        parse_answer(model.tokenizer.decode(written[0, prompt.shape[1] :], skip_special_tokens=True), shown)
