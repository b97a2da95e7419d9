"""The list of a job's plots, by name. Each is made from the job's state alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from search.requests.job_view import JobView
from service.plots.confirmed import gains, seeds
from service.plots.curves import best_so_far, curves, lanes
from service.plots.data import PlotData
from service.plots.maps import interactions
from service.plots.quality import importances, parallel, pareto
from service.plots.response import marginal, optimizers, response
from service.plots.softness import softness

Name = Literal[
    "response", "optimizers", "marginal", "interactions", "curves", "gains", "softness", "importances",
    "best", "lanes", "pareto", "parallel", "seeds",
]  # fmt: skip
PLOTS: Mapping[Name, Callable[[JobView], PlotData]] = {
    "response": response,
    "best": best_so_far,
    "lanes": lanes,
    "optimizers": optimizers,
    "marginal": marginal,
    "interactions": interactions,
    "gains": gains,
    "seeds": seeds,
    "pareto": pareto,
    "parallel": parallel,
    "softness": softness,
    "curves": curves,
    "importances": importances,
}
DASHBOARD: tuple[Name, ...] = (
    "response",
    "optimizers",
    "interactions",
    "curves",
    "gains",
    "softness",
    "pareto",
    "seeds",
)
"""Those that Optuna Dashboard does not draw by itself."""


def plot(name: Name, view: JobView) -> PlotData:
    """The plot of this name. KeyError for others."""
    return PLOTS[name](view)
