"""What the operating system says of this process and this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def peak_resident_bytes() -> int:
    """The most memory this process ever held, in bytes: VmHWM on Linux, else getrusage; 0 where neither is there.

    VmHWM is this process's own; ru_maxrss would carry over the parent's across an exec.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def job_threads() -> int:
    """CPU threads that this job may use: what Snakemake granted it (OMP_NUM_THREADS), else one for each core."""
    granted = os.environ.get("OMP_NUM_THREADS", "")
    return int(granted) if granted.isdecimal() and int(granted) > 0 else os.cpu_count() or 1
