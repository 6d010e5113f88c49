"""The pages of docs/: they lead to each other, and what they have a person write and type is understood."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import click

from bluestone.cli.main import bluestone
from bluestone.declaration.fit import fit

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELL = {"&&", "||", "|", ">", ";"}
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)")


def leads_to(page: Path) -> set[Path]:
    """The files that a page's relative links name."""
    return {(page.parent / found).resolve() for found in LINK.findall(page.read_text())}


def test_no_link_is_dead() -> None:
    dead = {str(page.relative_to(ROOT)): sorted(map(str, gone)) for page in PAGES if (gone := missing(page))}
    assert dead == {}


def missing(page: Path) -> list[Path]:
    return [found for found in leads_to(page) if not found.exists()]


def test_every_page_is_found_from_the_index() -> None:
    index = leads_to(ROOT / "docs" / "README.md")
    rooms = ("tutorial", "howto", "explanation", "reference")
    pages = {page for room in rooms for page in (ROOT / "docs" / room).glob("*.md")}
    assert len(pages) > 40
    assert pages <= index, sorted(str(page.relative_to(ROOT)) for page in pages - index)


def verbs_of(page: Path) -> list[list[str]]:
    """The words of each `bluestone ...` that the page's blocks of code would have a person type."""
    found = re.findall(r"^(?:    |\$ )(bluestone .*)$", page.read_text(), re.MULTILINE)
    return [one for line in found for one in commands(line)]


def commands(line: str) -> list[list[str]]:
    """What of a shell's line are calls of bluestone: `bluestone lock --check && bluestone build` are two."""
    words = shlex.split(re.sub(r"\$\(.*?\)", "WORD", line), comments=True)
    parts: list[list[str]] = [[]]
    for word in words:
        if word in SHELL:
            parts.append([])
        else:
            parts[-1].append(word)
    return [part[1:] for part in parts if part[:1] == ["bluestone"]]


def refusal(words: list[str]) -> str | None:
    """Why the command line would not take these words; what is not there (files, servers) is not asked for."""
    try:
        command: click.Command = bluestone
        context = bluestone.make_context("bluestone", list(words))
        while isinstance(command, click.Group) and (rest := [*context._protected_args, *context.args]):
            name, found, words = command.resolve_command(context, rest)
            assert found
            command = found
            context = command.make_context(name, list(words), parent=context)
    except click.BadParameter as error:
        return None if "exist" in error.message else error.format_message()
    except click.UsageError as error:
        return error.format_message()
    return None


def test_the_verbs_of_the_pages_are_understood() -> None:
    found = [(str(page.relative_to(ROOT)), words) for page in PAGES for words in verbs_of(page)]
    assert len(found) > 90
    assert {" ".join(words): (page, said) for page, words in found if (said := refusal(words))} == {}


def test_a_verb_that_is_not_understood_is_seen() -> None:
    assert refusal(["up", "--sideways"])
    assert refusal(["dance"])
    assert refusal(["logs", "check", "--sideways"])
    assert commands("bluestone build && bluestone plan --json > x # and so on") == [["build"], ["plan", "--json"]]


def tables_of(page: Path) -> list[str]:
    """The blocks of TOML of a page that are parts of a declaration: prices are a file of their own."""
    blocks = re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [block for block in blocks if not re.search(r"^\[\[(price|source)\]\]", block, re.MULTILINE)]


def findings(block: str) -> list[str]:
    """What is wrong with the keys and values of a part of a declaration; what it leaves out is filled in."""
    written = tomllib.loads(block)
    table = {"project": "web"} | written | {"image": {"base": "debian:trixie"} | written.get("image", {})}
    return [str(finding) for finding in fit(table)[1]]


def test_the_declarations_of_the_pages_are_understood() -> None:
    found = [(str(page.relative_to(ROOT)), block) for page in PAGES for block in tables_of(page)]
    assert len(found) > 15
    assert [(page, said) for page, block in found for said in findings(block)] == []


def test_a_declaration_that_is_not_understood_is_seen() -> None:
    assert findings("[servers.web]\ncuont = 3")
    assert findings('[patching]\nrebuild = "weekly"')
