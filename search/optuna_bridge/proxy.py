"""The gRPC proxy of Optuna's storage over our mirror storage, for workers without a connection to Optuna's tables.

It knows no keys: whoever reaches its port may read and change every study. Leases and results do not go through it.
"""

from __future__ import annotations

import argparse
import signal
import sys
import warnings
from collections.abc import Sequence

import optuna

from search.errors import SettingsInvalid
from search.optuna_bridge.study import optuna_storage
from search.settings import Settings, read_settings
from search.storage.db import open_database

PORT = 13000  # as Optuna's own


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT, and ends with 0 then; with 1 where it cannot listen."""
    parser = argparse.ArgumentParser(prog="python -m search.optuna_bridge.proxy", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT)
    options = parser.parse_args(arguments)
    try:
        settings = read_settings(Settings)
    except SettingsInvalid as error:
        print(error, file=sys.stderr)
        return 2
    storage = optuna_storage(open_database(settings.database_url))
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: sys.exit(0))
    print(f"Optuna's storage is served at {options.host}:{options.port}", file=sys.stderr, flush=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            optuna.storages.run_grpc_proxy_server(storage, host=options.host, port=options.port)
        except RuntimeError as error:  # of gRPC, where the port is taken
            print(f"cannot listen at {options.host}:{options.port}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
