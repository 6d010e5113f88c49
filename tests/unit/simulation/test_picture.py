"""Capacity over time, drawn."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from bluestone.simulation.picture import BARS, Panel, sparkline, steps, svg


def test_steps_hold_until_they_change() -> None:
    assert steps([(0.0, 3), (5.0, 1), (9.0, 2)], 10.0, 11) == [3, 3, 3, 3, 3, 1, 1, 1, 1, 2, 2]
    assert steps([(-4.0, 3), (-1.0, 2)], 10.0, 2) == [2, 2]


@given(st.lists(st.integers(0, 50), min_size=1), st.integers(0, 50))
def test_a_sparkline_has_a_character_for_each_value(values: list[int], highest: int) -> None:
    drawn = sparkline(values, max(highest, *values))
    assert len(drawn) == len(values)
    assert set(drawn) <= set(BARS)
    assert drawn[values.index(max(values))] == max(drawn)


def test_the_picture_is_an_svg_with_a_panel_for_each_group_and_escaped_text() -> None:
    panel = Panel("a <b>", 10.0, [3, 3, 2], [3, 4, 3], [1, 0, 2], [3, 3, 3], 2)
    root = ElementTree.fromstring(svg([panel, panel], "seeds & faults"))
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("a <b>") == 2
    assert "seeds & faults" in texts
    assert texts.count("floor") == 2
