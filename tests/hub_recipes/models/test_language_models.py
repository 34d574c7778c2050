"""Batches, branches and adapters against the plain way: one sequence, one forward pass."""

import shutil

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.models.language_models import load_language_model, load_tokenizer

TEXTS = ["a", "the second prompt", "one more, a longer prompt than all the others", "b"]


def log_probs_of_next(language_model, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        return language_model.model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)


def test_batches_give_what_single_prompts_give(tiny_language_model):
    prompts = [tiny_language_model.text_ids(text) for text in TEXTS]
    wanted = tiny_language_model.text_ids("ABC")
    plain = np.stack([log_probs_of_next(tiny_language_model, ids)[wanted].numpy() for ids in prompts])
    np.testing.assert_allclose(tiny_language_model.next_token_log_probs(prompts, wanted), plain, atol=1e-5)


def test_branches_give_what_each_continuation_gives_alone(tiny_language_model):
    prefixes = [tiny_language_model.text_ids(text) for text in TEXTS]
    branches = [[tiny_language_model.text_ids(word) for word in words] for words in ("xy z", "long q", "q", "ab ba c")]
    branches = [[ids[:split], ids[split:]] for (ids, *_), split in zip(branches, (1, 2, 1, 2), strict=True)]
    branches = [[branch for branch in of_row if branch] for of_row in branches]

    def plain(prefix, branch):
        ids = [*prefix, *branch]
        steps = range(len(prefix), len(ids))
        return sum(log_probs_of_next(tiny_language_model, ids[:step])[ids[step]].item() for step in steps)

    for scores, prefix, of_row in zip(
        tiny_language_model.branch_log_probs(prefixes, branches), prefixes, branches, strict=True
    ):
        np.testing.assert_allclose(scores, [plain(prefix, branch) for branch in of_row], atol=1e-4)


def test_generated_texts_do_not_depend_on_their_neighbours(tiny_language_model):
    prompts = [tiny_language_model.text_ids(text) for text in TEXTS]
    together = tiny_language_model.generate(prompts, max_new_tokens=6)
    assert together == [tiny_language_model.generate([ids], max_new_tokens=6)[0] for ids in prompts]
    assert all(together)


def test_constraints_hold_for_each_prompt_on_its_own(tiny_language_model):
    prompts = [tiny_language_model.text_ids(text) for text in TEXTS]
    letters = [tiny_language_model.text_ids(letter) for letter in "abcd"]
    end = tiny_language_model.tokenizer.eos_token_id
    # The first prompt may answer with one letter, the second with two of its own, and so on.
    constraints = [
        lambda written, place=place: letters[place] if len(written) <= place else [end] for place in range(4)
    ]
    assert tiny_language_model.generate(prompts, 6, constraints=constraints) == ["a", "bb", "ccc", "dddd"]


def test_a_streamed_text_is_the_generated_one(tiny_language_model):
    for prompt in map(tiny_language_model.text_ids, TEXTS):
        pieces = list(tiny_language_model.stream(prompt, max_new_tokens=12))
        assert "".join(pieces).strip() == tiny_language_model.generate([prompt], max_new_tokens=12)[0]


def test_a_stream_keeps_to_its_constraint(tiny_language_model):
    letters, end = tiny_language_model.text_ids("b"), tiny_language_model.tokenizer.eos_token_id
    prompt = tiny_language_model.text_ids("a prompt")
    stream = tiny_language_model.stream(prompt, 9, lambda written: letters if len(written) < 3 else [end])
    assert "".join(stream) == "bbb"


def test_a_stream_that_is_closed_stops_writing(tiny_language_model, monkeypatch):
    steps = []
    forward = tiny_language_model.model.forward
    monkeypatch.setattr(
        tiny_language_model.model, "forward", lambda *args, **kwargs: steps.append(1) or forward(*args, **kwargs)
    )
    for temperature in (1.0, 2.0):  # at random it soon writes a blank, where a piece ends
        stream = tiny_language_model.stream(
            tiny_language_model.text_ids("a"), 1_500, do_sample=True, temperature=temperature
        )
        next(stream)
        stream.close()
    assert 0 < len(steps) < 2 * 1_500


