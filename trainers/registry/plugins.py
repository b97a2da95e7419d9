"""The plugins of this process: records of installed packages that the operator has named, with the fingerprints of
their code; and those that other processes have published.

Only processes that train load them. Who only reads specs knows what workers have published, and imports nothing.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from thermowell.plugin import GROUP, NAME, Declaration, Kind, Parameter, Span, declarations
from trainers.errors import NameUnknown
from trainers.registry import lookup

WAY_IN = (
    "a plugin is there where its package is installed beside a worker and named in that worker's THERMOWELL_PLUGINS "
    "(docs/plugins.md)"
)


Function = Callable[..., Any]
"""A plugin's own."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A record of a plugin, the distribution that it comes from, and the fingerprint of that one's code; `function`
    only in processes that have loaded it.
    """

    declaration: Declaration
    distribution: str
    version: str
    fingerprint: str
    function: Function | None = field(default=None, compare=False)

    def document(self) -> dict[str, Any]:
        """As plain JSON, for a worker's heartbeat."""
        lists = {name: list(getattr(self.declaration, name)) for name in ("class_names", "targets")}
        origin = {"distribution": self.distribution, "version": self.version, "fingerprint": self.fingerprint}
        return {**asdict(self.declaration), **lists, **origin}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Plugin:
        """A record that a worker has published. ValueError, TypeError or KeyError where it is none."""
        content = dict(document)
        distribution, version, code = (str(content.pop(name)) for name in ("distribution", "version", "fingerprint"))
        content["arguments"] = {name: Parameter(**values) for name, values in content["arguments"].items()}
        content["class_names"] = tuple(content["class_names"])
        content["targets"] = tuple(content.get("targets", ("classes",)))
        settings = content.get("settings", {}).items()
        content["settings"] = {name: Span(**span) if isinstance(span, Mapping) else span for name, span in settings}
        return cls(Declaration(**content), distribution, version, code)


@dataclass(frozen=True, slots=True)
class Plugins:
    """Records by kind and name, and what could not be loaded: the plugin's name and why, in words."""

    records: Mapping[tuple[Kind, str], Plugin] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    enabled: tuple[str, ...] = ()

    def find(self, kind: Kind, name: str) -> Plugin | None:
        """The record of that kind and name, if there is one."""
        return self.records.get((kind, name))

    def unknown(self, kind: Kind, name: str, owner: str) -> str:
        """A sentence about a name that is not among these, with those that are and the way in."""
        noun = {"dataset": "data set", "loss": "distillation method"}.get(kind, kind)
        names = [key for of_kind, key in self.records if of_kind == kind]
        have = lookup.unknown(noun, name, names) if names else f"unknown {noun} {name!r}: {owner} has a plugin with one"
        broken = "".join(f"; {plugin} could not be loaded: {why}" for plugin, why in self.errors.items())
        return f"{have}; {WAY_IN}{broken}"


_loaded = Plugins()
_published: ContextVar[Plugins | None] = ContextVar("published", default=None)


def is_plugin(name: str) -> bool:
    """Whether a name is of a plugin's record."""
    return re.fullmatch(NAME, name) is not None


def loaded() -> Plugins:
    """What this process has loaded."""
    return _loaded


def published() -> Plugins | None:
    """What workers have published, for who reads a spec; None where nobody looked, and names are taken on trust."""
    return _published.get()


@contextmanager
def publishing(plugins: Plugins) -> Iterator[None]:
    """Within, specs may name these plugins and no others."""
    token = _published.set(plugins)
    try:
        yield
    finally:
        _published.reset(token)


def known(kind: Kind, name: str) -> Plugin | None:
    """The record of that kind and name among those that workers have published, or else that this process has loaded;
    None where there is none, or nobody looked.
    """
    return (published() or loaded()).find(kind, name)


def problems(kind: Kind, name: str) -> list[str]:
    """What is wrong with a name among those that workers have published; nothing where nobody looked."""
    catalogue = published()
    return (
        [] if catalogue is None or catalogue.find(kind, name) else [catalogue.unknown(kind, name, "no living worker")]
    )


