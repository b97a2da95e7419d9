"""Bases of all documents, and how one is read.

Documents that are stored whole are models; those that are made of rows are frozen dataclasses, which cost nothing to
make: they are validated where they enter or leave a program, by `read_document`.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Kind = TypeVar("Kind")


class Document(BaseModel):
    """Base of all documents that are stored whole: closed and unchanging."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Record:
    """Base of all documents that are made of rows."""

    __pydantic_config__ = ConfigDict(revalidate_instances="always")


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable(Record):
    """Base of those documents that are sent without what of them cannot be read."""

    unreadable: Annotated[
        str | None, Field(description="what of it is stored and cannot be read, and is left out here")
    ] = None


def read_document(kind: type[Kind], content: Any) -> Kind:
    """Reads a document that a service sent, or a record with these fields. Fields that only a newer service knows are
    left out.

    Raises:
        pydantic.ValidationError: It is some other document.
    """
    adapter: TypeAdapter[Kind] = _adapter(cast(Any, kind))
    return adapter.validate_python(content, extra="ignore")


def to_json(document: Any) -> Any:
    """A document as plain JSON, as it is sent."""
    return _adapter(cast(Any, type(document))).dump_python(document, mode="json")


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(Any, kind))
