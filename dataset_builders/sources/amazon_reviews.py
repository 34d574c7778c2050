"""Amazon Reviews 2023: reviews of one category of products, and the products."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend as DuckDB

from ..cells.written_lists import read_joined, read_tags
from ..hub_files import HubFile, file_from_hub
from ..input_error import InputError, did_you_mean
from ..raw_log import LogLicense, RawLog
from ..schema import DESCRIPTION, ITEM_ID, TAGS, TIMESTAMP, TITLE, USER_ID, VALUE
from .official_files import find_files, read_named, select_columns

WHAT = "Amazon Reviews 2023"
REPO = "McAuley-Lab/Amazon-Reviews-2023"
REVISION = "2b6d039ed471f2ba5fd2acb718bf33b0a7e5598e"

CATEGORIES = (
    "All_Beauty",
    "Amazon_Fashion",
    "Appliances",
    "Arts_Crafts_and_Sewing",
    "Automotive",
    "Baby_Products",
    "Beauty_and_Personal_Care",
    "Books",
    "CDs_and_Vinyl",
    "Cell_Phones_and_Accessories",
    "Clothing_Shoes_and_Jewelry",
    "Digital_Music",
    "Electronics",
    "Gift_Cards",
    "Grocery_and_Gourmet_Food",
    "Handmade_Products",
    "Health_and_Household",
    "Health_and_Personal_Care",
    "Home_and_Kitchen",
    "Industrial_and_Scientific",
    "Kindle_Store",
    "Magazine_Subscriptions",
    "Movies_and_TV",
    "Musical_Instruments",
    "Office_Products",
    "Patio_Lawn_and_Garden",
    "Pet_Supplies",
    "Software",
    "Sports_and_Outdoors",
    "Subscription_Boxes",
    "Tools_and_Home_Improvement",
    "Toys_and_Games",
    "Unknown",
    "Video_Games",
)

LICENSE = LogLicense(
    "other",
    redistributable=False,
    notice="Amazon Reviews 2023 is shared for research without a licence; publish the builder, not its rows.",
)
HOMEPAGE = "https://amazon-reviews-2023.github.io/"
CITATION = """@article{hou2024bridging,
  author = {Yupeng Hou and Jiacheng Li and Zhankui He and An Yan and Xiusi Chen and Julian McAuley},
  title = {Bridging Language and Items for Retrieval and Recommendation},
  journal = {arXiv preprint arXiv:2403.03952},
  year = {2024}
}"""

Reviews = Literal["5core", "raw"]

_FOLDERS = {"5core": "benchmark/5core/rating_only", "raw": "raw/review_categories"}
_ENDINGS = {"5core": ".csv", "raw": ".jsonl"}
_META_FOLDER = "raw/meta_categories"
_COLUMNS = {USER_ID: "user_id", ITEM_ID: "parent_asin", VALUE: "rating", TIMESTAMP: "timestamp"}
_MAIN_CATEGORY = "main_category"
_META_COLUMNS = {
    ITEM_ID: "parent_asin",
    TITLE: "title",
    TAGS: "categories",
    DESCRIPTION: "description",
    _MAIN_CATEGORY: "main_category",
}


def read_amazon_reviews(
    connection: DuckDB, *, category: str, reviews: Reviews = "5core", folder: str | Path | None = None
) -> RawLog:
    """Read the reviews of one category.

    Args:
        connection (`ibis.backends.duckdb.Backend`): Where the rows are stored.
        category (`str`): One of `CATEGORIES`.
        reviews (`str`, *optional*, defaults to `"5core"`): `"5core"` for the official table of users and products
            with five reviews or more (`CATEGORY.csv`), `"raw"` for all reviews (`CATEGORY.jsonl`).
        folder (`str` or `Path`, *optional*): Where that file and `meta_CATEGORY.jsonl` lie, both as downloaded (also
            as `.gz`) or in the folders of the repository. Without one they come from the Hub, at a pinned commit.

    Returns:
        [`RawLog`]: One event `review` per review, with the stars as its `value`. An item is a `parent_asin`, which
        has a title; `asin` names one colour or size of it. Tags are the categories, or the main category where there
        are none; the paragraphs of a description are joined. Prices, pictures and the text of reviews are not read.

    Raises:
        InputError: There is no such category, the folder does not hold it, or it cannot be fetched.
    """
    if category not in CATEGORIES:
        hint = did_you_mean(category, CATEGORIES, f"Choose one of {', '.join(CATEGORIES)}.")
        raise InputError(f"There is no category {category!r}. {hint}")
    if reviews not in _FOLDERS:
        raise InputError(f"There are no {reviews!r} reviews; choose 5core or raw.")
    log_file = _file(folder, _FOLDERS[reviews], f"{category}{_ENDINGS[reviews]}")
    meta_file = _file(folder, _META_FOLDER, f"meta_{category}.jsonl")
    log = read_named(connection, "amazon_reviews", [log_file])
    products = read_named(connection, "amazon_products", [meta_file])
    rows = select_columns(log, _COLUMNS, WHAT)
    items = select_columns(products, _META_COLUMNS, WHAT)
    raw = RawLog(
        f"amazon-reviews-2023-{category.lower().replace('_', '-')}-{reviews}",
        rows.rows.mutate(event=ibis.literal("review")),
        _described(items.rows, connection),
        rows.rejected,
        "milliseconds",
        LICENSE,
        HOMEPAGE,
        CITATION,
        notes=(*log.notes, *products.notes),
    )
    return replace(raw, counted=rows.counted, rejected_items=items.rejected, counted_items=items.counted)


def _file(folder: str | Path | None, place: str, name: str) -> Path:
    if folder is None:
        return file_from_hub(HubFile(REPO, REVISION, f"{place}/{name}"))
    return find_files(folder, (name, f"{place}/{name}"), WHAT)[0]


def _described(products: ir.Table, connection: DuckDB) -> ir.Table:
    categories = read_tags(products[TAGS], ">", connection)
    main = ibis.array([products[_MAIN_CATEGORY]]).filter(lambda name: name.notnull())
    has_none = categories.isnull() | (categories.length() == 0)
    described = {name: read_joined(products[name], connection) for name in (TITLE, DESCRIPTION)}
    return products.mutate(tags=has_none.ifelse(main, categories), **described).drop(_MAIN_CATEGORY)
