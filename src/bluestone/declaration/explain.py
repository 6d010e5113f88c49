"""Turns what pydantic found into faults that a person can mend."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from bluestone.declaration.fault import Fault, Finding, KeyPath, dotted, quoted
from bluestone.declaration.schema import forms, headings, keys_at, node_at

_BOUNDS = ("greater_than_equal", "less_than_equal")
_WANTED = {
    "array": "an array",
    "integer": "an integer",
    "number": "a number",
    "object": "a table",
    "string": "a string",
}
_GIVEN = {
    bool: "a boolean",
    dict: "a table",
    float: "a float",
    int: "an integer",
    list: "an array",
    str: "a string",
}


def explain(error: ValidationError) -> list[Finding]:
    """Every error that pydantic found; a key that is missing because it is misspelt counts once."""
    findings = [_finding(detail) for detail in error.errors(include_url=False)]
    misspelt = {finding.meant for finding in findings}
    return [finding for finding in findings if finding.path not in misspelt]


def _finding(detail: Any) -> Finding:
    path: KeyPath = detail["loc"]
    if path[-1] == "[key]":
        path = path[:-1]
    kind, value = detail["type"], detail["input"]
    fault = detail.get("ctx", {}).get("error")
    if isinstance(fault, Fault):
        return Finding(path, fault)
    if kind == "missing":
        return Finding(path, _missing(path))
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "literal_error" and isinstance(value, str):
        return Finding(path, _unknown_choice(path, value))
    if kind in _BOUNDS:
        return Finding(path, _out_of_bounds(path, value))
    return Finding(path, _wrong_type(path, value))


def _missing(path: KeyPath) -> Fault:
    key, example = path[-1], _example(path)
    if isinstance(example, dict):
        lines = ", ".join(f"{name} = {quoted(value)}" for name, value in example.items())
        return Fault(f"missing table [{key}]", f"add [{key}] with {lines}")
    return Fault(f'missing key "{key}"{_in_table(path)}', f"add {key} = {quoted(example)}")


def _unknown_key(path: KeyPath) -> Finding:
    *above, key = path
    known = keys_at(tuple(above))
    homes = [f"[{header}]" for header, table in headings() if header and key in table["properties"]]
    guess = "" if homes else _closest(str(key), known)
    if guess:
        mend = f'did you mean "{guess}"?'
    elif homes:
        mend = f"it belongs in {' or '.join(homes)}."
    else:
        mend = "leave it out."
    fault = Fault(f"unknown key {quoted(key)}{_in_table(path)}", f"{mend} Keys here: {', '.join(known)}")
    return Finding(path, fault, meant=(*above, guess) if guess else None)


def _unknown_choice(path: KeyPath, value: str) -> Fault:
    choices = [choice for form in forms(node_at(path)) for choice in form["enum"]]
    guess = _closest(value, choices)
    hint = f'did you mean "{guess}"? ' if guess else ""
    return Fault(f"unknown {path[-1]} {quoted(value)}", f"{hint}Choices: {', '.join(choices)}")


def _out_of_bounds(path: KeyPath, value: object) -> Fault:
    form = next(forms(node_at(path)))
    low, high = form["minimum"], form["maximum"]
    return Fault(f"{path[-1]} cannot be {quoted(value)}", f"choose a number from {low} to {high}")


def _wrong_type(path: KeyPath, value: object) -> Fault:
    kinds = dict.fromkeys(_WANTED[form["type"]] for form in forms(node_at(path)))
    named = f"an element of {path[-2]}" if isinstance(path[-1], int) else dotted(path[-1:])
    while "examples" not in (node_at(path) or {}):
        path = path[:-1]
    return Fault(
        f"{named} must be {' or '.join(kinds)}, not {_GIVEN.get(type(value), 'a date or time')}",
        f"write it like this: {path[-1]} = {quoted(_example(path))}",
        # What stands there may be a secret's value, put where its name belongs.
        hidden=path[-1] == "secrets",
    )


def _example(path: KeyPath) -> Any:
    return (node_at(path) or {})["examples"][0]


def _in_table(path: KeyPath) -> str:
    return f" in [{dotted(path[:-1])}]" if len(path) > 1 else ""


def _closest(word: str, known: list[str]) -> str:
    alike = {name.replace("_", "-"): name for name in known}
    found = get_close_matches(word.lower().replace("_", "-"), alike, n=1)
    return alike[found[0]] if found else ""
