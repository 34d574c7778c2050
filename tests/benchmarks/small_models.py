"""Random models of every kind of layer: name, configuration, and whether they read trees rightly."""

from transformers import Lfm2Config, LlamaConfig, MambaConfig, MistralConfig, Qwen3Config

SIZES = {
    "vocab_size": 32, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "initializer_range": 0.5, "pad_token_id": 0,
}  # fmt: skip
MODELS = {
    "full": (lambda: LlamaConfig(**SIZES), True),
    "a wide window": (lambda: MistralConfig(**SIZES, sliding_window=64), True),
    "a narrow window": (lambda: MistralConfig(**SIZES, sliding_window=4), False),
    "some windows": (lambda: Qwen3Config(**SIZES, head_dim=8, use_sliding_window=True, sliding_window=4,
                                         max_window_layers=1), False),
    "convolutions": (lambda: Lfm2Config(**SIZES, layer_types=["conv", "full_attention"]), False),
    "states": (lambda: MambaConfig(vocab_size=32, hidden_size=16, num_hidden_layers=2, state_size=4), False),
}  # fmt: skip
