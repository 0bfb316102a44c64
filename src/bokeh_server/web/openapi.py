"""The OpenAPI 3.1 description of the REST interface, made from the table of routes."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import msgspec

from bokeh_server.core.authorise import Action
from bokeh_server.web import account, headers, retaining, share
from bokeh_server.web.http import Request, Response
from bokeh_server.web.site import Site

ANY: dict[str, Any] = {}
SCHEMAS: dict[str, Any] = {
    "Document": {
        "type": "object",
        "required": [
            "id",
            "title",
            "owner",
            "role",
            "published",
            "shared",
            "created",
            "changed",
            "kind",
            "size",
            "seq",
            "programs",
            "viewers",
            "link",
        ],
        "properties": {
            "id": {"type": "string", "description": "128 random bits in base32"},
            "title": {"type": "string"},
            "owner": {"type": "string"},
            "role": {"type": "string", "enum": ["viewer", "editor", "owner"], "description": "what you are to it"},
            "published": {"type": "boolean", "description": "everybody may see it"},
            "shared": {
                "type": "boolean",
                "description": "yours: named users or holders of links may see it; another's: it is shared with you",
            },
            "created": {"type": "number", "description": "seconds since 1970"},
            "changed": {"type": "number", "description": "seconds since 1970"},
            "kind": {"type": "string", "description": "what it shows: 2 plots, 3 widgets"},
            "size": {"type": "integer", "description": "bytes in the store"},
            "seq": {"type": "integer", "description": "number of the last change"},
            "programs": {"type": "integer", "description": "programs connected now"},
            "viewers": {"type": "integer", "description": "browsers connected now"},
            "link": {"type": "string", "format": "uri"},
        },
    },
    "BokehDocument": {
        "type": "object",
        "description": "A Bokeh document: bokeh.document.Document.to_json(deferred=False)",
        "required": ["roots"],
        "properties": {"roots": {"type": "array"}, "title": {"type": "string"}, "version": ANY},
    },
    "Problem": {
        "type": "object",
        "description": "RFC 9457",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "what to do"},
            "code": {"type": "string"},
        },
    },
    "Changed": {
        "type": "object",
        "required": ["seq"],
        "properties": {"seq": {"type": "integer"}, "rows": {"type": "integer"}},
    },
    "Pushed": {
        "type": "object",
        "required": ["seq", "rows", "document", "link"],
        "properties": {
            "seq": {"type": "integer"},
            "rows": {"type": "integer", "description": "how many were taken"},
            "document": {"type": "string", "description": "its id"},
            "link": {"type": "string", "format": "uri"},
        },
    },
}
SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token, as the account page makes them. A server without accounts needs none.",
    },
    "login": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-bokeh-server",
        "description": "What a browser has after a log-in; without TLS its name is bokeh-server-PORT.",
    },
}
SHOWN: list[dict[str, list[str]]] = [{"token": []}, {"login": []}]
SECURITY: dict[Action, list[dict[str, list[str]]]] = {Action.PUBLIC: [], Action.VIEW: [{}, *SHOWN]}
"""What a request shows; to view a published document, nothing."""
ROWS = {"description": "Columns, a row, or a list of rows", "type": ["object", "array"]}
PARAMETERS = {
    "name": "The document's id, or the title of one of your documents",
    "document": "The document's id",
    "model": "A model's id, or its `name` where only one model has it",
    "source": "A source's id, or its `name` where only one source has it",
    "property": "The property, like `value`",
    "user": "The name of a user",
    "link": "The id of a link",
    "login": "The id of a login",
    "token": "The id of a token",
    "invitation": "The id of an invitation",
}


PUBLIC = {
    "name": "public",
    "in": "query",
    "schema": {"type": "string", "enum": ["true", "false"]},
    "description": "As everybody sees it: there where it is published",
}


def ref(name: str) -> dict[str, str]:
    """A reference to one of ``SCHEMAS``."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_body(schema: dict[str, Any]) -> dict[str, Any]:
    """A content object for JSON."""
    return {"application/json": {"schema": schema}}


