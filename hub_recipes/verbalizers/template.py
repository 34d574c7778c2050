"""The baseline: every field of every record, one line each, nothing added and nothing left out."""

from collections.abc import Sequence

from logs2lang.dataset_builders.prompting.prompts import template_text

from .verbalizer import History, Progress


class TemplateVerbalizer:
    """Writes each record in a fixed format, as recommenders built on language models do today.

    Example:
        >>> from datetime import datetime, timezone
        >>> record = {"timestamp": datetime(1998, 3, 12, 20, 15, tzinfo=timezone.utc), "item_id": "i7",
        ...     "title": "Fargo", "event": "rate", "duration_s": None, "value": 4.0, "device": None}
        >>> TemplateVerbalizer().verbalize([[record]])
        ['1998-03-12 20:15 | rate | i7 | Fargo | value=4']
    """

    fingerprint = "template"

    def verbalize(self, histories: Sequence[History], progress: Progress | None = None) -> list[str]:
        """Write each history as text; see [`Verbalizer`]."""
        texts = [template_text(history) for history in histories]
        if progress is not None:
            progress(len(texts))
        return texts
