"""Ten million simulated events in under two minutes on two cores, in bounded memory. Run with `make bench`.

Processor time is counted, all threads together: an idle machine takes no longer.
"""

import resource
import time

from logs2lang.dataset_builders.raw_log import connect
from logs2lang.dataset_builders.sources.streaming_simulation import SimulationConfig, read_streaming_simulation

EVENTS, ACCOUNTS = 10_000_000, 100_000


def test_ten_million_events_take_under_two_minutes(tmp_path, capsys):
    connection = connect(tmp_path, memory_limit="1GB")
    start = time.process_time()
    raw = read_streaming_simulation(connection, SimulationConfig(events=EVENTS, accounts=ACCOUNTS))
    seconds = time.process_time() - start
    simulated = int(raw.interactions.count().execute())
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    with capsys.disabled():
        print(f"\n{simulated:,} events in {seconds:.1f} s of processor time, peak {peak_gib:.2f} GiB")
    assert simulated > 0.97 * EVENTS
    assert seconds < 120
    assert peak_gib < 4
