"""The optimizers: one record each. A new one is added here, in `trainers.training.optim` and in
`trainers.engines.bank_kernels`; nothing else names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from thermowell.plugin import Span
from trainers.registry import lookup, plugins

COMMON = ("learning_rate", "weight_decay")
"""What every optimizer has."""
NUMBERS = (*COMMON, "momentum")
"""All settings that may be searched, in the order in which they are asked for."""
SETTINGS = (*NUMBERS, "nesterov")
"""All settings: the fields of `trainers.spec.Optimizer`."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From low to high, on a logarithmic scale where log is true."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting in a search space: what it is unless given, and from where to where it may go.

    A default that is a bool makes a switch, which is never searched; `needs` names a setting that must be positive
    where the switch is on. `log`: a range is logarithmic unless it says otherwise.
    """

    name: str
    default: Interval | float | bool
    low: float = 0.0
    high: float = 1.0
    low_open: bool = False
    log: bool = False
    needs: str | None = None

    @property
    def switch(self) -> bool:
        """Whether it is on or off, and no number."""
        return isinstance(self.default, bool)


@dataclass(frozen=True, slots=True)
class OptimizerRecord:
    """An optimizer by name.

    `group` names the settings in the spec's schema, and `group_summary` describes them: optimizers of one group have
    the same settings. Settings of one `family` say something about each other: a learning rate found with one is a
    first guess for another. `colour` is that of its curves by day and by night. `package` and `key` say where other
    projects find it; mdistiller's trainer makes `mdistiller` ones alone. `searched`: in a space that names none.
    """

    name: str
    label: str
    group: str
    group_summary: str
    settings: tuple[Setting, ...]
    family: Literal["momentum", "adaptive", "sign", "plugin"]
    colour: tuple[str, str]
    key: str
    citation: str
    package: str = "torch.optim"
    mdistiller: bool = False
    searched: bool = False

    def setting_names(self) -> tuple[str, ...]:
        """The names of its settings in the order of `SETTINGS`."""
        names = {setting.name for setting in self.settings}
        return tuple(name for name in SETTINGS if name in names)


def _rate(low: float, high: float) -> Setting:
    return Setting("learning_rate", Interval(low, high, log=True), high=1e3, low_open=True, log=True)


def _decay(low: float, high: float) -> Setting:
    return Setting("weight_decay", Interval(low, high, log=True), log=True)


def _momentum(default: float) -> Setting:
    return Setting("momentum", default, high=0.9999)


_ADAM = ("Adam", "Adam's and AdamW's settings", (_rate(1e-4, 1e-1), _decay(1e-6, 1e-1)))

OPTIMIZERS: Mapping[str, OptimizerRecord] = {
    record.name: record
    for record in (
        OptimizerRecord(
            name="sgd",
            label="SGD",
            group="Sgd",
            group_summary="Stochastic gradient descent's settings",
            settings=(
                _rate(1e-3, 1.0),
                _momentum(0.9),
                Setting("nesterov", default=False, needs="momentum"),
                _decay(1e-6, 1e-2),
            ),
            family="momentum",
            colour=("#c25a00", "#f2994a"),
            key="SGD",
            citation="Sutskever et al. 2013",
            mdistiller=True,
            searched=True,
        ),
        OptimizerRecord(
            "adam",
            "Adam",
            *_ADAM,
            family="adaptive",
            colour=("#00805a", "#3cc79a"),
            key="Adam",
            citation="Kingma & Ba 2015, arXiv:1412.6980",
        ),
        OptimizerRecord(
            "adamw",
            "AdamW",
            *_ADAM,
            family="adaptive",
            colour=("#0b66b3", "#62b0f0"),
            key="AdamW",
            citation="Loshchilov & Hutter 2019, arXiv:1711.05101",
            searched=True,
        ),
        OptimizerRecord(
            name="lion",
            label="Lion",
            group="Lion",
            group_summary="Lion's settings",
            settings=(_rate(1e-5, 1e-2), _decay(1e-5, 1.0)),
            family="sign",
            colour=("#a8326e", "#e58ab8"),
            key="Lion",
            citation="Chen et al. 2023, arXiv:2302.06675",
            package="lion_pytorch",
        ),
        OptimizerRecord(
            name="rmsprop",
            label="RMSprop",
            group="RMSprop",
            group_summary="RMSprop's settings",
            settings=(_rate(1e-4, 1e-1), _momentum(0.0), _decay(1e-6, 1e-2)),
            family="adaptive",
            colour=("#8a6d00", "#d9b93f"),
            key="RMSprop",
            citation="Tieleman & Hinton 2012",
        ),
        OptimizerRecord(
            name="nadam",
            label="NAdam",
            group="NAdam",
            group_summary="NAdam's settings",
            settings=(_rate(1e-4, 1e-1), _decay(1e-6, 1e-1)),
            family="adaptive",
            colour=("#006d77", "#5cc8d0"),
            key="NAdam",
            citation="Dozat 2016",
        ),
    )
}
DEFAULT = next(iter(OPTIMIZERS))
"""The optimizer of a teacher that names none."""
SEARCHED = tuple(record.name for record in OPTIMIZERS.values() if record.searched)
"""The optimizers of a space that names none."""
LABELS: Mapping[str, str] = {record.name: record.label for record in OPTIMIZERS.values()}


def get(name: str) -> OptimizerRecord:
    """The record of that name; of a plugin's optimizer what is known of it here. NameUnknown."""
    if plugins.is_plugin(name):
        return _of_plugin(name)
    return lookup.find("optimizer", name, OPTIMIZERS)


