"""What is generated from the keys: schema, reference page, and the file to begin with."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bluestone.declaration import parse
from bluestone.declaration.__main__ import main, pages
from bluestone.declaration.keys import DeclarationTable
from bluestone.declaration.schema import headings, schema
from bluestone.declaration.template import template
from bluestone.model.problem import Problem

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference"
NAMED = ("servers", "image.archives", "servers.NAME.volumes", "logs.sinks")
"""Tables of tables that a person names."""


def every_key() -> set[str]:
    """`servers.NAME.rollout.strategy` and all others."""
    return {f"{header}.{key}".lstrip(".") for header, table in headings() for key in table["properties"]}


def keys_in(table: dict[str, Any], header: str = "") -> Iterator[str]:
    """The keys of a parsed file, in the same form."""
    for key, value in table.items():
        name = "NAME" if header in NAMED else "TARGET" if header == "image.files" else key
        path = f"{header}.{name}".lstrip(".")
        yield path
        if isinstance(value, dict):
            yield from keys_in(value, path)
        for each in value if isinstance(value, list) else []:
            if isinstance(each, dict):
                yield from keys_in(each, f"{path}[]")


def schema_errors(toml: dict[str, Any]) -> list[str]:
    return [error.json_path for error in jsonschema.Draft202012Validator(schema()).iter_errors(toml)]


@pytest.mark.parametrize("name", list(pages()))
def test_generated_pages_are_up_to_date(name: str) -> None:
    on_disk = (REFERENCE / name).read_text(encoding="utf-8")
    assert on_disk == pages()[name], "run: python -m bluestone.declaration"


def test_pages_are_written_where_asked(tmp_path: Path) -> None:
    main(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"declaration.md", "bluestone.schema.json"}


def test_the_reference_names_every_key() -> None:
    page = pages()["declaration.md"]
    for header, table in headings():
        assert not header or header in page
        for key in table["properties"]:
            assert f"| `{key}` |" in page


def test_every_example_is_right_by_itself() -> None:
    for header, table in headings():
        for key, node in table["properties"].items():
            example = node["examples"][0]
            checked = {"$defs": schema()["$defs"], **node}
            assert list(jsonschema.Draft202012Validator(checked).iter_errors(example)) == [], f"{header}.{key}"


def test_the_schema_is_valid_and_takes_what_is_right() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    example = tomllib.loads((ROOT / "examples" / "web" / "bluestone.toml").read_text())
    assert schema_errors(example) == []
    assert "null" not in json.dumps(schema())


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('project = "Web"', "$.project"),
        ("image.count = 3", "$.image"),
        ('image.base = "debian"', "$.image.base"),
        ('servers.web.rollout = "blue-gren"', "$.servers.web.rollout"),
        ('servers.web.rollout.drain = "10"', "$.servers.web.rollout"),
        ("servers.web.count = 1001", "$.servers.web.count"),
        ('servers.web.ports = ["80"]', "$.servers.web.ports[0]"),
        ("servers.W_b.count = 3", "$.servers"),
        ('servers.web.secrets.A = "hunter2"', "$.servers.web.secrets.A"),
    ],
)
def test_the_schema_refuses_what_is_wrong(text: str, path: str) -> None:
    right = {"project": "p", "image": {"base": "debian:trixie"}}
    wrong = tomllib.loads(text)
    toml = {**right, **wrong, "image": {**right["image"], **wrong.get("image", {})}}  # type: ignore[dict-item]
    assert schema_errors(toml) == [path]


def test_the_template_is_right_as_it_is() -> None:
    declaration = parse(template("shop", "ubuntu:noble"), "bluestone.toml", Path("/"))
    assert (declaration.project, declaration.recipe.base.distribution) == ("shop", "ubuntu")
    assert [group.name for group in declaration.groups] == ["web"]
    assert declaration.groups[0].health.path == "/"


def settings(text: str) -> Iterator[str]:
    """The lines of the template that are settings, those that are commented out among them."""
    for line in text.splitlines():
        if not line.startswith("# "):
            yield line.removeprefix("#")


def test_the_template_has_every_key() -> None:
    """Where a key stands twice (short, and at length), the last counts."""
    last: dict[tuple[str, str], str] = {}
    header = ""
    for line in settings(template("shop", "debian:trixie")):
        header = line if line.startswith("[") else header
        last[header, line.partition(" = ")[0]] = line
    toml = tomllib.loads("\n".join(last.values()))
    assert every_key() == set(keys_in(toml)) - {"image.files.TARGET", *(f"{each}.NAME" for each in NAMED)} - {
        path for path in keys_in(toml) if re.search(r"\.(environment|secrets|facts|variables|groups|periods)\.", path)
    }
    DeclarationTable.model_validate(toml)


def test_each_line_of_the_template_that_is_commented_out_is_right(tmp_path: Path) -> None:
    for directory in ("site", "app", "secrets"):
        (tmp_path / directory).mkdir()
    for file in ("packages/app.deb", "prices.toml", "keys/tools.asc", "puppet/manifests/site.pp", "ansible/site.yml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "app" / "requirements.txt").touch()
    text = template("shop", "debian:trixie")
    for line in (line for line in text.splitlines() if re.match("#[^ ]", line)):
        tried = text.replace(line, line[1:])
        key = line[1:].partition(" = ")[0]
        if key in ("base", "ports", "health", "puppet", "ansible"):
            tried = re.sub(rf"(?m)^{key} = [^{{\n]*\n(?=(.*\n)*?{key} = )", "", tried, count=1)
        if key in ("data", "hold"):
            tried = tried.replace('"blue-green"\n', '"destroy-first"\n')
        if key == "fallback":
            tried = tried.replace('#memory = "256MiB"', 'memory = "256MiB"')
        if key == "zones":  # only for a provider of somebody else's
            tried = tried.replace(line[1:], f'{line[1:]}\nprovider = "theirs"').replace('provider = "podman"\n', "", 1)
        if key == "raises":
            tried = tried.replace('#"/opt/app" = {', '"/opt/app" = {')
        if key in ("max_surge", "max_unavailable"):
            tried = tried.replace('"blue-green"\n', '"rolling"\n')
        parse(tried, line, tmp_path)


def test_a_template_for_what_cannot_be_is_refused() -> None:
    for project, base in (("My Shop", "debian:trixie"), ("shop", "debian"), ("shop", 'debian:"x'), ("shop", "a:b")):
        with pytest.raises(Problem) as refused:
            template(project, base)
        assert refused.value.mend


def test_reading_a_right_file_loads_nothing_that_only_a_wrong_one_needs() -> None:
    code = (
        "import sys; from pathlib import Path; from bluestone.declaration import read; read(Path(sys.argv[1]));"
        "print([n for n in ('schema', 'explain', 'locate', 'template', 'reference')"
        " if 'bluestone.declaration.' + n in sys.modules])"
    )
    example = str(ROOT / "examples" / "web" / "bluestone.toml")
    done = subprocess.run([sys.executable, "-c", code, example], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
