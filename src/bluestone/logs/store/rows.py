"""Lines as rows of fields, those with the same names together: what is asked of a field is asked of all at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from bluestone.logs.ingest.fields import MOST, flat
from bluestone.logs.ingest.lines import LEVELS, UNITS, Known, decoded
from bluestone.logs.store.words import ESCAPE

PLAIN = {str, int, float}
"""Kinds of values whose text can be told from themselves."""

SEVERITY_TEXTS = tuple(map(str, range(8)))

Answer = TypeVar("Answer")
Document = dict[str, Any]
Lines = npt.NDArray[np.int64]


class Rows(NamedTuple):
    """Lines (their places, ascending) that have fields of these names, and the text of each, by name."""

    lines: Lines
    columns: dict[str, Sequence[str]]


class Look(NamedTuple):
    """What some lines come to: rows, severities, and texts whose words they have beside those that are written."""

    rows: list[Rows]
    severities: Lines
    more: list[str]


def look(lines: Sequence[bytes], first: int) -> Look:
    """Read lines, the first of which has that place. The field `message` is no part of the rows."""
    found = Look([], np.empty(len(lines), np.int64), [])
    documents = [document or {} for document in decoded(_decoder, b"\n".join(lines), lines)]
    alike: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, document in enumerate(documents):
        alike[tuple(document)].append(place)
    for names, places in alike.items():
        columns = list(zip(*(documents[place].values() for place in places), strict=True))
        odd = {place for column in columns for place in _not_plain(places, column)}
        if odd or len(names) > MOST:
            odd = odd if len(names) <= MOST else set(places)
            for place in sorted(odd):
                _take_odd(found, first, place, documents[place])
            places = [place for place in places if place not in odd]
            columns = list(zip(*(documents[place].values() for place in places), strict=True))
        if places:
            _take_alike(found, lines, first, places, dict(zip(names, columns, strict=True)))
    if any(map(ESCAPE.search, lines)):
        # The words of an escaped text are not those of its JSON: of both, then, since too much costs only time.
        escaped = (document for line, document in zip(lines, documents, strict=True) if ESCAPE.search(line))
        found.more.extend(text for document in escaped for text in flat(document).values())
    return found


def _not_plain(places: Sequence[int], column: Sequence[Any]) -> list[int]:
    """The places whose value is of another kind than `PLAIN`."""
    if PLAIN.issuperset(map(type, column)):
        return []
    return [place for place, value in zip(places, column, strict=True) if type(value) not in PLAIN]


def _take_odd(found: Look, first: int, place: int, document: Document) -> None:
    known = Known(document)
    fields = flat(document)
    found.more.extend(fields.values())
    severity = found.severities[place] = known.written_severity()
    fields |= {"severity": SEVERITY_TEXTS[severity], "unit": known.written_unit()}
    fields.pop("message", None)
    found.rows.append(Rows(np.array([first + place]), {name: (text,) for name, text in fields.items()}))


def _take_alike(
    found: Look, lines: Sequence[bytes], first: int, places: list[int], values: dict[str, tuple[Any, ...]]
) -> None:
    columns: dict[str, Sequence[str]] = {}
    for name, column in values.items():
        kinds = set(map(type, column))
        columns[name] = column if kinds == {str} else [each if type(each) is str else repr(each) for each in column]
        if float in kinds:
            texts = zip(places, column, columns[name], strict=True)
            found.more.extend(text for place, value, text in texts if not _stands(value, text, lines[place]))
    count = len(places)
    units = list(_of_each(columns, UNITS, count, Known.written_unit))
    severities = list(_of_each(columns, LEVELS, count, Known.written_severity))
    found.severities[places] = severities
    columns["severity"] = [SEVERITY_TEXTS[each] for each in severities]
    columns["unit"] = units
    columns.pop("message", None)
    found.rows.append(Rows(np.array(places) + first, columns))


def _stands(value: Any, text: str, line: bytes) -> bool:
    """Whether a line has a number as Python writes it; it may be written as 1.50 or 15e-1 as well."""
    return type(value) is not float or f"{text},".encode() in line or f"{text}}}".encode() in line


def _of_each(
    columns: dict[str, Sequence[str]], names: Sequence[str], count: int, ask: Callable[[Known], Answer]
) -> Iterator[Answer]:
    """What holds of each line by its fields of these names; asked once for all that have the same there."""
    there = [name for name in names if name in columns]
    if not there:
        return iter([ask(Known({}))] * count)
    answers: dict[tuple[str, ...], Answer] = {}
    combinations = list(zip(*(columns[name] for name in there), strict=True))
    for combination in dict.fromkeys(combinations):
        answers[combination] = ask(Known(dict(zip(there, combination, strict=True))))
    return map(answers.__getitem__, combinations)


_decoder = msgspec.json.Decoder(Document)