def has(name: str, setting: str) -> bool:
    """Whether the optimizer has such a setting; False for a name that only a newer version knows."""
    return (plugins.is_plugin(name) or name in OPTIMIZERS) and setting in get(name).setting_names()


OF_PLUGINS = (_rate(1e-4, 1e-1), _decay(1e-6, 1e-2), _momentum(0.9))
"""The settings that a plugin's optimizer may have."""


def owners(setting: str) -> list[str]:
    """The optimizers that have such a setting."""
    return [name for name in OPTIMIZERS if has(name, setting)]


def _of_plugin(name: str) -> OptimizerRecord:
    """A plugin's optimizer as a record; one that is not known here has all settings that one may have."""
    plugin = plugins.known("optimizer", name)
    settings: tuple[Setting, ...] = OF_PLUGINS
    if plugin is not None:
        spans = plugin.declaration.settings
        defaults = {
            setting: Interval(span.low, span.high, span.log) if isinstance(span, Span) else span
            for setting, span in spans.items()
        }
        settings = tuple(
            replace(setting, default=defaults[setting.name]) for setting in OF_PLUGINS if setting.name in spans
        )
    return OptimizerRecord(
        name=name,
        label=name,
        group="Plugin",
        group_summary="A plugin's settings",
        settings=settings,
        family="plugin",
        colour=("#5c5c5c", "#a6a6a6"),
        key=name,
        citation="",
        package="plugin",
    )


def by_owners(settings: Sequence[str]) -> list[tuple[str, str]]:
    """These settings, grouped by the optimizers that have them, both in words: ("momentum and nesterov", "sgd")."""
    groups: dict[str, list[str]] = {}
    for name in settings:
        groups.setdefault(" and ".join(owners(name)), []).append(name)
    return [(" and ".join(names), holders) for holders, names in groups.items()]


def relatives(name: str, among: Sequence[str]) -> list[str]:
    """Those of some optimizers that are of the same family, without the optimizer itself."""
    if name not in OPTIMIZERS:
        return []
    family = OPTIMIZERS[name].family
    return [
        candidate
        for candidate in among
        if candidate != name and candidate in OPTIMIZERS and OPTIMIZERS[candidate].family == family
    ]
