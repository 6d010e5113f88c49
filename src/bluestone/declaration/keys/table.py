"""What every table of keys is made with."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bluestone.declaration import quantities
from bluestone.declaration.forms import Written
from bluestone.declaration.texts import naming


def key(meaning: str, *, example: Any, default: Any = ...) -> Any:
    """A key with its meaning and an example; one without a default must be written."""
    return Field(default, description=meaning, examples=[example], validate_default=True)


def lasting(low: str, high: str) -> Written:
    """A duration between two, both in the words of the file."""
    return Written(quantities.duration_between(low, high), f"duration, {low} to {high}", quantities.DURATION)


class Table(BaseModel):
    """A table that has these keys and no others."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Name = Annotated[str, Written(naming.name, "name", naming.NAME)]
