"""What a table of speeds was measured on, in words for its caption."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "ai-edge-litert")


def processor() -> str:
    """Name of the processor, number of its cores, and system: "AMD EPYC, 2 cores, Linux x86_64"."""
    name = platform.processor()
    if CPU_INFO.is_file():
        lines = (line.partition(":") for line in CPU_INFO.read_text(encoding="utf-8").splitlines())
        name = next((value.strip() for key, _, value in lines if key.strip() == "model name"), name)
    kind = f"{platform.system()} {platform.machine()}"
    return f"{name or 'unnamed processor'}, {os.cpu_count()} cores, {kind}"


def versions(packages: Sequence[str] = PACKAGES) -> str:
    """Versions of Python and of those packages that are installed: "python 3.11.7, keras 3.15.1"."""
    found = [f"python {platform.python_version()}"]
    for name in packages:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