def code_of(kind: Kind, name: str) -> tuple[Declaration, Function]:
    """What a record of this process was declared as, and its function. NameUnknown where there is none."""
    plugin = _loaded.find(kind, name)
    if plugin is None or plugin.function is None:
        raise NameUnknown(_loaded.unknown(kind, name, "none of this worker's packages"))
    return plugin.declaration, plugin.function


def check_code(kind: Kind, name: str, code: str | None) -> None:
    """NameUnknown where this process has no such record, or other code than that of a `code` that is given."""
    plugin = _loaded.find(kind, name)
    if plugin is None:
        raise NameUnknown(_loaded.unknown(kind, name, "none of this worker's packages"))
    if code and code != plugin.fingerprint:
        raise NameUnknown(
            f"{name} is not the code that the job began with: {plugin.distribution} {plugin.version} has "
            f"fingerprint {plugin.fingerprint}, not {code}"
        )


def load(names: Sequence[str]) -> Plugins:
    """Loads the plugins of these distributions or entry points into this process, in place of those before.

    A plugin that cannot be loaded is among the errors. Of a record that is there twice, neither is taken.
    """
    global _loaded
    records, errors = dict[tuple[Kind, str], Plugin](), dict[str, str]()
    ambiguous = set[tuple[Kind, str]]()
    for name, entry in _entries(names, errors):
        try:
            candidates = list(_records(entry))
        except (Exception, SystemExit) as error:  # whatever somebody's module raises: the worker lives
            errors[name] = f"{type(error).__name__}: {error}"
            continue
        for plugin in candidates:
            key = plugin.declaration.kind, plugin.declaration.name
            rival = records.get(key)
            if rival is not None and rival.function is not plugin.function:
                ambiguous.add(key)
                errors[plugin.declaration.name] = _twice(rival, plugin)
            records[key] = plugin
    unambiguous = {key: plugin for key, plugin in records.items() if key not in ambiguous}
    _loaded = Plugins(unambiguous, errors, tuple(names))
    return _loaded


def _twice(first: Plugin, second: Plugin) -> str:
    if first.distribution == second.distribution:
        return f"{first.distribution} has two of that name: rename one"
    return f"both {first.distribution} and {second.distribution} have it: name one of them in THERMOWELL_PLUGINS"


def _entries(names: Sequence[str], errors: dict[str, str]) -> Iterator[tuple[str, metadata.EntryPoint]]:
    """The entry points of the operator's names, each once."""
    entries = list(metadata.entry_points(group=GROUP))
    pairs = set[tuple[str, str]]()
    for name in names:
        normal_name = _normal(name)
        matches = [entry for entry in entries if normal_name in (_normal(entry.name), _normal(_distribution(entry)[0]))]
        if not matches:
            distributions = sorted({_distribution(entry)[0] for entry in entries})
            errors[name] = (
                f"no installed distribution or entry point of that name is in the group {GROUP}; there are "
                f"{', '.join(distributions) or 'none'}"
            )
        for entry in matches:
            key = entry.value, _distribution(entry)[0]
            if key not in pairs:
                pairs.add(key)
                yield name, entry


def _records(entry: metadata.EntryPoint) -> Iterator[Plugin]:
    content = entry.load()
    functions = vars(content).values() if isinstance(content, ModuleType) else [content]
    distribution, version = _distribution(entry)
    fingerprint = _fingerprint(distribution, version, entry.module)
    plugins = [
        Plugin(declaration, distribution, version, fingerprint, function)
        for function in functions
        for declaration in declarations(function)
    ]
    if not plugins:
        raise ValueError(f"{entry.value} declares nothing: use the decorators of thermowell.plugin in it")
    yield from plugins


def _distribution(entry: metadata.EntryPoint) -> tuple[str, str]:
    return ("", "") if entry.dist is None else (entry.dist.name, entry.dist.version)


def _fingerprint(distribution: str, version: str, module: str) -> str:
    """Hex digest of a distribution's version and of all Python sources of its module's package."""
    top = importlib.util.find_spec(module.partition(".")[0])
    content = hashlib.sha256(f"{_normal(distribution)} {version}".encode())
    for place in () if top is None else (top.submodule_search_locations or [top.origin or ""]):
        root = Path(place)
        for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            content.update(f"\n{path.relative_to(root)}\n".encode())
            content.update(path.read_bytes())
    return content.hexdigest()[:16]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
