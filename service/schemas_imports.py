"""What the API takes of rows from elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.schemas import In

MOST_ROWS = 1000
Cell = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")] | bool | int | float | None


class RowIn(BaseModel):
    """A row, by the names of its columns."""

    model_config = ConfigDict(extra="forbid")

    row: int = Field(ge=0, le=2**31 - 1, description="its number in its source, by which it is refused")
    values: dict[Annotated[str, StringConstraints(max_length=200)], Cell] = Field(
        max_length=500,
        description="settings under the names of the job's space, and the objective under its own or as `value`",
    )


class ImportRequest(In):
    """Rows from elsewhere."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "as": "trials",
                    "source": "runs.csv",
                    "dry_run": True,
                    "rows": [{"row": 2, "values": {"temperature": 4.0, "kd_weight": 0.9, "accuracy": 0.81}}],
                }
            ]
        }
    )

    kind: Literal["points", "trials"] = Field(
        alias="as",
        description="points: configurations that the search tries first, each a trial of its budget. trials: finished "
        "ones that cost nothing; the search learns from their values, and they win through fresh seeds alone",
    )
    source: str = Field(
        min_length=1, max_length=150, pattern=r"^[^\x00-\x1f\x7f]*$", description="where the rows are from, in words"
    )
    rows: list[RowIn] = Field(min_length=1, max_length=MOST_ROWS)
    dry_run: bool = Field(False, description="say what would be stored, and store nothing")
