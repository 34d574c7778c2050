"""What all runs of one folder have spent at endpoints: one file, in which their processes take turns."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from filelock import FileLock

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.whole_files import write_text

LEDGER_FILE = "spending.json"

_LOOK_AGAIN_S = 0.002  # filelock's own 50 ms would hold up every call of the process that waits
_DECIMALS = 12  # of a dollar: far below the price of a token, and sums stay what they look like


@dataclass
class Spent:
    """What was spent.

    Args:
        calls (`int`): Requests sent, attempts that failed included.
        us_dollars (`float`): What they cost; for unsettled calls, the most that they can have cost.
        calls_without_price (`int`): How many of the calls cost nothing here, because no price was known.
    """

    calls: int = 0
    us_dollars: float = 0.0
    calls_without_price: int = 0

    def __str__(self) -> str:
        return f"{self.calls} calls and {self.us_dollars:g} US dollars"


@dataclass(frozen=True)
class SpendingLedger:
    """The ledger of a folder; all processes and runs that are given the folder share it.

    Args:
        folder (`Path`): The folder with `spending.json`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with SpendingLedger(Path(folder)).changed() as spent:
        ...         spent.calls += 1
        ...     print(SpendingLedger(Path(folder)).read())
        1 calls and 0 US dollars
    """

    folder: Path

    @property
    def file(self) -> Path:
        """Deleting it starts the count from zero."""
        return self.folder / LEDGER_FILE

    def read(self) -> Spent:
        """What was spent so far; nothing where there is no ledger.

        Raises:
            InputError: The file is no ledger.
        """
        try:
            spent = Spent(**json.loads(self.file.read_text(encoding="utf-8")))
            if spent.calls < 0 or not spent.us_dollars >= 0:
                raise ValueError("the amount spent is not a number of at least 0")
        except FileNotFoundError:
            return Spent()
        except (TypeError, ValueError) as error:  # JSON that cannot be read among them
            raise InputError(
                f"{self.file} records the cost of endpoint calls, but cannot be read ({error}). Fix it, or delete it "
                "to count from 0."
            ) from error
        return spent

    @contextmanager
    def changed(self) -> Iterator[Spent]:
        """What was spent, to be changed while every other process waits; it is on disk when this ends.

        Raises:
            InputError: The folder cannot be written to, or the file is no ledger.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f".{LEDGER_FILE}.lock", poll_interval=_LOOK_AGAIN_S):
                before = self.read()
                spent = replace(before)
                yield spent
                if spent != before:
                    self._write(spent)
        except OSError as error:
            raise InputError(
                f"{self.file}, which records the cost of endpoint calls, cannot be written ({error}), so no calls "
                "are made. Free some disk space, or choose another folder."
            ) from error

    def _write(self, spent: Spent) -> None:
        content = asdict(replace(spent, us_dollars=round(spent.us_dollars, _DECIMALS)))
        write_text(self.file, json.dumps(content, indent=2) + "\n")
