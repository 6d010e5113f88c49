"""The syntax of IRIs (RFC 3987) for jsonschema: as `rfc3987_syntax` has it, without 38 parsers of which one is needed.

The library makes them all when it is imported: ten seconds of CPU time in each lane of the tests.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lark import Lark

LIBRARY, GRAMMAR = "rfc3987_syntax", "syntax_rfc3987.lark"


class Syntax(ModuleType):
    """What jsonschema asks of the library, by the library's grammar; the parser is made when it is first asked."""

    def __init__(self, grammar: Path) -> None:
        super().__init__(LIBRARY)
        self._grammar = grammar
        self._parser: Lark | None = None

    def is_valid_syntax(self, term: str, value: str) -> bool:
        """Whether a text is an `iri` or an `iri_reference`."""
        from lark import Lark, exceptions

        if self._parser is None:
            self._parser = Lark(self._grammar.read_text(), start=["iri", "iri_reference"], parser="earley")
        try:
            self._parser.parse(value, start=term)
        except exceptions.LarkError:
            return False
        return True


def install() -> None:
    """Have jsonschema find this in the place of the library, if that is installed and was not imported yet."""
    found = find_spec(LIBRARY) if LIBRARY not in sys.modules else None
    if found is not None and found.origin is not None:
        sys.modules[LIBRARY] = Syntax(Path(found.origin).with_name(GRAMMAR))
