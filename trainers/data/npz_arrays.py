"""Arrays of npz files, of which a block of rows is in memory at once."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from trainers.errors import DatasetInvalid

_UNREADABLE = (
    ValueError, OSError, EOFError, KeyError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
Header = tuple[tuple[int, ...], bool, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class NpzFile:
    """An npz file of the user's; `name` is what messages call it."""

    path: Path
    name: str

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """The file as numpy opens it. DatasetInvalid where it is none."""
        with ExitStack() as stack:
            try:
                stream = stack.enter_context(self.path.open("rb"))
                file = np.load(stream, allow_pickle=False)
            except _UNREADABLE as error:
                raise DatasetInvalid(f"{self.name} is not an npz file: {error}") from error
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise DatasetInvalid(f"{self.name} is one array; an npz file with images and labels is needed")
            yield stack.enter_context(file)

    def keys(self) -> list[str]:
        """The names of its arrays."""
        with self.opened() as file:
            return list(file.files)

    def read(self, key: str) -> NDArray[Any]:
        """One array as a whole. DatasetInvalid."""
        with self.opened() as file, _reading(key, self.name):
            values: NDArray[Any] = np.asarray(file[key])
        return values

    def array(self, key: str) -> StoredArray:
        """What an array's header says, without a look at its content; the content where it does not say it."""
        try:
            with self.opened() as file, file.zip.open(f"{key}.npy") as member:
                shape, by_columns, dtype = _header(member)
        except _UNREADABLE:
            by_columns, dtype = True, np.dtype(object)
        if by_columns or dtype.hasobject or not shape:
            values = self.read(key)
            return StoredArray(self, key, values.shape, values.dtype, in_rows=False)
        return StoredArray(self, key, shape, dtype, in_rows=True)


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array of an npz file by its header. `in_rows` says whether its rows lie there one after the other."""

    file: NpzFile
    key: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    in_rows: bool

    def blocks(self, length: int) -> Iterator[NDArray[Any]]:
        """Its rows, so many at a time. DatasetInvalid where the file is damaged."""
        if not self.in_rows:
            values = self.file.read(self.key)
            for start in range(0, len(values), length):
                yield values[start : start + length]
            return
        width = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        with self.file.opened() as file, _reading(self.key, self.file.name), file.zip.open(f"{self.key}.npy") as member:
            _header(member)
            for start in range(0, self.shape[0], length):
                count = min(length, self.shape[0] - start)
                content = member.read(count * width)
                if len(content) < count * width:
                    raise EOFError(f"it ends within image {start + len(content) // max(1, width)}")
                yield np.frombuffer(content, self.dtype).reshape(count, *self.shape[1:])
            member.read(1)  # at its end the checksum is compared


@contextmanager
def _reading(key: str, name: str) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        raise DatasetInvalid(
            f"{key} of {name} cannot be read (objects are refused: save names with astype(str), and numbers with a "
            f"type of their own): {error}"
        ) from error


def _header(member: IO[bytes]) -> Header:
    """Shape, whether columns come first, and type; the array's content is what is read next. KeyError."""
    answer: Header = _HEADERS[np.lib.format.read_magic(member)](member)
    return answer
