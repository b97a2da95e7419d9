"""The place where pip takes packages from on this machine, as a build in a container understands it.

Folders cannot be reached from a build: they are served to it, on the engine's own bridge alone. Files are handed over
by content.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

PORT = 18231  # tried first: an address that stays the same keeps what was built with it usable
PLACES = ("index-url", "extra-index-url", "find-links")
FILES = {"cert": "pip-certificates.pem", "constraint": "pip-constraints.txt"}
PLAIN = ("timeout", "default-timeout", "retries", "trusted-host", "no-index")


def configuration() -> dict[str, str]:
    """pip's own configuration here: option to value, of its files, its `install` section and its environment."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    pairs = [line.split("=", 1) for line in lines if "=" in line]
    found: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):  # the later one counts
        found |= {key.removeprefix(section): ast.literal_eval(text) for key, text in pairs if key.startswith(section)}
    return found


def folder_of(place: str) -> Path | None:
    """The folder that a `file:` address or a path names; None for an address of another machine."""
    parts = urlsplit(place)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme in ("http", "https") else Path(place).expanduser().resolve()


class _Quiet(SimpleHTTPRequestHandler):
    """Serves /0/, /1/ ... from the folders it was given, and says nothing."""

    def __init__(self, *arguments: object, folders: list[Path]) -> None:
        self.folders = folders
        super().__init__(*arguments)  # type: ignore[arg-type]

    def translate_path(self, path: str) -> str:
        number, _, rest = path.lstrip("/").partition("/")
        if not number.isdecimal() or int(number) >= len(self.folders):
            return "/nonexistent"
        self.directory = str(self.folders[int(number)])
        return super().translate_path(f"/{rest}")

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: pip asks hundreds of times."""


@contextmanager
def served(options: Mapping[str, str], directory: Path, address: str) -> Iterator[None]:
    """Writes a pip.conf and the files it names into `directory`; what it names of this machine is served meanwhile."""
    folders: list[Path] = []
    server = _listen(address, folders)
    port = server.server_address[1]
    lines = ["[global]", "disable-pip-version-check = true"]

    def reachable(option: str, place: str) -> str:
        folder = folder_of(place)
        if folder is None:
            return place
        # The pages of an index point to files beside it.
        served_from, below = (folder.parent, f"{folder.name}/") if option.endswith("index-url") else (folder, "")
        folders.append(served_from)
        return f"http://{address}:{port}/{len(folders) - 1}/{below}"

    trusted = [address, *options.get("trusted-host", "").split()]
    for option, value in sorted({**options, "trusted-host": " ".join(trusted)}.items()):
        if option in PLACES:
            lines.append(f"{option} = {' '.join(reachable(option, each) for each in value.split())}")
        elif option in FILES:
            shutil.copyfile(value, directory / FILES[option])
            lines.append(f"{option} = /etc/{FILES[option]}")
        elif option in PLAIN:
            lines.append(f"{option.removeprefix('default-')} = {value}")
    (directory / "pip.conf").write_text("\n".join(lines) + "\n")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _listen(address: str, folders: list[Path]) -> ThreadingHTTPServer:
    handler = partial(_Quiet, folders=folders)
    try:
        return ThreadingHTTPServer((address, PORT), handler)
    except OSError:  # somebody else is there
        return ThreadingHTTPServer((address, 0), handler)
