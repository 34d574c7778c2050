"""What clients send and receive: the bodies of requests and answers, with the limits that hold for them."""

from datetime import datetime, timezone
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from logs2lang.dataset_builders.schema import DEFAULT_EVENT, NO_TIME, NUM_CANDIDATES

MAX_RECORDS = 1_000
"""Records of a history that one request may hold; the newest 100 of them are read, as in a built dataset."""

OF_HISTORY, OF_USER = "of_history", "of_user"
"""Tell the two kinds of questions to `/recommend` apart."""

_ID_CHARS, _FIELD_CHARS = 200, 1_000
_NO_EXTRAS = ConfigDict(extra="forbid")

ItemId = Annotated[str, Field(min_length=1, max_length=_ID_CHARS)]
_Field = Annotated[str, Field(max_length=_FIELD_CHARS)]
_Number = Annotated[float, Field(strict=True, ge=-1e9, le=1e9, allow_inf_nan=False)]
_Seconds = Annotated[float, Field(strict=True, ge=0, le=1e9, allow_inf_nan=False)]


def _only_text(value: Any) -> Any:
    """The page promises times as text; pydantic alone would also read numbers."""
    if isinstance(value, str | datetime):
        return value
    raise ValueError("expected a time as text, such as 2026-11-26T20:15:00Z")


_Time = Annotated[AwareDatetime, BeforeValidator(_only_text)]


class LogRecord(BaseModel):
    """One thing that a user did."""

    model_config = _NO_EXTRAS

    item_id: ItemId = Field(description="Id of the item, as the catalogue has it.")
    title: _Field | None = Field(
        None, description="Title in the log; that of the catalogue by default. An item that it lacks needs one."
    )
    timestamp: _Time | None = Field(
        None, description="When, with an offset from UTC. If one record has no time, no text shows any."
    )
    event: _Field = Field(DEFAULT_EVENT, description="What the user did, such as play, rate or trailer.")
    duration_s: _Seconds | None = Field(None, description="Seconds that it was played.")
    value: _Number | None = Field(None, description="What the user gave it, such as a rating.")
    device: _Field | None = Field(None, description="On which device.")


History = Annotated[
    list[LogRecord],
    Field(
        max_length=MAX_RECORDS,
        description=f"Records of one user, at most {MAX_RECORDS:,}; put in the order of their times, or oldest first "
        "where one has none.",
    ),
]
Candidates = Annotated[
    list[ItemId],
    Field(
        min_length=1,
        max_length=NUM_CANDIDATES,
        json_schema_extra={"uniqueItems": True},
        description="Ids of the items to choose from, each once.",
    ),
]


class VerbalizeRequest(BaseModel):
    """A history to be written as text."""

    model_config = _NO_EXTRAS

    history: History


class RecommendFromHistory(BaseModel):
    """Candidates for a user whose history is sent along."""

    model_config = _NO_EXTRAS

    history: History
    candidates: Candidates


class RecommendForUser(BaseModel):
    """Candidates for a user whose text is in the store."""

    model_config = _NO_EXTRAS

    user: str = Field(pattern=r"^[!-~]{1,200}$", description="The user, as the built dataset calls them.")
    candidates: Candidates


def _kind(body: Any) -> str:
    is_of_user = isinstance(body, RecommendForUser) or (isinstance(body, dict) and "user" in body)
    return OF_USER if is_of_user else OF_HISTORY


RecommendRequest = Annotated[
    Annotated[RecommendFromHistory, Tag(OF_HISTORY)] | Annotated[RecommendForUser, Tag(OF_USER)],
    Discriminator(_kind),
]


class VerbalizeAnswer(BaseModel):
    """The text of a history."""

    text: str = Field(description="For a reasoner to read.")
    records: int = Field(description="How many of the newest records the text is about.")
    counts: dict[str, int] = Field(description="How many records were decided each way; empty if none are decided.")
    verbalizer: str = Field(description="Fingerprint of the verbalizer: it changes whenever its texts might.")


class RankedItem(BaseModel):
    """A candidate in the order of preference."""

    item_id: str
    title: str
    probability: float | None = Field(description="Among the candidates; null if the model gives none.")


class RecommendAnswer(BaseModel):
    """The candidates, best first, and the text that they were ranked by."""

    ranking: list[RankedItem]
    text: str
    verbalizer: str = Field(description="Fingerprint of the verbalizer that wrote the text.")
    reasoner: str = Field(description="Name of the reasoner.")


class HealthAnswer(BaseModel):
    """What the service runs."""

    status: str = Field(description="ok, or degraded if the store cannot be reached.")
    verbalizer: str
    reasoner: str
    catalogue: str = Field(description="Name of the dataset that the catalogue comes from.")
    items: int
    store: str | None = Field(description="ok or unreachable; null without a store.")


class Problem(BaseModel):
    """What is wrong with a request."""

    message: str = Field(description="What came, why it fails and what to do.")
    field: str | None = Field(description="The part of the request that is wrong, such as body.history.3.item_id.")


class ErrorAnswer(BaseModel):
    """The answer to every request that fails."""

    error: Problem


def to_records(history: list[LogRecord], titles: dict[int, str]) -> list[dict[str, Any]]:
    """The records as verbalizers read them, oldest first.

    Args:
        history (`list[LogRecord]`): As they came.
        titles (`dict[int, str]`): The title of each record, by its place.
    """
    timed = all(record.timestamp is not None for record in history)
    records = [
        {
            "timestamp": _in_utc(record.timestamp) if timed and record.timestamp is not None else NO_TIME,
            "item_id": record.item_id,
            "title": titles[place],
            "event": record.event,
            "duration_s": record.duration_s,
            "value": record.value,
            "device": record.device,
        }
        for place, record in enumerate(history)
    ]
    return sorted(records, key=lambda record: record["timestamp"])  # stable: equal times stay as they came


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(timezone.utc)
    except OverflowError:  # within a day of the first or the last year that there is
        return time.replace(tzinfo=timezone.utc)