TITLE = {
    "type": "object",
    "required": ["title"],
    "properties": {"title": {"type": "string", "minLength": 1, "maxLength": 200}},
}
TABLE: dict[str, Any] = {
    "application/json": {"schema": ROWS},
    "application/x-ndjson": {"schema": {"type": "string"}},
    "text/csv": {"schema": {"type": "string"}},
    "application/vnd.apache.arrow.stream": {"schema": {"type": "string", "format": "binary"}},
}
NEW = {"oneOf": [ref("BokehDocument"), {"type": "null"}], "description": "its content; without it, it is empty"}
BODIES: dict[str, dict[str, Any]] = {
    "create": json_body({**TITLE, "properties": {**TITLE["properties"], "document": NEW}}),  # type: ignore[dict-item]
    "put": json_body(ref("BokehDocument")),
    "rename": json_body(TITLE),
    "put_property": json_body({"description": "A value that the property takes; anything else is a type-clash"}),
    "post_rows": TABLE,
    "push_rows": TABLE,
}
STRUCTS: dict[str, type[msgspec.Struct]] = {
    "log_in": account.Credentials,
    "register": account.Registration,
    "open_link": account.OpenLink,
    "linked_ticket": account.OpenLink,
    "token_by_login": account.Credentials,
    "token_by_registration": account.Registration,
    "put_password": account.NewPassword,
    "post_token": account.NewToken,
    "post_user": account.NewUser,
    "patch_user": account.UserChange,
    "post_invitation": account.NewInvitation,
    "retain": retaining.Kept,
    "put_grant": share.Grant,
    "post_link": share.NewLink,
    "switch_link": share.Switch,
}
"""Bodies that are one JSON object: the types that read them."""
KEEP: tuple[str, dict[str, Any], str] = (
    "rollover",
    {"type": "integer", "minimum": 0, "maximum": 10**12 - 1},
    "How many rows the source keeps",
)
COUNTED: list[tuple[str, dict[str, Any], str]] = [
    ("client", {"type": "string", "minLength": 8, "maxLength": 64}, "Who counts the body, with a number"),
    ("number", {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}, "Its number: a body is taken once"),
]
QUERIES: dict[str, list[tuple[str, dict[str, Any], str]]] = {
    "documents": [
        ("title", {"type": "string"}, "Only the document of exactly this title, which may have any characters")
    ],
    "post_rows": [KEEP, *COUNTED],
    "push_rows": [
        KEEP,
        *COUNTED,
        ("source", {"type": "string"}, "The source that takes the rows, where the document has several"),
        ("x", {"type": "string"}, "Of a new plot: the field that is x, or `arrival`, or `index`"),
    ],
}
STATUS = json_body({"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}})
DOCUMENT = json_body(ref("Document"))
VIEWERS = {
    "type": "object",
    "required": ["users", "others"],
    "properties": {"users": {"type": "array", "items": {"type": "string"}}, "others": {"type": "integer"}},
}
TRAFFIC = {
    "type": "object",
    "required": ["now", "documents", "server"],
    "properties": {
        "now": {"type": "number", "description": "seconds; only differences mean something"},
        "documents": {"type": "array", "items": {"type": "object"}},
        "server": {"type": ["object", "null"], "description": "for who may watch the server"},
    },
}
MADE = ("token_by_registration", "post_token", "post_user", "post_invitation", "post_link")
DONE = (
    *("delete", "log_in", "log_out", "log_out_everywhere", "put_password", "delete_login", "delete_token"),
    *("delete_invitation", "publish", "unpublish", "put_grant", "delete_grant", "switch_link", "delete_link"),
)
ANSWERS: dict[str, dict[HTTPStatus, dict[str, Any]]] = {
    "documents": {HTTPStatus.OK: json_body({"type": "array", "items": ref("Document")})},
    "create": {HTTPStatus.CREATED: DOCUMENT},
    "get": {HTTPStatus.OK: json_body(ref("BokehDocument"))},
    "put": {HTTPStatus.OK: DOCUMENT, HTTPStatus.CREATED: DOCUMENT},
    "rename": {HTTPStatus.OK: DOCUMENT},
    "info": {HTTPStatus.OK: DOCUMENT},
    "register": {HTTPStatus.CREATED: {}},
    "viewers": {HTTPStatus.OK: json_body(VIEWERS)},
    **{name: {HTTPStatus.CREATED: json_body(ANY)} for name in MADE},
    **{name: {HTTPStatus.NO_CONTENT: {}} for name in DONE},
    "put_property": {HTTPStatus.OK: json_body(ref("Changed"))},
    "post_rows": {HTTPStatus.OK: json_body(ref("Changed"))},
    "push_rows": {HTTPStatus.OK: json_body(ref("Pushed"))},
    "ping": {HTTPStatus.OK: {"text/plain": {"schema": {"type": "string"}}}},
    "alive": {HTTPStatus.OK: STATUS},
    "metrics": {HTTPStatus.OK: {"text/plain": {"schema": {"type": "string"}}}},
    "traffic": {HTTPStatus.OK: json_body(TRAFFIC)},
    "ready": {HTTPStatus.OK: STATUS, HTTPStatus.SERVICE_UNAVAILABLE: STATUS},
}
"""What each operation answers with, where that is not just some JSON: status and content."""


async def describe(site: Site, request: Request) -> Response:
    """This description of the interface, as OpenAPI 3.1."""
    return Response.json(description(site.versions["bokeh-server"], request.prefix), headers=headers.data())


def description(version: str, prefix: str = "") -> dict[str, Any]:
    """The whole description."""
    from bokeh_server.web.routes import ROUTES  # the table has a row for this module

    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        if route.kind == "api":
            found = operation(route.handler.__name__, route.path, route.summary)
            found["security"] = SECURITY.get(route.action, SHOWN)
            if route.action is Action.VIEW:
                found["parameters"].append(PUBLIC)
            paths.setdefault(route.path, {})[route.method.lower()] = found
    return {
        "openapi": "3.1.0",
        "info": {"title": "bokeh-server", "version": version, "license": {"name": "BSD-3-Clause"}},
        "servers": [{"url": prefix or "/"}],
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": SCHEMES},
    }


def operation(name: str, path: str, summary: str) -> dict[str, Any]:
    """One operation: its parameters, body and answers."""
    answers = ANSWERS.get(name, {HTTPStatus.OK: json_body(ANY)})
    problem = {"description": "What went wrong", "content": {"application/problem+json": {"schema": ref("Problem")}}}
    responses: dict[str, Any] = {
        str(status.value): {"description": status.phrase, **({"content": content} if content else {})}
        for status, content in answers.items()
    }
    found: dict[str, Any] = {"operationId": name, "summary": summary, "responses": {**responses, "default": problem}}
    parameters: list[dict[str, Any]] = [
        {"name": part, "in": "path", "required": True, "schema": {"type": "string"}, "description": PARAMETERS[part]}
        for part in re.findall(r"\{(\w+)\}", path)
    ]
    for query, schema, described in QUERIES.get(name, ()):
        parameters.append({"name": query, "in": "query", "schema": schema, "description": described})
    if parameters:
        found["parameters"] = parameters
    body = BODIES.get(name) or (json_body(struct_schema(STRUCTS[name])) if name in STRUCTS else None)
    if body is not None:
        found["requestBody"] = {"required": True, "content": body}
    return found


def struct_schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema of a type; what it refers to becomes one of ``SCHEMAS``."""
    components: dict[str, dict[str, Any]]
    _, components = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
    schema = components.pop(kind.__name__)
    SCHEMAS.update(components)
    return schema
