"""What is in an image: its bills."""

from __future__ import annotations

from typing import Literal

from bluestone.app.image.choose import chosen
from bluestone.app.project import Project
from bluestone.model.bom import Bom
from bluestone.model.image import Image
from bluestone.model.problem import Problem

Format = Literal["cyclonedx", "spdx"]


def bill(project: Project, image: str | None, wanted: Format) -> bytes:
    """The bill of an image (see `chosen`) as it is kept beside it. Raises `Problem`."""
    from bluestone.image.sbom import bills

    name = bills.CYCLONEDX if wanted == "cyclonedx" else bills.SPDX
    return bills.bill(chosen(project, image), name)


def contents(project: Project, image: str | None) -> Bom:
    """What an image (see `chosen`) holds, by the bill beside it. Raises `Problem`."""
    return bill_of(chosen(project, image))


def bill_of(image: Image) -> Bom:
    """What an image holds, by the bill beside it. Raises `Problem`."""
    from bluestone.image.sbom import bills, cyclonedx

    try:
        return cyclonedx.read(bills.bill(image, bills.CYCLONEDX))
    except ValueError as error:
        raise Problem(
            f"{image.root.parent / bills.CYCLONEDX} is damaged: {error}",
            mend="remove that file: it is then written anew",
        ) from error
