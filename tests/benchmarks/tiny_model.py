"""A random language model of two layers, with one token per byte."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

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


SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2_048,
    "initializer_range": 0.5,  # or all next tokens would be about equally probable
}


def save_tiny_model(folder: Path, words: Sequence[str] = (), **shape: Any) -> None:
    """Write a random two-layer Llama with its tokenizer, as `save_pretrained` does.

    Args:
        folder (`Path`): Where to.
        words (`list[str]`, *optional*): Texts that are tokens of their own.
        **shape (`Any`, *optional*): What of `SHAPE` is different.
    """
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(list(words))
    torch.manual_seed(0)
    config = LlamaConfig(
        **{**SHAPE, **shape},
        vocab_size=len(tokenizer),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
