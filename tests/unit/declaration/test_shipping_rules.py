"""`[servers.NAME.logs]` and `[logs.listen]`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluestone.declaration import parse
from bluestone.model.declaration import Declaration
from bluestone.model.generation import ServerConfig
from bluestone.model.group import Group, LogPolicy
from bluestone.model.logs import LogListening
from bluestone.model.problem import Problem, Problems

HEAD = 'project = "p"\n[image]\nbase = "debian:trixie"\n'
WEB = HEAD + "[servers.web.logs]\n"


def declared(text: str) -> Declaration:
    return parse(text, "bluestone.toml", Path("/"))


def problem_of(text: str) -> Problem:
    with pytest.raises(Problems) as raised:
        declared(text)
    (problem,) = raised.value.problems
    assert problem.place is not None
    assert problem.mend
    return problem


def test_rules_are_read() -> None:
    text = WEB + "files = [\"/var/log/app/*.log\"]\nmask = ['(?i)password=(\\S+)', 'a{1,9}b+']\n"
    (group,) = declared(text).groups
    assert group.logs == LogPolicy(("/var/log/app/*.log",), (r"(?i)password=(\S+)", "a{1,9}b+"))
    assert ServerConfig.of(group, "").logs == group.logs


def test_without_rules_groups_and_generations_are_what_they_were() -> None:
    plain, ruled = Group("web"), Group("web", logs=LogPolicy(files=("/x",)))
    assert ServerConfig.of(plain, "").digest() != ServerConfig.of(ruled, "").digest()
    assert plain.digest() != ruled.digest()
    # As bluestone reckoned it before there were rules.
    assert plain.digest() == "ae4073a940e5736c3339e2b9b131e7896470a52735f8a7f91296ed2ad42f2c52"


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ("(", "is not a regular expression"),
        ("a*", "matches nothing at all"),
        ("(a+)+b", "repeats what repeats"),
        ("(?:x|(?:a*c)+)d", "repeats what repeats"),
        ("(?=(a+)*)b", "repeats what repeats"),
        ("a" * 501, "501 characters"),
        ("a\tb", "cannot be seen"),
    ],
)
def test_a_mask_that_would_not_do_is_refused(rule: str, what: str) -> None:
    assert what in problem_of(f"{WEB}mask = ['{rule}']\n").what


@pytest.mark.parametrize("rule", ["(?:a{1,9}){1,9}", "(?>a+)+b", "[a-z]+@[a-z.]+", "a(b|c)+d", "x++y*"])
def test_a_mask_that_ends_is_taken(rule: str) -> None:
    assert declared(f"{WEB}mask = ['{rule}']\n").groups[0].logs.mask == (rule,)


@pytest.mark.parametrize("path", ["log/app.log", "/var/*/app.log", "/var/log/*", "/var/log/../x.log"])
def test_a_file_that_could_be_any_is_refused(path: str) -> None:
    problem_of(f'{WEB}files = ["{path}"]\n')


def test_where_others_are_listened_to() -> None:
    text = HEAD + '[logs.listen]\nsyslog = "[2001:db8::1]:6514"\nnames = ["logs.example.org"]\n'
    assert declared(text).listen == LogListening(None, "[2001:db8::1]:6514", ("logs.example.org",))
    assert not declared(HEAD).listen


@pytest.mark.parametrize(
    "line",
    ['syslog = "6514"', 'http = "host:1"', 'http = "127.0.0.1:0"', 'syslog = "::1:6514"', 'names = ["a_b"]', "x = 1"],
)
def test_an_address_that_is_none_is_refused(line: str) -> None:
    problem_of(f"{HEAD}[logs.listen]\n{line}\n")
