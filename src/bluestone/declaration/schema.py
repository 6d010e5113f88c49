"""The JSON Schema of `bluestone.toml`, and what it says about one key."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from bluestone.declaration.fault import KeyPath
from bluestone.declaration.forms import JsonSchema
from bluestone.declaration.keys import DeclarationTable

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Generator(GenerateJsonSchema):
    """Titles are only set where they say more than the key's name."""

    def field_title_should_be_set(self, _schema: Any) -> bool:
        """Never: `Max Surge` says no more than `max_surge`."""
        return False


@cache
def schema() -> JsonSchema:
    """The JSON Schema (draft 2020-12) that editors check and complete the file with."""
    made = DeclarationTable.model_json_schema(schema_generator=_Generator)
    tidy: JsonSchema = _tidy(made)
    return {"$schema": DIALECT, **tidy, "title": "bluestone.toml"}


def node_at(path: KeyPath) -> JsonSchema | None:
    """What the schema says about the value at a path in the file; None where there can be none."""
    node: JsonSchema | None = schema()
    for step in path:
        node = next((below for form in forms(node) if (below := _below(form, step))), None)
        if node is None:
            return None
    return node


def forms(node: JsonSchema | None) -> Iterator[JsonSchema]:
    """The forms that a value may have: the string and the table of a key that takes both."""
    if node is None:
        return
    if "anyOf" in node:
        for each in node["anyOf"]:
            yield from forms(each)
    elif "$ref" in node:
        yield schema()["$defs"][node["$ref"].rpartition("/")[2]]
    else:
        yield node


def keys_at(path: KeyPath) -> list[str]:
    """The keys that a table at a path in the file may have."""
    return [key for form in forms(node_at(path)) for key in form.get("properties", {})]


def headings() -> Iterator[tuple[str, JsonSchema]]:
    """Every table of the file with the header that it stands under: `image`, `servers.NAME.rollout`.

    A table in an array ends in `[]`.
    """
    yield from _headings("", schema())


def _headings(header: str, table: JsonSchema) -> Iterator[tuple[str, JsonSchema]]:
    yield header, table
    for key, node in table["properties"].items():
        path = f"{header}.{key}".lstrip(".")
        for form in forms(node):
            if "properties" in form:
                yield from _headings(path, form)
            for named in form.get("patternProperties", {}).values():
                for below in forms(named):
                    if "properties" in below:
                        yield from _headings(f"{path}.{_placeholder(key)}", below)
            for below in forms(form.get("items")):
                if "properties" in below:
                    yield from _headings(f"{path}[]", below)


def _placeholder(key: str) -> str:
    return "TARGET" if key == "files" else "NAME"


def _below(form: JsonSchema, step: str | int) -> JsonSchema | None:
    if isinstance(step, int):
        found = form.get("items")
    elif "patternProperties" in form:
        found = next(iter(form["patternProperties"].values()))
    else:
        found = form.get("properties", {}).get(step)
    return found if isinstance(found, dict) else None


def _tidy(node: Any) -> Any:
    """Drop what TOML cannot say (null), the names of classes, and keys that match no pattern."""
    if isinstance(node, list):
        return [_tidy(each) for each in node if each != {"type": "null"}]
    if not isinstance(node, dict):
        return node
    kept = {key: _tidy(value) for key, value in node.items() if (key, value) != ("default", None)}
    if len(kept.get("anyOf", ())) == 1:
        kept |= kept.pop("anyOf")[0]
    if "properties" in kept:
        kept.pop("title", None)
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    return kept
