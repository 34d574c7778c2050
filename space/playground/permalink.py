"""A comparison as the query of an address: whoever opens the link sees the same user with the same choices."""

from collections.abc import Mapping
from dataclasses import fields
from urllib.parse import urlencode

from logs2lang.dataset_builders.input_error import InputError

from .comparison import Choices

USER = "user"
_ALWAYS = ("answer",)


def to_query(user: str, choices: Choices, defaults: Choices) -> str:
    """The query that restores a comparison; choices that are the defaults are left out.

    Args:
        user (`str`): Name of an example user.
        choices ([`Choices`]): As the visitor made them.
        defaults ([`Choices`]): Those of the page.

    Example:
        >>> to_query("Ada", Choices(history_length=5), Choices())
        '?user=Ada&history_length=5&answer=title'
    """
    values = {one.name: getattr(choices, one.name) for one in fields(Choices)}
    said = {name: value for name, value in values.items() if name in _ALWAYS or value != getattr(defaults, name)}
    return f"?{urlencode({USER: user, **said})}"


def from_query(query: Mapping[str, str], defaults: Choices) -> Choices:
    """The choices of a link, and the defaults where it says nothing.

    Args:
        query (`dict[str, str]`): Of the page's address; what is no choice is not read.
        defaults ([`Choices`]): Those of the page.

    Raises:
        InputError: A value is none that there is.

    Example:
        >>> from_query({"user": "Ada", "answer": "label", "seed": "3"}, Choices())  # doctest: +ELLIPSIS
        Choices(history_length=20, ..., answer='label', seed=3, zero_shot=False)
    """
    said = {one.name: query.get(one.name, str(getattr(defaults, one.name))) for one in fields(Choices)}
    try:
        numbers = {name: int(said[name]) for name in ("history_length", "seed")}
    except ValueError:
        raise InputError("In the link, history_length and seed must be whole numbers.") from None
    return Choices(**{**said, **numbers, "zero_shot": said["zero_shot"] == "True"})
