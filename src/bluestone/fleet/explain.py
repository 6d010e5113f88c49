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
    """The forecast for programs: `id`, `steps` (round, verb, group, server, reason), `spans`, `halted`."""
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
    return {"id": forecast.id, "steps": steps, "spans": forecast.spans, "halted": forecast.halted}


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
        yield f"{span.group}: at least {span.lowest_serving} serve, at most {span.highest_total} exist"
    yield from (f"this will stop: {reason}" for reason in forecast.halted)
    yield f"plan {forecast.id}"


def _line(step: Step, before: int) -> str:
    number = f"{step.round:>3}" if step.round != before else "   "
    return f"{number}  {sentence(step.action)}"
