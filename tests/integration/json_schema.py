"""Checks values against a JSON Schema: the part of draft 2020-12 that we publish, and no more."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}
#: A keyword that needs the value to be of a type, and when it is met.
_LIMITS: Mapping[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "minLength": ("string", lambda v, limit: len(v) >= limit),
    "maxLength": ("string", lambda v, limit: len(v) <= limit),
    "pattern": ("string", lambda v, pattern: re.search(pattern, v) is not None),
    "minimum": ("number", lambda v, limit: v >= limit),
    "maximum": ("number", lambda v, limit: v <= limit),
    "exclusiveMaximum": ("number", lambda v, limit: v < limit),
    "minItems": ("array", lambda v, limit: len(v) >= limit),
    "maxItems": ("array", lambda v, limit: len(v) <= limit),
    "minProperties": ("object", lambda v, limit: len(v) >= limit),
    "maxProperties": ("object", lambda v, limit: len(v) <= limit),
    "required": ("object", lambda v, names: set(names) <= set(v)),
}
_NOTES = {"$schema", "$id", "$defs", "title", "description", "default", "format", "examples"}
_OTHER = {
    "type",
    "enum",
    "const",
    "anyOf",
    "$ref",
    "items",
    "properties",
    "additionalProperties",
    "propertyNames",
}
KEYWORDS = {*_LIMITS, *_NOTES, *_OTHER}


def resolve(root: Any, reference: str) -> Any:
    """Follow a reference within a document; KeyError when it leads nowhere."""
    found = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def subschemas(schema: Any) -> Iterator[dict[str, Any]]:
    """Give a schema and all schemas within it; `true` and `false` are left out."""
    if not isinstance(schema, dict):
        return
    yield schema
    for name in ("properties", "$defs"):
        for inner in schema.get(name, {}).values():
            yield from subschemas(inner)
    for name in ("items", "additionalProperties", "propertyNames"):
        yield from subschemas(schema.get(name))
    for inner in schema.get("anyOf", ()):
        yield from subschemas(inner)


def fits(schema: Any, value: Any, root: Any = None) -> bool:
    """Tell whether a value fits a schema."""
    root = schema if root is None else root
    if isinstance(schema, bool):
        return schema
    return all(
        (
            "type" not in schema or _TYPES[schema["type"]](value),
            "enum" not in schema or value in schema["enum"],
            "const" not in schema or value == schema["const"],
            "anyOf" not in schema or any(fits(one, value, root) for one in schema["anyOf"]),
            "$ref" not in schema or fits(resolve(root, schema["$ref"]), value, root),
            all(
                met(value, schema[name])
                for name, (kind, met) in _LIMITS.items()
                if name in schema and _TYPES[kind](value)
            ),
            not isinstance(value, list) or all(fits(schema.get("items", True), item, root) for item in value),
            not isinstance(value, dict) or _members_fit(schema, value, root),
        )
    )


def _members_fit(schema: dict[str, Any], value: dict[str, Any], root: Any) -> bool:
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    names = schema.get("propertyNames", True)
    return all(fits(known.get(name, others), inner, root) for name, inner in value.items()) and all(
        fits(names, name, root) for name in value
    )
