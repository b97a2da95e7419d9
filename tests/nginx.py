"""A real nginx before a real service, below a prefix of a host that it shares with others."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import Processes, free_port

PREFIX = "/tools/thermowell"
HOW_TO_GET_ONE = "no nginx here. On Debian: apt-get install nginx-light"
CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr; {user}
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{port};
    location = {prefix} {{ return 308 {prefix}/; }}
    location {prefix}/ {{
      proxy_pass {upstream};
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      {said}
    }}
    location / {{ return 404 "another service"; }}
  }}
}}
"""


@contextmanager
def before(url: str, folder: Path, *, strip: bool = True, tell: bool = True) -> Iterator[str]:
    """The address of a service behind nginx, that takes its prefix away (`strip`) and says so in a header (`tell`)."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.fail(HOW_TO_GET_ONE)
    port = free_port()
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(
        CONFIGURATION.format(
            folder=folder, port=port, prefix=PREFIX, upstream=f"{url}/" if strip else url,
            said=f"proxy_set_header X-Forwarded-Prefix {PREFIX};" if tell else "",
            user="user root;" if os.geteuid() == 0 else "",
        )
    )  # fmt: skip
    programs = Processes(folder)
    try:
        started = programs.start(program, "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf")
        until = time.monotonic() + 20
        while not _listens(port):
            assert started.process.poll() is None, started.output()
            assert time.monotonic() < until, started.output()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}{PREFIX}"
    finally:
        programs.kill_all()


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
