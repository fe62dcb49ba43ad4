"""Make a virtual environment with nothing but a Python: `python3 scripts/make_venv.py .venv`.

Debian's python3 comes without `ensurepip` (it is in python3-venv). Then pip is fetched from PyPI, checked against
the index's SHA-256, and installs itself, so that `make demo` asks nobody to install anything.
"""

import hashlib
import json
import os
import ssl
import subprocess
import sys
import tempfile
import urllib.request
import venv
from pathlib import Path
from urllib.parse import urljoin

INDEX = "https://pypi.org/pypi/pip/json"
OLDEST = (3, 11)


def main(folder: Path) -> None:
    """Make the environment, or go on where an interrupted run was."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"Instep needs Python 3.11 or later, this is {found}; try: make PYTHON=python3.12 demo")
    builder = venv.EnvBuilder(symlinks=os.name != "nt")
    builder.create(folder)
    python = Path(builder.ensure_directories(folder).env_exe)
    if subprocess.run([python, "-c", "import pip"], stderr=subprocess.DEVNULL).returncode == 0:
        return
    if (
        subprocess.run(
            [python, "-m", "ensurepip", "--upgrade", "--default-pip"], capture_output=True
        ).returncode
        == 0
    ):
        return
    print("This Python has no ensurepip; fetching pip from PyPI ...", file=sys.stderr)
    with tempfile.TemporaryDirectory() as place:
        wheel = fetch_pip(Path(place))
        subprocess.run([python, wheel / "pip", "install", "--quiet", wheel], check=True)


def fetch_pip(place: Path) -> Path:
    """The newest pip's wheel in a folder; a wheel of pip can be run without being installed."""
    certificates = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    context = ssl.create_default_context(cafile=certificates)
    with urllib.request.urlopen(INDEX, context=context) as answer:
        files = json.load(answer)["urls"]
    file = next(file for file in files if file["packagetype"] == "bdist_wheel")
    address = urljoin(INDEX, file["url"])  # mirrors give relative addresses
    with urllib.request.urlopen(address, context=context) as answer:
        content = answer.read()
    if hashlib.sha256(content).hexdigest() != file["digests"]["sha256"]:
        sys.exit(f"{address}: the download does not match its SHA-256; try again")
    wheel = place / file["filename"]
    wheel.write_bytes(content)
    return wheel


if __name__ == "__main__":
    main(Path(sys.argv[1]))
