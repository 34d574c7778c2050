"""A chat template with a switch, as Qwen3's: what a model is trained on is what it is asked, everywhere."""

import shutil
from pathlib import Path

import pytest
from tiny_model import CHAT_TEMPLATE, byte_tokenizer

from logs2lang.commands.text_commands import _load_reasoner, _template_switches
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.models.language_models import load_language_model
from logs2lang.reasoners.local import LocalReasoner
from logs2lang.reasoners.questions import to_title_prompt
from logs2lang.space.playground.loaded_models import LoadedModels
from logs2lang.training.grpo.oracles import to_oracle
from logs2lang.training.runs.arguments import VerbalizerArguments
from logs2lang.training.runs.run_folder import TrainingRun
from logs2lang.verbalizers.rewrite import RewriteVerbalizer

from .conftest import grpo_words

THINKER = "org/thinker"
OFF = '{"enable_thinking":false}'
THINKS, ANSWERS = "<|im_start|>assistant\n<think>\n", "<|im_start|>assistant\n<think>\n</think>\n\n"
SWITCH = "<think>\n{% if enable_thinking is defined and enable_thinking is false %}\n</think>\n\n{% endif %}"
THOUGHT = "{% if message['role'] == 'assistant' %}<think>\n</think>\n\n{% endif %}"
QUESTION = [{"role": "user", "content": "Who is it?"}]


@pytest.fixture(scope="module")
def thinker(training_folder) -> str:
    """The random model with a template that lets it think unless it is told not to."""
    folder = training_folder / THINKER
    shutil.copytree(training_folder / "org" / "tiny", folder)
    tokenizer = byte_tokenizer()
    # As Qwen3's: what was answered stands behind an empty thought.
    answered = CHAT_TEMPLATE.replace("{{ message['content'] }}", THOUGHT + "{{ message['content'] }}")
    tokenizer.chat_template = answered.removesuffix("{% endif %}") + SWITCH + "{% endif %}"
    tokenizer.save_pretrained(folder)
    return THINKER


@pytest.fixture
def trained(thinker, at_training_folder, monkeypatch):
    """Trains, and returns the trainer; the adapter is written as ever."""
    seen = []
    train = TrainingRun.train
    monkeypatch.setattr(TrainingRun, "train", lambda run, trainer: (seen.append(trainer), train(run, trainer))[1])

    def run(main, output: str, without: tuple[str, ...] = (), **choices):
        words = grpo_words(output, base_model=thinker, base_model_id=thinker, max_steps=1, **choices)
        assert main(_without(words, without)) == 0
        return seen[-1]

    return run


def test_the_switch_is_passed_to_the_template(thinker, at_training_folder):
    thinking = load_language_model(thinker, device="cpu")
    silent = load_language_model(thinker, device="cpu", chat_template_kwargs={"enable_thinking": False})
    assert thinking.prompt_text(QUESTION).endswith(THINKS)
    assert silent.prompt_text(QUESTION).endswith(ANSWERS)
    assert silent.fingerprint != thinking.fingerprint


def test_a_base_model_is_evaluated_as_the_command_says(thinker, at_training_folder):
    told = _template_switches(None, no_thinking=True)
    reasoner = _load_reasoner(thinker, "title", 0, told)
    assert reasoner.language_model.prompt_text(QUESTION).endswith(ANSWERS)


def test_an_oracle_of_this_machine_is_told_not_to_think(thinker, at_training_folder):
    arguments = VerbalizerArguments(oracle=thinker, oracle_answer="title", oracle_thinking=False, dataset="built")
    assert to_oracle(arguments).language_model.prompt_text(QUESTION).endswith(ANSWERS)


def _without(words: list[str], gone: tuple[str, ...]) -> list[str]:
    """A command line without some arguments and their values."""
    kept, skips = [], False
    for word in words:
        skips = word.removeprefix("--") in gone if word.startswith("--") else skips
        kept += [] if skips else [word]
    return kept


OF_GRPO = ("oracle", "oracle_reward", "reward_weights", "num_generations", "beta")


@pytest.mark.slow
def test_a_verbalizer_is_asked_as_it_was_trained(trained, thinker, at_training_folder):
    from logs2lang.train_verbalizer import main

    warm = trained(main, "silent_warm", OF_GRPO, method="sft", chat_template_kwargs=OFF)
    row = warm.train_dataset[0]
    prompt = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label == -100]
    assert byte_tokenizer().decode(prompt).endswith(ANSWERS)
    # GRPO goes on from the warm start, and nobody says again how prompts are made.
    trainer = trained(main, "silent", adapter="silent_warm/adapter", oracle=thinker)
    row = trainer.train_dataset[0]
    (prompt_ids,), *_ = trainer._tokenize_prompts([row["prompt"]])
    verbalizer = RewriteVerbalizer.from_pretrained("silent/adapter", BuiltDataset.open("built").items(), device="cpu")
    assert byte_tokenizer().decode(prompt_ids).endswith(ANSWERS)
    assert verbalizer.language_model.prompt_ids(row["prompt"]) == prompt_ids
    page = LoadedModels(base_model=thinker, load=lambda name: load_language_model(name, device="cpu"))
    assert page.get("silent/adapter").prompt_text(QUESTION).endswith(ANSWERS)


@pytest.mark.slow
def test_a_reasoner_is_asked_as_it_was_trained(trained, at_training_folder):
    from logs2lang.train_reasoner import main

    without = (*OF_GRPO, "max_verbalization_tokens")
    trained(main, "silent_reasoner", without, method="exact", answer="title", chat_template_kwargs=OFF)
    reasoner = LocalReasoner.from_pretrained("silent_reasoner/adapter", device="cpu")
    assert reasoner.language_model.prompt_text(to_title_prompt("x", [])).endswith(ANSWERS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged"),
        ("[1]", "expected a mapping"),
        ('{"tokenize": true}', "'tokenize', which logs2lang sets itself"),
    ],
)
def test_a_file_that_holds_no_switches_is_refused(content, message, save_adapter, tmp_path):
    folder = save_adapter(tmp_path / "adapter")
    Path(folder, "chat_template_config.json").write_text(content)
    with pytest.raises(InputError, match=message):
        load_language_model(str(folder), device="cpu")
