"""How many processor cores this process may use: affinity and containers leave it fewer than there are."""

import math
import os
from pathlib import Path

__all__ = ["usable_cores"]

_CGROUPS = Path("/sys/fs/cgroup")


def usable_cores(cgroups: Path = _CGROUPS) -> int:
    """Return how many cores this process may use, at least 1.

    Args:
        cgroups: where Linux shows the limits of the container that this process is in.
    """
    # Not known everywhere (macOS).
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _quota(cgroups)
    # Part of a core is worth a thread of its own.
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _quota(cgroups: Path) -> float | None:
    """Return the cores' worth of time that a container may take; None where nothing limits it."""
    # The files of cgroup v2 and v1, as the kernel's documentation (cgroup-v2, sched-bwc) describes them.
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((cgroups / name).read_text() for name in names).split()
            if quota != "max" and int(quota) > 0 and int(period) > 0:
                return int(quota) / int(period)
        except (OSError, ValueError):
            continue
    return None
