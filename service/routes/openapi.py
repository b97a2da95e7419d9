"""The API's description of itself: every route with every status that it can answer with, and pages to read it."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from search.spec.job import JobSpec
from search.spec.parsing import default_spec_yaml
from search.studies.spec import StudyExtension, StudySpec
from service import prefix
from service.errors import Problem, problems
from service.pages.templating import asset
from service.routes import training_examples
from service.routes.submitting import schema_of
from trainers.registry import losses, optimizers

ASSETS = "/docs/assets"
DOCS_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)
DESCRIPTION = """
At which temperature, with which optimizer settings, should this student be distilled from this teacher?
Submit a job spec, follow it, and read the answer with its uncertainty.

**Keys.** Send `Authorization: Bearer <key>`; browsers sign in at `/signin` (a session is as good as its key, from this
service's own pages), or use HTTP Basic with the key as password. Scopes: `read`,
`submit` (includes read and train; own jobs only), `train` (trials of own jobs, or of another key's that it was made
for; reads nothing), `dashboard` (includes read; the dashboard shows everybody's studies), `admin`
(everything). Without any key the service answers this machine alone.

**Errors** are RFC 9457 problems (`application/problem+json`). `type` is stable: `/problems/<slug>`.

**HEAD** is answered wherever GET is, but for event streams. **Bodies** come without any `Content-Encoding`.

**Below a prefix** (`servers` names it) every path here begins with it, also a problem's `type`.

**Lists** are paged: give `next_cursor` back as `cursor` until it is null.
"""
TAGS = [
    {"name": "jobs", "description": "Searches: submit, follow and steer them."},
    {"name": "trials", "description": "Every configuration that was trained."},
    {
        "name": "training",
        "description": "Trials for programs of your own: claimed, renewed, reported and ended over HTTP. The claim's "
        "token goes with everything that is said of the trial, in the header `Lease-Token`.",
    },
    {"name": "answer", "description": "What came of it."},
    {"name": "studies", "description": "Jobs that differ in the levels of factors, and what moves the best T."},
    {"name": "spec", "description": "What can be asked for."},
    {"name": "operation", "description": "Who is there and how it goes."},
    {"name": "keys", "description": "API keys; needs `admin`."},
]
V1_NAMES = {
    name: f"{name}Out"
    for name in (
        *("Advised", "Artifact", "Configuration", "FirstTrial", "JobAdvice", "Key", "Optimizer", "Progress"),
        *("Quota", "Reason", "Study", "StudyCell", "StudyDetail", "Trial", "TrialDetail", "Worker"),
    )
} | {"EpochReport": "ReportOut"}
PLACEHOLDERS = {
    "{optimizer}": optimizers.SEARCHED[0],
    "{last_optimizer}": optimizers.SEARCHED[-1],
    "{plain_loss}": losses.PLAIN,
}
router = APIRouter(include_in_schema=False)
EVERYWHERE = (
    *("unauthenticated", "forbidden", "cross-origin", "host-refused"),
    *("too-often", "internal", "schema-missing", "database-unavailable"),
)


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document; made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, tags=TAGS
        )
        document["components"]["schemas"] = _v1_schemas(document["components"]["schemas"])
        _add_schemas(document["components"]["schemas"])
        document["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "an API key: `thermowell keys create`"},
            "basic": {"type": "http", "scheme": "basic", "description": "any user name, the API key as password"},
        }
        for path, item in document["paths"].items():
            for operation in item.values():
                _complete(path, operation)
        _simple_defaults(document)
        app.openapi_schema = _with_names(document)
    return app.openapi_schema


def _v1_schemas(schemas: dict[str, Any]) -> dict[str, Any]:
    """Schemas under the names that v1 has always had for them: generated clients have classes of these names."""
    for name, v1_name in V1_NAMES.items():
        schemas[v1_name] = schemas.pop(name) | {"title": v1_name}
    schemas["OptimizerOut"]["description"] = _describe_settings()
    properties = schemas["OptimizerOut"]["properties"]
    properties["name"] = {"type": "string", "enum": list(optimizers.OPTIMIZERS), "title": "Name"}
    return dict(sorted(schemas.items()))


def _with_names(document: dict[str, Any]) -> dict[str, Any]:
    """The description with names of the registry, which the documents' own texts leave open, put in."""
    text = json.dumps(document)
    for placeholder, name in PLACEHOLDERS.items():
        text = text.replace(placeholder, name)
    return dict(json.loads(re.sub(r'"#/components/schemas/(\w+)"', _v1_reference, text)))


def _v1_reference(match: re.Match[str]) -> str:
    return f'"#/components/schemas/{V1_NAMES.get(match[1], match[1])}"'


def _describe_settings() -> str:
    """Which settings count for which optimizers."""
    groups = optimizers.by_owners([name for name in optimizers.SETTINGS if name not in optimizers.COMMON])
    words = [f"{names} count{'' if ' and ' in names else 's'} for {owners} alone" for names, owners in groups]
    return f"torch.optim's settings; {', '.join(words)}."


def _add_schemas(schemas: dict[str, Any]) -> None:
    """Problem, specs and their parts: no route of FastAPI's own making names them."""
    for model in (Problem, JobSpec, StudySpec, StudyExtension):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)


def _simple_defaults(schema: Any) -> None:
    """Says objects and lists that are defaults as `x-default`: generators of clients drop what has such a default.

    The JSON Schema of a spec, for editors, has them all.
    """
    if isinstance(schema, list):
        for part in schema:
            _simple_defaults(part)
    if not isinstance(schema, dict):
        return
    kinds = {"type", "$ref", "anyOf", "oneOf", "allOf"} & schema.keys()
    if kinds and isinstance(schema.get("default"), dict | list):
        schema["x-default"] = schema.pop("default")
    for part in schema.values():
        _simple_defaults(part)


def _complete(path: str, operation: dict[str, Any]) -> None:
    """Adds what every guarded route can answer with, and examples: of a spec where one is sent, and of trials."""
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        if content["schema"] == schema_of("JobSpec"):
            text = default_spec_yaml()
            content["example"] = text if media == "application/yaml" else yaml.safe_load(text)
    training_examples.add(operation)
    if "HTTPValidationError" in str(operation["responses"].get("422")):  # FastAPI's own word for what is a problem here
        operation["responses"] |= {str(status): answer for status, answer in problems("request-invalid").items()}
    if "requestBody" in operation:
        for status, response in problems("media-type-unsupported", "too-large").items():
            operation["responses"].setdefault(str(status), response)
    if not path.startswith(("/v1", "/metrics")):
        return
    operation["security"] = [{"bearer": []}, {"basic": []}]
    for status, response in problems(*EVERYWHERE).items():
        operation["responses"].setdefault(str(status), response)


@router.get("/docs")
async def show_docs(request: Request) -> HTMLResponse:
    """The description for people, who can try it out there."""
    page = get_swagger_ui_html(
        openapi_url=prefix.at(request.app.openapi_url),
        title=request.app.title,
        swagger_js_url=prefix.at(f"{ASSETS}/swagger-ui-bundle.js"),
        swagger_css_url=prefix.at(f"{ASSETS}/swagger-ui.css"),
        swagger_favicon_url=prefix.at(f"{ASSETS}/favicon.png"),
        swagger_ui_parameters={"defaultModelsExpandDepth": 0, "displayRequestDuration": True},
    )
    head = (
        '<meta name="color-scheme" content="light dark">'
        f'<link rel="stylesheet" href="{prefix.at(asset("docs.css"))}">'
        f'<script src="{prefix.at(asset("docs.js"))}"></script>'
    )
    text = bytes(page.body).decode().replace("<html>", '<html lang="en">').replace("</head>", f"{head}</head>")
    return HTMLResponse(text, headers={"Content-Security-Policy": DOCS_POLICY})


def install(app: FastAPI) -> None:
    """Serves the description, and a page for people, from this machine alone: no content network is asked."""
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    app.mount(ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]))
