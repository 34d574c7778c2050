"""`logs2lang compare`: two evaluations of the same examples, row by row."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from logs2lang.dataset_builders.input_error import InputError

comparison_app = typer.Typer()

COMPARISON_FILE = "comparison.json"
COMPARISON_TABLE_FILE = "comparison.md"


@comparison_app.command()
def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="Folder of an evaluation: what is compared with.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Folder of another evaluation of the same examples.")],
    rows: Annotated[
        str | None,
        typer.Option(
            help="Rows to compare, separated by commas; A=B pairs row A of the first run with row B of the second. "
            "By default all rows of the same name."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help=f"Folder for {COMPARISON_FILE} and {COMPARISON_TABLE_FILE}."),
    ] = None,
) -> None:
    """Compare two evaluations on the same examples: RUN_B minus RUN_A, row by row.

    Shows the difference of each measure with its paired bootstrap interval, the p-value of Fisher's randomisation
    test, and the p-value after Holm's correction for the number of rows. Histories may be of different length.

    [bold]logs2lang compare results/base results/trained --rows template,successors=rewrite[/]
    """
    from rich.console import Console

    from logs2lang.dataset_builders.dataset_folder.output_paths import require_folder_place
    from logs2lang.dataset_builders.whole_files import write_text

    from ..console.progress import show_status
    from ..evaluation.comparisons import compare_runs
    from ..evaluation.report import markdown_table, terminal_tables
    from ..evaluation.results import read_results
    from ..evaluation.table_columns import comparison_table

    if output is not None:
        require_folder_place(output)
    first, second = read_results(run_a), read_results(run_b)
    pairs = _to_pairs(rows, [row["row"] for row in first.rows], [row["row"] for row in second.rows])
    with show_status() as say:
        say("Comparing")
        comparison: dict[str, Any] = {
            "against": str(run_a),
            "compared": str(run_b),
            **compare_runs(first, second, pairs),
        }
    table = comparison_table(comparison)
    console = Console()
    console.print(*terminal_tables(table, console.width), sep="\n")
    if output is not None:
        text = json.dumps(comparison, indent=2, ensure_ascii=False, allow_nan=False)
        files = [
            write_text(output / COMPARISON_FILE, text + "\n"),
            write_text(
                output / COMPARISON_TABLE_FILE, f"{table.title}\n\n{markdown_table(table.rows, table.columns)}\n"
            ),
        ]
        print("Written: " + ", ".join(map(str, files)))


def _to_pairs(rows: str | None, first: list[str], second: list[str]) -> dict[str, tuple[str, str]]:
    """Which rows to compare, by the name of the pair.

    Example:
        >>> _to_pairs("template, successors=rewrite", [], [])
        {'template': ('template', 'template'), 'successors=rewrite': ('successors', 'rewrite')}
        >>> _to_pairs(None, ["template", "profile"], ["random", "template"])
        {'template': ('template', 'template')}
    """
    if rows is None:
        shared = {name: (name, name) for name in first if name in second}
        if not shared:
            raise InputError(
                f"The two runs have no row of the same name (the first has {', '.join(first)}; the second "
                f"{', '.join(second)}). Pair them with --rows A=B."
            )
        return shared
    pairs = {}
    for word in filter(None, map(str.strip, rows.split(","))):
        one, _, two = word.partition("=")
        pairs[word] = (one.strip(), (two or one).strip())
    if not pairs:
        raise InputError("--rows names no row. Give names such as template, or pairs such as template=profile.")
    return pairs
