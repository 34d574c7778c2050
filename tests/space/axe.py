"""axe-core, which judges how accessible a page is."""

import json
from importlib.resources import files
from typing import Any

import pytest

pytest.importorskip("axe_playwright_python", reason="needs the extra `dev`")
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
_SERIOUS = {"serious", "critical"}


def serious_findings(page: Any) -> list[str]:
    """What axe-core calls serious or critical on a page, as lines to be read."""
    page.evaluate(AXE)
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [
        f"{finding['id']}: {finding['help']}: {json.dumps([node['html'][:160] for node in finding['nodes'][:4]])}"
        for finding in found
        if finding["impact"] in _SERIOUS
    ]
