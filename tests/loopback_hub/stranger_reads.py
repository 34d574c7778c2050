"""What a stranger does with a release, without a line of ours: run in a process of its own, with an empty cache.

python stranger_reads.py NAMESPACE/DATASET NAMESPACE/ADAPTER NAMESPACE/METRIC
"""

import json
import sys

import evaluate
from datasets import load_dataset
from huggingface_hub import ModelCard
from peft import AutoPeftModelForCausalLM
from transformers import AutoTokenizer

MAX_NEW_TOKENS = 16


def write(model, tokenizer, prompt) -> str:
    """One completion, greedily."""
    shape = {"add_generation_prompt": True, "return_tensors": "pt", "return_dict": True}
    ids = tokenizer.apply_chat_template(prompt, **shape)
    tokens = model.generate(**ids, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
    return tokenizer.decode(tokens[0, ids["input_ids"].shape[1] :])


def read(dataset: str) -> dict:
    """Every config and split, downloaded and streamed: how many rows, and whether both ways agree."""
    rows = {}
    for config in ("examples", "items", "interactions", "verbalizer", "reasoner"):
        for split in ("train",) if config in ("items", "interactions") else ("train", "validation", "test"):
            whole = load_dataset(dataset, config, split=split)
            streamed = load_dataset(dataset, config, split=split, streaming=True)
            assert list(streamed) == whole.to_list()
            rows[f"{config}/{split}"] = len(whole)
    return rows


def main(dataset: str, adapter: str, metric: str) -> None:
    prompts = load_dataset(dataset, "verbalizer", split="test")["prompt"][:10]
    model = AutoPeftModelForCausalLM.from_pretrained(adapter)
    tokenizer = AutoTokenizer.from_pretrained(model.peft_config["default"].base_model_name_or_path)
    examples = {"predictions": ["a", "b"], "references": ["a", "a"], "is_discovery": [True, True]}
    scores = evaluate.load(metric).compute(**examples, k=1)
    seen = {
        "rows": read(dataset),
        "texts": [write(model, tokenizer, prompt) for prompt in prompts],
        "recall": scores["recall@1"],
        "measures": [result.metric_name for result in ModelCard.load(adapter).data.eval_results],
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    sys.modules["logs2lang"] = None  # an import of ours would now fail
    main(*sys.argv[1:])
