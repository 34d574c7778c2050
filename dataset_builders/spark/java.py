"""The Java that Spark runs on: which one there is, and what to do where there is none."""

import os
import re
import shutil
import subprocess
from pathlib import Path

MIN_JAVA = 17
REMEDY = (
    f"Install Java {MIN_JAVA} or later, such as `apt-get install openjdk-17-jre-headless`, and set JAVA_HOME if "
    "`java` is not on the PATH."
)

_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def java_version() -> int | None:
    """The version of the Java that Spark would start, such as 17; `None` where there is none."""
    home = os.environ.get("JAVA_HOME")
    program = Path(home) / "bin" / "java" if home else shutil.which("java")
    if program is None:
        return None
    try:
        said = subprocess.run([str(program), "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        return None
    found = _VERSION.search(said)
    return int(found[1]) if found else None
