"""The page's own HTML. Jinja escapes every value, so a title is text here and never markup.

Gradio evaluates a component's `html_template` as Handlebars and then as a JavaScript template. Text of a log must
never pass through those: a title such as `${alert(1)}` would run. So every component keeps the template `${value}`,
whose value is put in once and not read again.
"""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("html")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **values: Any) -> str:
    """Fill in `html/<template>.html`.

    Example:
        >>> render("notice", messages=["<b>bold</b>"], kind="error")
        '<div class="notice error" role="alert"><p>&lt;b&gt;bold&lt;/b&gt;</p></div>'
    """
    return _ENVIRONMENT.get_template(f"{template}.html").render(**values).strip()
