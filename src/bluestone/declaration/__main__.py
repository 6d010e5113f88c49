"""`python -m bluestone.declaration [DIRECTORY]`: write the generated pages (default: docs/reference)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bluestone.declaration.reference import reference
from bluestone.declaration.schema import schema


def pages() -> dict[str, str]:
    """File name -> content of every page that is generated here."""
    return {
        "declaration.md": reference(),
        "bluestone.schema.json": json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
    }


def main(directory: Path) -> None:
    """Write the pages."""
    for name, content in pages().items():
        (directory / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference"))
