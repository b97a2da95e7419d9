"""What Optuna Dashboard answers with 500 although nobody failed: a study that is gone, and what cannot be computed."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

from fastapi.exceptions import RequestValidationError
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from search.errors import NotFound
from search.schema import check_schema
from search.storage.db import Database
from service.prefix import inner_path

_STUDY = re.compile(r"/(?:api/studies|api/artifacts|artifacts|csv)/(\d+)(?:/|$)")
_TRIAL = re.compile(r"/(?:api/trials|api/studies/\d+|(?:api/)?artifacts/\d+)/(\d+)(?:/|$)")
_PLOT = re.compile(r"/api/studies/\d+/plot/([a-z_]{1,40})")


def explain(storage: Any, db: Database, scope: Scope) -> Response | None:
    """What is answered in place of a 500; None where that is what it is.

    Raises NotFound, RequestValidationError; DatabaseUnavailable where that is why.
    """
    check_schema(db)
    path = inner_path(scope)
    _check_there(storage, path)
    if path.startswith("/artifacts/"):
        raise NotFound("this file of the study is not in the artifact store any more: look at the job's own page")
    if path.endswith("/param_importances") and _nothing_to_search(storage, path):
        return JSONResponse({"param_importances": [[]]})  # of no parameter
    plot = _PLOT.match(path)
    if plot is not None:
        raise _refusal(
            "path", "plot_type", f"{plot[1]} cannot be drawn of this study: see the pictures of the job's report"
        )
    after = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True).get("after", [])
    if not all(number.isdecimal() for number in after):
        raise _refusal("query", "after", "must be a whole number, at least 0")
    return None


def _check_there(storage: Any, path: str) -> None:
    for pattern, lookup, kind in (
        (_STUDY, storage.get_study_name_from_id, "study"),
        (_TRIAL, storage.get_trial, "trial"),
    ):
        match = pattern.match(path)
        if match is None:
            continue
        try:
            lookup(int(match[1]))
        except (KeyError, OverflowError):
            raise NotFound(f"the dashboard has no {kind} {match[1][:20]}") from None


def _nothing_to_search(storage: Any, path: str) -> bool:
    match = _STUDY.match(path)
    if match is None:
        return False
    return not any(trial.params for trial in storage.get_all_trials(int(match[1]), deepcopy=False))


def _refusal(place: str, name: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": (place, name), "msg": message, "type": "value_error"}])
