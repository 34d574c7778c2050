"""Every table of the project: its columns, spelled once, and its types.

The data flows one way (raw logs -> interactions -> examples -> text), and each table here is one station of it.
"""

from datetime import datetime, timezone
from typing import Final, TypedDict

import pyarrow as pa
from datasets import Features, List, Value

# Columns of `interactions`: one row per thing a user did.
USER_ID: Final = "user_id"
ITEM_ID: Final = "item_id"
TIMESTAMP: Final = "timestamp"
EVENT: Final = "event"
DURATION: Final = "duration_s"
VALUE: Final = "value"
DEVICE: Final = "device"
INTERACTION_COLUMNS = (USER_ID, ITEM_ID, TIMESTAMP, EVENT, DURATION, VALUE, DEVICE)
REQUIRED_INTERACTION_COLUMNS = (USER_ID, ITEM_ID, TIMESTAMP)

# Columns of `items`: one row per thing that can be recommended.
TITLE: Final = "title"
YEAR: Final = "year"
TAGS: Final = "tags"
SERIES: Final = "series"
DESCRIPTION: Final = "description"
SOURCE_ITEM_ID: Final = "source_item_id"
ITEM_COLUMNS = (ITEM_ID, TITLE, YEAR, TAGS, SERIES, DESCRIPTION)

# Columns of `examples`: one row per decision.
EXAMPLE_ID: Final = "example_id"
USER: Final = "user"
HISTORY: Final = "history"
CANDIDATES: Final = "candidates"
TARGET: Final = "target"
TARGET_INDEX: Final = "target_index"
IS_DISCOVERY: Final = "is_discovery"

# Column of `histories`, beside `user` and `history`: one row per user.
HISTORY_HASH: Final = "history_hash"

# Columns of `successors`: one row per item, successor and fold.
SUCCESSOR_ID: Final = "successor_id"
RANK: Final = "rank"
COUNT: Final = "count"
LIFT: Final = "lift"
FOLD: Final = "fold"
ALL_USERS: Final = -1
"""The fold whose successors are counted from all users."""

# Columns of `quarantine`: one row per input row that could not be used.
REASON: Final = "reason"
SOURCE_FILE: Final = "source_file"
SOURCE_ROW: Final = "source_row"
SOURCE_PLACE: Final = "source_place"
"""The place of an event in its row, from 1; only logs have it whose rows hold several events."""
RAW: Final = "raw"

# Columns of the prompt configs.
PROMPT: Final = "prompt"
ANSWER: Final = "answer"
TEMPLATE_TEXT: Final = "template_text"

NO_TIME = datetime(1970, 1, 1, tzinfo=timezone.utc)
"""Stands for the time of every record of a log without times; no other log has it."""

SPLITS = ("train", "validation", "test")
CONFIGS = ("examples", "items", "successors", "interactions", "verbalizer", "reasoner")

DATASET_VERSION = 1
"""Raised whenever a built folder of an earlier version could no longer be read right."""

DEFAULT_EVENT = "interact"
NOISE_EVENTS = ("trailer", "autoplay", "abandon", "impression")
"""Events that say little about taste: they stay in histories, but are never a target."""

CANDIDATE_LABELS = "ABCDEFGHIJ"
NUM_CANDIDATES = len(CANDIDATE_LABELS)
MAX_CANDIDATES = 100
MAX_HISTORY = 100
MIN_HISTORY = 5
SUCCESSOR_WINDOW = 10
SUCCESSOR_FOLDS = 5
MAX_SUCCESSORS = 50


class Record(TypedDict):
    """One line of a history: what the log says, and no more."""

    timestamp: object  # datetime, UTC
    item_id: str
    title: str
    event: str
    duration_s: float | None
    value: float | None
    device: str | None


class Item(TypedDict):
    """One row of `items`, as far as prompts and baselines need it."""

    item_id: str
    title: str
    year: int | None
    tags: list[str]
    series: str | None
    description: str | None


_UTC_MICROSECONDS = "timestamp[us, tz=UTC]"

RECORD_FEATURES = {
    TIMESTAMP: Value(_UTC_MICROSECONDS),
    ITEM_ID: Value("string"),
    TITLE: Value("string"),
    EVENT: Value("string"),
    DURATION: Value("float32"),
    VALUE: Value("float32"),
    DEVICE: Value("string"),
}
CANDIDATE_FEATURES = {ITEM_ID: Value("string"), TITLE: Value("string")}
MESSAGE_FEATURES = {"role": Value("string"), "content": Value("string")}

EXAMPLE_FEATURES = Features(
    {
        EXAMPLE_ID: Value("string"),
        USER: Value("string"),
        TIMESTAMP: Value(_UTC_MICROSECONDS),
        HISTORY: List(RECORD_FEATURES),
        CANDIDATES: List(CANDIDATE_FEATURES),
        TARGET: Value("string"),
        TARGET_INDEX: Value("int8"),
        IS_DISCOVERY: Value("bool"),
    }
)
ITEM_FEATURES = Features(
    {
        ITEM_ID: Value("string"),
        SOURCE_ITEM_ID: Value("string"),
        TITLE: Value("string"),
        YEAR: Value("int16"),
        TAGS: List(Value("string")),
        SERIES: Value("string"),
        DESCRIPTION: Value("string"),
    }
)
SUCCESSOR_FEATURES = Features(
    {
        ITEM_ID: Value("string"),
        SUCCESSOR_ID: Value("string"),
        RANK: Value("int16"),
        COUNT: Value("int32"),
        LIFT: Value("float32"),
        FOLD: Value("int8"),
    }
)
TRAINING_INTERACTION_FEATURES = Features(
    {
        USER: Value("string"),
        ITEM_ID: Value("string"),
        TIMESTAMP: Value(_UTC_MICROSECONDS),
        EVENT: Value("string"),
        DURATION: Value("float32"),
        VALUE: Value("float32"),
        DEVICE: Value("string"),
    }
)
VERBALIZER_FEATURES = Features(
    {
        EXAMPLE_ID: Value("string"),
        PROMPT: List(MESSAGE_FEATURES),
        TEMPLATE_TEXT: Value("string"),
        CANDIDATES: List(CANDIDATE_FEATURES),
        TARGET: Value("string"),
        TARGET_INDEX: Value("int8"),
        IS_DISCOVERY: Value("bool"),
    }
)
REASONER_FEATURES = Features(
    {
        EXAMPLE_ID: Value("string"),
        PROMPT: List(MESSAGE_FEATURES),
        ANSWER: Value("string"),
        CANDIDATES: List(CANDIDATE_FEATURES),
        TARGET: Value("string"),
        TARGET_INDEX: Value("int8"),
        IS_DISCOVERY: Value("bool"),
    }
)
CONFIG_FEATURES = {
    "examples": EXAMPLE_FEATURES,
    "items": ITEM_FEATURES,
    "successors": SUCCESSOR_FEATURES,
    "interactions": TRAINING_INTERACTION_FEATURES,
    "verbalizer": VERBALIZER_FEATURES,
    "reasoner": REASONER_FEATURES,
}
"""What `load_dataset(folder, config)` yields. `items`, `successors` and `interactions` have only the split `train`."""

EXAMPLE_SCHEMA: pa.Schema = EXAMPLE_FEATURES.arrow_schema
