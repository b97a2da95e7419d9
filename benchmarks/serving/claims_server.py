"""The peers' servers, as their documentation starts them, each with its studies: `optuna URL PORT`, or `vizier URL`.

    python -m benchmarks.serving.claims_server '{"side": "optuna", "url": "...", "port": 1, "jobs": 32, ...}'

Runs in the peer's own environment: says in one line where it is and what its studies are called, and then serves until
it is killed.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

RANGES = {"temperature": (1.0, 20.0), "kd_weight": (0.1, 1.0), "p0": (0.0, 1.0), "p1": (0.0, 1.0), "p2": (0.0, 1.0)}
VIZIERS = {"random": "RANDOM_SEARCH", "tpe": "DEFAULT", "gp": "DEFAULT"}


def serve_optuna(asked: dict[str, Any]) -> None:
    """A gRPC proxy over PostgreSQL, and studies that have finished trials."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(asked["url"])
    ranges: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.FloatDistribution(low, high, log=name == "temperature")
        for name, (low, high) in RANGES.items()
    }
    for name in asked["jobs"]:
        study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
        study.add_trials(
            [
                optuna.trial.create_trial(params=row["parameters"], distributions=ranges, value=row["value"])
                for row in asked["rows"]
            ]
        )
    threading.Timer(1.0, lambda: print(json.dumps({"base": f"127.0.0.1:{asked['port']}"}), flush=True)).start()
    optuna.storages.run_grpc_proxy_server(storage, host="127.0.0.1", port=asked["port"])


def serve_vizier(asked: dict[str, Any]) -> None:
    """Vizier's default server, and its studies; they have no trials yet, which favours it."""
    from vizier.service import clients, servers
    from vizier.service import pyvizier as vz

    server = servers.DefaultVizierServer(database_url=asked["url"]) if asked["url"] else servers.DefaultVizierServer()
    clients.environment_variables.server_endpoint = server.endpoint
    names = []
    for name in asked["jobs"]:
        config = vz.StudyConfig(algorithm=VIZIERS[asked["sampler"]])
        for parameter, (low, high) in RANGES.items():
            config.search_space.root.add_float_param(parameter, low, high)
        config.metric_information.append(vz.MetricInformation("accuracy", goal=vz.ObjectiveMetricGoal.MAXIMIZE))
        study = clients.Study.from_study_config(config, owner="benchmark", study_id=name)
        names.append(study.resource_name)
    print(json.dumps({"base": server.endpoint, "jobs": names}), flush=True)
    threading.Event().wait()


def main() -> int:
    asked = json.loads(sys.argv[1])
    {"optuna": serve_optuna, "vizier": serve_vizier}[asked["side"]](asked)
    return 0


if __name__ == "__main__":
    sys.exit(main())
