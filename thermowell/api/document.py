"""The base of all documents, and how a client reads one that a newer service sends."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

Kind = TypeVar("Kind", bound=BaseModel)


class Document(BaseModel):
    """Base of all documents: closed and unchanging."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def read_document(kind: type[Kind], content: Any) -> Kind:
    """Reads what a service sent; fields that only a newer one knows are left out.

    Raises:
        pydantic.ValidationError: It is some other document.
    """
    return kind.model_validate(content, extra="ignore")
