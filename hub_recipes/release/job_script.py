# /// script
# requires-python = ">=3.10"
# dependencies = ["logs2lang[train] @ file:///dist/logs2lang-0.1.0-py3-none-any.whl"]
# ///
"""What a Hugging Face Job runs: one command, in the bucket that keeps what is built and trained.

`logs2lang jobs` prints the commands that start it. The wheel beside the script is this very checkout, so a Job has the
code and the dependencies that pyproject declares.
"""

import os
import subprocess
import sys
from pathlib import Path

BUCKET = Path("/runs")


def main(words: list[str]) -> int:
    """Run a command from the folder of the bucket; recipes are those of the installed package.

    Args:
        words (`list[str]`): `logs2lang ...`, or `accelerate launch ...` for several GPUs.
    """
    import logs2lang

    shipped = Path(logs2lang.__file__).parent
    prefix = "hub_recipes/configs/"
    paths = [str(shipped / word.removeprefix("hub_recipes/")) if word.startswith(prefix) else word for word in words]
    # Beside the interpreter of this environment, which need not be on PATH.
    program = Path(sys.executable).with_name(paths[0])
    return subprocess.run([str(program), *paths[1:]], cwd=BUCKET, env=os.environ).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
