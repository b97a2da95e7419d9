"""The engine, the base images and the stack that the container tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.containers import stack as stacks
from tests.containers.engine import Engine, NoEngine, engine
from tests.containers.stack import Stack
from tests.containers.standins import Bases, bases


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Engine]:
    """A container engine; the tests that want one are skipped, and say why, where there is none."""
    try:
        opened = engine()
        found = opened.__enter__()
    except NoEngine as missing:
        pytest.skip(f"NO CONTAINER ENGINE: {missing}")
    try:
        yield found
    finally:
        opened.__exit__(None, None, None)


@pytest.fixture(scope="session")
def base_images(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bases]:
    """What the images are built from."""
    opened = bases(docker_engine, tmp_path_factory.mktemp("bases"))
    try:
        found = opened.__enter__()
    except NoEngine as missing:
        pytest.skip(f"NO BASE IMAGES: {missing}")
    try:
        yield found
    finally:
        opened.__exit__(None, None, None)


@pytest.fixture(scope="session")
def built(docker_engine: Engine, base_images: Bases, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The compose project with its images built and nothing up."""
    stack = stacks.prepared(docker_engine, base_images, tmp_path_factory.mktemp("stack"))
    stack.build()
    return stack
