"""The Space's entry: `python app.py` on the Hub, `logs2lang demo` anywhere."""

import os
from pathlib import Path
from threading import Thread
from typing import Any

from logs2lang.models.language_models import DEFAULT_BASE_MODEL
from logs2lang.space.playground.loaded_models import LoadedModels
from logs2lang.space.playground.page import Setup, launch_options, to_page
from logs2lang.space.playground.released_adapters import MODEL_CARDS
from logs2lang.space.playground.results_view import RESULTS


def serve(
    *,
    base_model: str = DEFAULT_BASE_MODEL,
    results: Path = RESULTS,
    model_cards: Path = MODEL_CARDS,
    **launching: Any,
) -> Any:
    """Serve the page.

    Args:
        base_model (`str`, *optional*, defaults to `"HuggingFaceTB/SmolLM2-135M-Instruct"`): Folder or Hub id.
        results (`Path`, *optional*): Folders with `results.json`.
        model_cards (`Path`, *optional*): Folders of released adapters.
        **launching (`Any`, *optional*): As `gradio.Blocks.launch` takes them.
    """
    models = LoadedModels(base_model, folders="SPACE_ID" not in os.environ, released=model_cards)
    # The page opens at once with precomputed results; by the time a button is pressed, the model is loaded.
    Thread(target=models.base, daemon=True).start()
    page = to_page(Setup(models, results, model_cards))
    page.queue(max_size=64)
    return page.launch(**{**launch_options(), **launching})


if __name__ == "__main__":
    serve()
