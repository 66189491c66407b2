"""The peak of the memory of this process."""

import re
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def reset_peak() -> None:
    """Set the peak to what is resident now, where the system can."""
    if STATUS.exists():
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Return the peak of the resident memory since the last reset; where the system cannot reset, since the start."""
    if STATUS.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text()).group(1)) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
