"""A run in a process of its own: `refresh_slowly.py DATASET STORE EDITION SECONDS`, the seconds spent on each text.

It prints a line when it begins to write, and at the end how many texts it wrote.
"""

import sys
import time
from pathlib import Path

from logs2lang.dataset_builders.dataset_folder.stored_histories import NewestHistories
from logs2lang.stores import refreshing
from logs2lang.stores.opening import open_store
from logs2lang.stores.refreshing import Refresher, to_revision
from logs2lang.verbalizers.template import TemplateVerbalizer


class SlowVerbalizer(TemplateVerbalizer):
    def verbalize(self, histories, progress=None):
        print("writing", flush=True)
        time.sleep(float(sys.argv[4]) * len(histories))
        return super().verbalize(histories, progress)


refreshing.BY_RULE = 2
with open_store(sys.argv[2]) as store:
    verbalizer = SlowVerbalizer()
    revision = to_revision("template", verbalizer, sys.argv[3])
    print(Refresher(NewestHistories(Path(sys.argv[1])), verbalizer, revision, store).run().written, flush=True)
