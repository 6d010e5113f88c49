from pathlib import Path

from bluestone.cli.options import as_json, as_json_line, table
from bluestone.model.group import Group


def test_columns_are_as_wide_as_they_need_to_be() -> None:
    assert table(("A", "LONG"), [("xyz", 1), ("", "")]) == "A    LONG\nxyz  1\n"


def test_the_model_is_printed_as_json() -> None:
    assert '"name": "web"' in as_json(Group("web"))
    assert as_json({"at": Path("/x")}) == '{\n  "at": "/x"\n}'
    assert "\n" not in as_json_line(Group("web"))
