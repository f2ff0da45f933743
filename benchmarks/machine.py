"""The machine that a result was measured on, and the versions of everything that was compared."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "scipy", "pyarrow", "ray", "torch", "jax", "jaxlib", "optuna", "joblib")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def describe() -> dict[str, Any]:
    """Processor, cores that may be used, caches of one core, memory, system, BLAS, versions, date, commit."""
    import numpy  # noqa: F401  (its BLAS must be loaded to be seen)
    import psutil
    from threadpoolctl import threadpool_info

    blas = [one for one in threadpool_info() if one["user_api"] == "blas"]
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "caches": _caches(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "blas": [f"{b['internal_api']} {b['version']} {b.get('architecture', '')}".strip() for b in blas],
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def slug(machine: dict[str, Any]) -> str:
    """A short name for files: amd-epyc-2-cores."""
    words = re.sub(r"\(.*?\)|CPU|Processor|@.*", " ", machine["cpu"])
    text = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
    return f"{text or 'machine'}-{machine['cores']}-cores"


def one_line(machine: dict[str, Any]) -> str:
    """The machine as people say it."""
    caches = ", ".join(f"{name} {size}" for name, size in machine["caches"].items())
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores ({caches}), {machine['memory_gib']:g} GiB, "
        f"{machine['system']}; Python {machine['python']}, {', '.join(machine['blas'])}, {versions}; "
        f"{machine['date']}, commit {machine['commit'] or 'unknown'}"
    )


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _caches() -> dict[str, str]:
    """L1d, L2, L3 as one core sees them; empty where the system does not say."""
    found = {}
    for index in sorted(_CACHES.glob("index*")):
        try:
            level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if kind != "Instruction":
            found[f"L{level}{'d' if kind == 'Data' else ''}"] = size
    return found


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The checkout's commit, with + where files differ from it."""
    root = Path(__file__).parent.parent
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
