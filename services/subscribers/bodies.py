"""Reads JSON bodies, and describes them in the API's documentation."""

from typing import Any

from fastapi import Request
from pydantic import BaseModel

from services.runtime.web.body import parse_json, read_body


async def read_json(request: Request, limit: int) -> Any:
    """Read a JSON body of at most `limit` bytes; an empty one is an empty object."""
    body = await read_body(request, limit)
    return parse_json(body) if body.strip() else {}


def described(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Describe a body for a route's `openapi_extra`, with every definition in its place."""
    schema = model.model_json_schema()
    inlined = _inlined(schema, schema.pop("$defs", {}))
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": inlined}}}}


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if name := node.get("$ref", "").removeprefix("#/$defs/"):
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return {**_inlined(definitions[name], definitions), **rest}
    return {key: _inlined(value, definitions) for key, value in node.items()}
