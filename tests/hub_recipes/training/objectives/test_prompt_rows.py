from letter_world import ITEMS, letter_examples

from logs2lang.training.objectives.prompt_rows import to_verbalizer_rows, to_warm_start_rows
from logs2lang.verbalizers.action import ActionVerbalizer


class Catalogue(dict):
    """Counts how often it is pickled: `datasets` pickles what a mapped function refers to, in order to hash it."""

    pickled = 0

    def __reduce__(self):
        Catalogue.pickled += 1
        return dict, (dict(self),)


def test_the_catalogue_is_not_hashed_to_write_prompts(tiny_language_model):
    """With the successors of ten thousand items that is slow, and nothing is said meanwhile."""
    verbalizer = ActionVerbalizer(Catalogue(ITEMS), tiny_language_model)
    examples = letter_examples(3)
    rows = to_verbalizer_rows(examples, verbalizer, tiny_language_model)
    assert rows["example_id"] == examples["example_id"]
    assert len(to_warm_start_rows(examples, verbalizer, tiny_language_model)) == 3
    assert Catalogue.pickled == 0
