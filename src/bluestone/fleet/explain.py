"""A plan as text that a person reads. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bluestone.fleet.forecast import Forecast, Step
from bluestone.model.action import Action

SIGN = {"create": "+", "enrol": "?", "attach": ">", "detach": "<", "dismiss": ".", "destroy": "-"}
"""What stands before an action: what comes, what is checked, what gets requests, what stops, what goes."""


def text(forecast: Forecast) -> str:
    """The forecast, an action a line, with its reason; the capacity it passes through; its id."""
    return "\n".join(_lines(forecast))


def sentence(action: Action) -> str:
    """An action in one line."""
    return f"{SIGN[action.verb]} {action.verb:<8}{action.server:<28} {action.reason}"


def data(forecast: Forecast) -> dict[str, Any]:
    """The forecast for programs.

    `id`, `steps` (round, verb, group, server, reason), `spans` (the lowest and highest of each group, its floor and
    cap, what it waits for), `halted`, `predicted_s` and the groups for whose servers that is `assumed`.
    """
    steps = [
        {
            "round": step.round,
            "verb": step.action.verb,
            "group": step.action.group,
            "server": step.action.server,
            "reason": step.action.reason,
        }
        for step in forecast.steps
    ]
    return {
        "id": forecast.id,
        "steps": steps,
        "spans": forecast.spans,
        "halted": forecast.halted,
        "predicted_s": forecast.seconds,
        "assumed": forecast.assumed,
    }


def length(seconds: float) -> str:
    """A length of time as people say it: `8 s`, `4 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def prediction(forecast: Forecast) -> str:
    """How long it takes, and what that is known from."""
    if not forecast.assumed:
        return f"takes about {length(forecast.seconds)}, by what it took before"
    return f"takes about {length(forecast.seconds)}, if servers of {', '.join(forecast.assumed)} start as most do"


def _lines(forecast: Forecast) -> Iterator[str]:
    if not forecast.steps:
        yield "nothing to do: the servers are what the declaration says"
        return
    before = 0
    for step in forecast.steps:
        yield _line(step, before)
        before = step.round
    yield ""
    for span in forecast.spans:
        besides = f", besides {span.leaving} on the way out" if span.leaving else ""
        yield (
            f"{span.group}: at least {span.lowest_serving} serve, at most {span.highest_total} exist "
            f"(its budget: {span.floor} and {span.cap}{besides})"
        )
    yield prediction(forecast)
    yield from (f"this will stop: {reason}" for reason in forecast.halted)
    yield f"plan {forecast.id}"


def _line(step: Step, before: int) -> str:
    number = f"{step.round:>3}" if step.round != before else "   "
    return f"{number}  {sentence(step.action)}"
