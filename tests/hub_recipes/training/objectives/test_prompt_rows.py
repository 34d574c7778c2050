from letter_world import ITEMS, letter_examples

from logs2lang.training.objectives.prompt_rows import to_verbalizer_rows, to_warm_start_rows
from logs2lang.verbalizers.action import ActionVerbalizer


class Catalogue(dict):
    """A catalogue that must not be pickled: `datasets` pickles what a mapped function refers to, to hash it."""

    def __reduce__(self):
        raise AssertionError("The catalogue was pickled.")


def test_the_catalogue_is_not_hashed_to_write_prompts(tiny_language_model, recwarn):
    """With the successors of ten thousand items this took minutes, before a word was said."""
    verbalizer = ActionVerbalizer(Catalogue(ITEMS), tiny_language_model)
    examples = letter_examples(3)
    rows = to_verbalizer_rows(examples, verbalizer, tiny_language_model)
    again = to_warm_start_rows(examples, verbalizer, tiny_language_model)
    assert len(rows) == len(again) == 3
    assert rows["example_id"] == examples["example_id"]
    assert not [warning for warning in recwarn if "hash" in str(warning.message)]
