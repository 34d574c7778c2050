from datetime import datetime, timedelta, timezone
from functools import partial

import pytest

from dataset_builders.prompts import neutralise_lines, template_text, to_verbalizer_prompt
from hub_recipes.verbalizers import language_model_verbalizer
from hub_recipes.verbalizers.rewrite import RewriteVerbalizer
from hub_recipes.verbalizers.text_cache import write_missing


def history(length: int, title: str = "Fargo") -> list[dict]:
    noon = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
    return [
        {
            "timestamp": noon + timedelta(days=day),
            "item_id": f"i{day}",
            "title": title,
            "event": "play",
            "duration_s": None,
            "value": None,
            "device": None,
        }
        for day in range(length)
    ]


@pytest.fixture
def verbalizer(tiny_language_model, tmp_path, monkeypatch):
    monkeypatch.setattr(language_model_verbalizer, "write_missing", partial(write_missing, folder=tmp_path))
    return RewriteVerbalizer({}, tiny_language_model, max_new_tokens=8)


def test_the_model_writes_after_the_instructions_and_the_log(verbalizer, tiny_language_model):
    prompt = tiny_language_model.prompt_ids(to_verbalizer_prompt(template_text(history(3))))
    (written,) = tiny_language_model.generate([prompt], 8)
    assert verbalizer.verbalize([history(3)]) == [neutralise_lines(written)]


def test_texts_come_from_disk_the_second_time(verbalizer, monkeypatch, tiny_language_model):
    first = verbalizer.verbalize([history(3), history(5)])
    monkeypatch.setattr(type(tiny_language_model), "generate", lambda *_: pytest.fail("was written again"))
    assert verbalizer.verbalize([history(3), history(5)]) == first


def test_a_log_longer_than_the_window_loses_its_oldest_records(verbalizer, tiny_language_model):
    ids = tiny_language_model.prompt_ids(verbalizer.prompt({"history": verbalizer.fit(history(100))}))
    text = tiny_language_model.tokenizer.decode(ids)
    assert len(ids) <= tiny_language_model.max_prompt_tokens - 8
    assert "| i99 |" in text
    assert "| i0 |" not in text


@pytest.mark.slow
def test_the_real_model_writes_words(base_language_model, tmp_path, monkeypatch):
    monkeypatch.setattr(
        language_model_verbalizer, "write_missing", lambda keys, write, progress=None: write(list(range(len(keys))))
    )
    text = RewriteVerbalizer({}, base_language_model, max_new_tokens=24).verbalize([history(6, "The Matrix")])[0]
    assert len(text.split()) > 5
