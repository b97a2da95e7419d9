"""Brings a data set below the data root, before any job needs it: `python -m trainers.fetch NAME --root DIR`.

From where a package of the system put it, else from the network by torchvision. `list` shows what is there.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock
from torchvision.datasets.utils import check_integrity

from trainers.catalogue import DATASETS, check_dataset
from trainers.data import sources

EXIT_OK, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_UNWRITABLE = 0, 2, 3, 4

PACKAGED: dict[str, tuple[Path, str]] = {
    "FashionMNIST": (Path("/usr/share/datasets/fashion-mnist"), "Debian's dataset-fashion-mnist"),
}
"""Where a package of the operating system puts a set: the folder and the package."""

_LAYS: dict[str, str] = {
    "MNIST": "MNIST/raw",
    "FashionMNIST": "FashionMNIST/raw",
    "CIFAR10": "cifar-10-batches-py",
    "CIFAR100": "cifar-100-python",
    "SVHN": "test_32x32.mat",
    "STL10": "stl10_binary",
    "Flowers102": "flowers-102",
    "OxfordIIITPet": "oxford-iiit-pet",
    "Food101": "food-101",
}
_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")


class NotFetched(Exception):
    """The set could not be had; the message says from where and what to do."""


class NothingToFetch(Exception):
    """There is no such set, or its files are the user's own."""


def fetch(name: str, root: Path) -> str:
    """Lays the set below `root` and answers what was done, in a sentence.

    One process at a time fetches a set. It appears below the root complete, or not at all.
    Raises NothingToFetch, NotFetched, or OSError where the root cannot be written.
    """
    problems = check_dataset(name)
    if problems:
        raise NothingToFetch("; ".join(problems))
    entry = DATASETS[name]
    if entry.fetched_by == "nothing":
        return f"{name} needs no fetching: it is installed with scikit-learn"
    if entry.fetched_by == "yourself":
        raise NothingToFetch(f"{name} is made of files of your own: put them below {root}")
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f".fetch-{name}.lock"):
        if _complete(name, root):
            return f"{name} is below {root} already"
        with tempfile.TemporaryDirectory(prefix=f".fetch-{name}-", dir=root) as folder:
            partial = Path(folder)
            origin = _from_package(name, partial) or _from_network(name, partial)
            if not _complete(name, partial):
                raise NotFetched(f"{name} came from {origin} incomplete or damaged, and nothing was kept: try again")
            _move(partial, root)
    return f"{name} is now below {root}, from {origin}"


def present(root: Path) -> dict[str, bool]:
    """For each set that has a name of its own, whether its files lie below `root` (not opened, so not proved whole)."""
    return {
        name: entry.fetched_by == "nothing" or (root / _LAYS[name]).exists()
        for name, entry in DATASETS.items()
        if entry.fetched_by != "yourself"
    }


def _complete(name: str, root: Path) -> bool:
    """Whether torchvision can open all parts; its own check sums decide."""
    try:
        for test in (False, True):
            sources.open_torchvision(name, root, test)
    except (RuntimeError, OSError, EOFError, ValueError):
        return False
    return True


def _from_package(name: str, partial: Path) -> str | None:
    """Unpacks what a system package holds; None where it is not installed."""
    folder, package = PACKAGED.get(name, (None, ""))
    if folder is None or not folder.is_dir():
        return None
    raw = partial / name / "raw"
    raw.mkdir(parents=True)
    for stem in _IDX:
        packed = next(folder.rglob(f"{stem}.gz"), None)
        if packed is None or not check_integrity(str(packed)):
            raise NotFetched(f"{package} at {folder} has no {stem}.gz: install it again")
        with gzip.open(packed) as compressed, (raw / stem).open("wb") as plain:
            shutil.copyfileobj(compressed, plain)
    return f"{package} ({folder})"


def _from_network(name: str, partial: Path) -> str:
    try:
        for test in (False, True):
            sources.open_torchvision(name, partial, test, download=True)
    except (
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
    ) as error:  # torchvision wraps what it cannot download variously
        packaged = f", or install {PACKAGED[name][1]} and try again" if name in PACKAGED else ""
        raise NotFetched(
            f"{name} could not be downloaded ({error}); fetch it where there is a network and copy it{packaged}"
        ) from error
    return "the network"


def _move(partial: Path, root: Path) -> None:
    """Moves the finished files, archives left out; what lay there incomplete makes way."""
    for entry in sorted(partial.iterdir()):
        if entry.name.endswith(_ARCHIVES):
            continue
        target = root / entry.name
        if target.exists():
            target.rename(partial / f"{entry.name}.replaced")
        os.replace(entry, target)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 2 no such set, 3 it could not be had, 4 the root cannot be written."""
    parser = argparse.ArgumentParser(
        prog="python -m trainers.fetch", description="Bring a data set below the data root."
    )
    parser.add_argument("name", metavar="NAME", help="a data set of the catalogue, or `list` to see what is there")
    parser.add_argument("--root", type=Path, required=True, help="the data root")
    options = parser.parse_args(arguments)
    if options.name == "list":
        for name, is_present in present(options.root).items():
            print(f"{'present' if is_present else 'absent ':<8} {name:<14} {DATASETS[name].summary}")
        return EXIT_OK
    try:
        print(fetch(options.name, options.root))
    except NothingToFetch as error:
        return _refuse(error, EXIT_USAGE)
    except NotFetched as error:
        return _refuse(error, EXIT_UNREACHABLE)
    except OSError as error:
        return _refuse(error, EXIT_UNWRITABLE)
    return EXIT_OK


def _refuse(error: Exception, code: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
