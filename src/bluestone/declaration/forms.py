"""How a value is written in the file, told to pydantic: once for reading, once for the JSON Schema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

JsonSchema = dict[str, Any]


class Written(Struct, frozen=True):
    """A string that `read` turns into the field's value. `title` is what people call it."""

    read: Callable[[str], Any]
    title: str
    pattern: str = ""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """A string, then `read`."""
        return core_schema.no_info_after_validator_function(self.read, core_schema.str_schema(strict=True))

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchema:
        """The string as an editor may check it."""
        pattern = {"pattern": self.pattern} if self.pattern else {}
        return {"type": "string", "title": self.title, **pattern}


@dataclass(frozen=True)
class WrittenAs:
    """A value of a kind that `read` checks itself, described by its own JSON Schema."""

    read: Callable[[Any], Any]
    schema: JsonSchema = field(hash=False)

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Anything, then `read`."""
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchema:
        """As given."""
        return self.schema


class OrShort(Struct, frozen=True):
    """A table, or a short string that `expand` turns into one."""

    expand: Callable[[str], dict[str, object]]
    title: str
    pattern: str = ""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """`expand` for a string, then the table."""
        return core_schema.no_info_before_validator_function(self._table, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        """Either form."""
        pattern = {"pattern": self.pattern} if self.pattern else {}
        return {"anyOf": [{"type": "string", "title": self.title, **pattern}, handler(schema)]}

    def _table(self, value: Any) -> Any:
        return self.expand(value) if isinstance(value, str) else value
