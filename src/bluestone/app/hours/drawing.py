"""Pictures of vectors as pictures of points, by resvg (docs/adr/0080), which is an optional extra."""

from __future__ import annotations

from bluestone.hours.picture import FONT
from bluestone.model.problem import Problem

ZOOM = 2.0
"""Points for each unit of the vectors: text is sharp on today's screens."""

_PROBE = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><text y="15" font-family="{FONT}">%s</text></svg>'
)


def png(svg: str) -> bytes:
    """A PNG of an SVG. Raises `Problem` without resvg, or where this machine has no font to write with."""
    try:
        import resvg_py
    except ImportError as error:
        raise Problem(
            "a PNG is drawn by resvg, which is not installed",
            mend="pip install 'bluestone[pictures]'; svg and html need nothing",
        ) from error
    if resvg_py.svg_to_bytes(svg_string=_PROBE % "x") == resvg_py.svg_to_bytes(svg_string=_PROBE % ""):
        raise Problem(
            "this machine has no font for a PNG, which would be without words",
            mend="sudo apt-get install --no-install-recommends fonts-dejavu-core; svg and html need none",
        )
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=ZOOM))
