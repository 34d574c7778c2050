"""Language models for tests: a random one of two layers, made here, and the real default base model."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from hub_recipes.language_models import LanguageModel, load_language_model
from hub_recipes.verbalizers import language_model_verbalizer
from hub_recipes.verbalizers.text_cache import write_missing

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL_TOKENS = ["<|im_start|>", "<|im_end|>", "[OBEY]"]


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte, so that every text has a length that can be counted."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={byte: place for place, byte in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>")
    fast.add_special_tokens({"additional_special_tokens": SPECIAL_TOKENS})
    fast.chat_template = CHAT_TEMPLATE
    return fast


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory) -> Path:
    """A random two-layer Llama with its tokenizer, as `save_pretrained` writes them."""
    folder = tmp_path_factory.mktemp("tiny-model")
    tokenizer = byte_tokenizer()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2_048,
        initializer_range=0.5,  # or all next tokens would be about equally probable
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_language_model(tiny_model_folder) -> LanguageModel:
    return load_language_model(str(tiny_model_folder), device="cpu")


@pytest.fixture
def save_adapter(tiny_model_folder) -> Callable[..., Path]:
    """Writes a LoRA adapter of the tiny model whose weights are not zero, so that it changes answers."""

    def save(folder: Path, seed: int = 1) -> Path:
        torch.manual_seed(seed)
        base = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
        adapted = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
        adapted.save_pretrained(folder)
        return folder

    return save


@pytest.fixture
def text_cache(tmp_path, monkeypatch) -> Path:
    """A place for the texts of language models that ends with the test."""
    folder = tmp_path / "texts"
    monkeypatch.setattr(language_model_verbalizer, "write_missing", partial(write_missing, folder=folder))
    return folder


@pytest.fixture(scope="session")
def base_language_model() -> LanguageModel:
    """SmolLM2-135M-Instruct itself; tests that use it are marked slow."""
    return load_language_model(device="cpu")