def test_what_fails_while_streaming_is_raised_where_it_is_read(tiny_language_model):
    with pytest.raises(IndexError):
        list(tiny_language_model.stream([10**6], max_new_tokens=2))


def test_progress_ends_at_the_number_of_prompts(tiny_language_model):
    prompts, told = [tiny_language_model.text_ids(text) for text in TEXTS], []
    tiny_language_model.next_token_log_probs(prompts, [1], told.append)
    assert told[-1] == len(TEXTS)


@pytest.mark.parametrize("token", ["<|im_end|>", "[OBEY]"])
def test_a_special_token_in_a_message_is_no_token(tiny_language_model, token):
    ids = tiny_language_model.prompt_ids([{"role": "user", "content": f"Heat {token} Fargo"}])
    special = tiny_language_model.tokenizer.convert_tokens_to_ids(token)
    expected = tiny_language_model.prompt_ids([{"role": "user", "content": "Heat"}]).count(special)
    assert ids.count(special) == expected


@pytest.fixture
def adapter_folder(save_adapter, tmp_path):
    return save_adapter(tmp_path / "adapter")


def test_an_adapter_loads_with_the_base_model_it_names(adapter_folder, tiny_model_folder, tiny_language_model):
    adapted = load_language_model(str(adapter_folder), device="cpu")
    assert (adapted.model_id, adapted.adapter_id) == (str(tiny_model_folder), str(adapter_folder))
    assert adapted.fingerprint != tiny_language_model.fingerprint
    prompt = [adapted.text_ids("some prompt")]
    changed = adapted.next_token_log_probs(prompt, [5]) - tiny_language_model.next_token_log_probs(prompt, [5])
    assert abs(changed.item()) > 1e-3


def test_weights_that_were_cut_off_are_one_sentence(adapter_folder, tiny_model_folder, tmp_path):
    base = shutil.copytree(tiny_model_folder, tmp_path / "base")
    for weights in (adapter_folder / "adapter_model.safetensors", base / "model.safetensors"):
        weights.write_bytes(weights.read_bytes()[:-100])
        with pytest.raises(
            InputError, match=f"^The weights in {weights.parent} are damaged .* copy or train them again"
        ):
            load_language_model(str(weights.parent), device="cpu")


def other_base(tiny_language_model, **changes) -> LlamaForCausalLM:
    return LlamaForCausalLM(LlamaConfig(**{**tiny_language_model.model.config.to_dict(), **changes}))


def test_the_tokenizer_of_an_adapter_without_one_is_that_of_its_base(adapter_folder, tiny_model_folder):
    assert not (adapter_folder / "tokenizer_config.json").exists()
    assert load_tokenizer(str(adapter_folder)).get_vocab() == load_tokenizer(str(tiny_model_folder)).get_vocab()


@pytest.mark.parametrize("changes", [{"hidden_size": 64}, {"num_hidden_layers": 3}, {"num_hidden_layers": 1}])
def test_an_adapter_of_another_base_is_refused(adapter_folder, tiny_language_model, tmp_path, changes):
    base = tmp_path / "other"
    other_base(tiny_language_model, **changes).save_pretrained(base)
    tiny_language_model.tokenizer.save_pretrained(base)
    config = adapter_folder / "adapter_config.json"
    config.write_text(config.read_text().replace(tiny_language_model.model_id, str(base)))
    with pytest.raises(InputError, match="does not fit its base model"):
        load_language_model(str(adapter_folder), device="cpu")


def test_a_model_without_a_chat_template_is_refused(tiny_model_folder, tmp_path):
    for path in tiny_model_folder.iterdir():
        if path.name != "chat_template.jinja":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="no chat template"):
        load_language_model(str(tmp_path), device="cpu")


@pytest.mark.slow
def test_the_default_base_model_knows_a_capital(base_language_model):
    prompt = base_language_model.prompt_ids([{"role": "user", "content": "What is the capital of France?"}])
    assert "Paris" in base_language_model.generate([prompt], max_new_tokens=12)[0]
