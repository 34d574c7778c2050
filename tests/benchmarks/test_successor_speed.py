"""Counting the successors of five million interactions, against building their examples from the same log.

The goal is no more time than the examples take. On two cores it takes 1.5 to 1.9 times as long: 23 to 26 s of
processor time against 14 to 15 s. Grouping 47 million pairs takes 10 s of it, and ranking 2 s for each of six folds.
"""

import resource
import time

from build_speed_log import keyed_log, movielens_like_log

from logs2lang.dataset_builders.builder import write_examples, write_successors

INTERACTIONS = 5_000_000
MOST_TIMES = 2


def test_counting_successors_takes_at_most_twice_the_time_of_the_examples(tmp_path, capsys):
    movielens_like_log(tmp_path, INTERACTIONS)
    output = tmp_path / "dataset"
    started = time.process_time()
    with keyed_log(tmp_path) as (log, options, connection):
        write_examples(log, output, options, connection)
        between = time.process_time()
        write_successors(log, output, options, connection)
        ended = time.process_time()
    examples, successors = between - started, ended - between
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    with capsys.disabled():
        print(f"\nexamples {examples:.1f} s, successors {successors:.1f} s of processor time, peak {peak_gib:.2f} GiB")
    assert peak_gib < 4
    assert successors <= MOST_TIMES * examples
