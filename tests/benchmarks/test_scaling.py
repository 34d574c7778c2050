"""Examples from 1, 5 and 25 million simulated events: time and memory grow in a straight line, under 6 GiB.

Time is processor time, so that other work on the machine does not bend the line.
"""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from matplotlib.figure import Figure

MILLIONS = (1, 5, 25)
MOST_GIB = 6
MOST_STEEPER = 1.5
"""A segment of a straight line is as steep as the one before it; noise and set-up are allowed for."""
PLOT = Path(__file__).with_name("scaling.svg")

# A process of its own per size: the peak of a process never falls again.
BUILD = """
import json, resource, sys, time
from pathlib import Path
from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import to_split_log, write_examples
from logs2lang.dataset_builders.interactions import canonicalize
from logs2lang.dataset_builders.raw_log import connect
from logs2lang.dataset_builders.sources.streaming_simulation import SimulationConfig, read_streaming_simulation

millions, folder = int(sys.argv[1]), Path(sys.argv[2])
connection = connect(folder)
config = SimulationConfig(events=millions * 1_000_000, accounts=millions * 10_000)
log = canonicalize(read_streaming_simulation(connection, config), connection)
started = time.process_time()
options = BuildOptions()
write_examples(to_split_log(log, options, connection), folder / "dataset", options, connection)
seconds = time.process_time() - started
print(json.dumps({"seconds": seconds, "gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))
"""


def test_time_and_memory_grow_in_a_straight_line(tmp_path, capsys):
    measured = []
    for millions in MILLIONS:
        folder = tmp_path / str(millions)
        folder.mkdir()
        command = [sys.executable, "-c", BUILD, str(millions), str(folder)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        measured.append(json.loads(output.splitlines()[-1]))
        with capsys.disabled():
            print(
                f"\n{millions:>3} million events: {measured[-1]['seconds']:.1f} s of processor time, "
                f"peak {measured[-1]['gib']:.2f} GiB"
            )
    _plot(measured)
    slopes = [
        (later["seconds"] - sooner["seconds"]) / (more - less)
        for (less, sooner), (more, later) in pairwise(zip(MILLIONS, measured, strict=True))
    ]
    assert slopes[1] <= MOST_STEEPER * slopes[0]
    assert max(size["gib"] for size in measured) < MOST_GIB


def _plot(measured: list[dict]) -> None:
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    labels = {"seconds": "processor seconds", "gib": "peak GiB"}
    for axes, (key, label) in zip(figure.subplots(1, 2), labels.items(), strict=True):
        axes.plot(MILLIONS, [size[key] for size in measured], "o-", color="#0072B2")
        axes.set(xlabel="million simulated events", ylabel=label, ylim=0)
    figure.suptitle("From a simulated log to examples")
    figure.savefig(PLOT, metadata={"Date": None})
