"""Which images nobody needs any more: a decision of values and time alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from bluestone.model.image import Image


class Verdict(Struct, frozen=True):
    """What is to become of an image: `kept` says why it stays, and is empty if nothing needs it."""

    image: Image
    kept: str


def judge(
    images: Sequence[Image],
    needed: Mapping[str, str],
    used: Mapping[str, datetime],
    now: datetime,
    grace: timedelta,
) -> list[Verdict]:
    """A verdict on each image, the oldest image first.

    `needed` has a reason to stay for each digest that somebody needs. `used` has when each image was last built or
    asked for: one that was within `grace` of `now` stays, as whoever asked may not have come to using it yet. So
    does one from after `now`: the clock was set back, and nothing is known of its age.
    """

    def reason(image: Image) -> str:
        if image.digest in needed:
            return needed[image.digest]
        return "used lately" if now - used.get(image.digest, image.built_at) < grace else ""

    return [Verdict(image, reason(image)) for image in sorted(images, key=lambda each: (each.built_at, each.digest))]
