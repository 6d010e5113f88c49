"""Everything that is refused: what is said, on which line, and how it is mended."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.declaration import parse
from bluestone.model.declaration import Declaration, Store
from bluestone.model.group import Amount, SecretRef
from bluestone.model.problem import Place, Problem, Problems
from bluestone.model.volume import VolumeSpec

FIRST = 'rollout = "destroy-first"'
HEAD = 'project = "p"\n[image]\nbase = "debian:trixie"\n'


def problems_of(text: str, directory: Path = Path("/")) -> list[Problem]:
    with pytest.raises(Problems) as raised:
        parse(text, "bluestone.toml", directory)
    for problem in raised.value.problems:
        assert problem.mend, problem.what
        assert problem.place is not None, problem.what
    return list(raised.value.problems)


def problem_of(text: str, directory: Path = Path("/")) -> Problem:
    problems = problems_of(text, directory)
    assert len(problems) == 1, [problem.what for problem in problems]
    return problems[0]


def place_of(problem: Problem) -> Place:
    assert problem.place is not None
    return problem.place


def in_group(text: str) -> str:
    return f"{HEAD}[servers.web]\n{text}\n"


def waiver(path: str, finding: str = "setuid", reason: str = "it is right") -> str:
    return f'[[image.waivers]]\nfinding = "{finding}"\npath = "{path}"\nreason = "{reason}"\n'


def in_image(text: str) -> str:
    return f"{HEAD}{text}\n"


@pytest.mark.parametrize(
    ("text", "what", "mend"),
    [
        ('store = "mysql://h/db"', "is not the address of a database", "postgresql://USER@HOST:PORT/DATABASE"),
        ('store = "/var/lib/journal.db"', "is not the address of a database", "postgresql://"),
        ('store = "postgresql://h/db name"', "is not the address of a database", "postgresql://"),
        ('store = "postgresql://u:horse@h/db"', "has a password in it", 'password = "env:VARIABLE"'),
        ('store = "postgresql://u@h/db?password=horse"', "has a password in it", 'password = "env:VARIABLE"'),
        ('store = "postgresql://h/db"\npassword = "horse"', "never the value itself", '"env:VARIABLE"'),
        ('password = "env:STORE"', "no store that it is for", "add store"),
    ],
)
def test_where_the_journal_is(text: str, what: str, mend: str) -> None:
    problem = problem_of(f"{HEAD}[state]\n{text}\n")
    assert what in problem.what
    assert mend in problem.mend
    assert "horse" not in str(problem)


def test_a_store_and_where_its_password_comes_from_are_read(tmp_path: Path) -> None:
    text = f'{HEAD}[state]\nstore = "postgresql://u@a:5432,b/db?service=x"\npassword = "file:secret"\n'
    store = parse(text, "bluestone.toml", tmp_path).store
    assert store == Store(
        "postgresql://u@a:5432,b/db?service=x", SecretRef("password", "file", str(tmp_path / "secret"))
    )


def test_a_problem_looks_as_promised() -> None:
    text = f'{HEAD}[servers.web]\ncount = 1\n[servers.web.rollout]\n  strategy = "blue-gren"\n'
    assert str(problem_of(text)) == (
        'error: unknown strategy "blue-gren"\n'
        "  --> bluestone.toml:7   servers.web.rollout.strategy\n"
        '   |  strategy = "blue-gren"\n'
        '  mend: did you mean "blue-green"? Choices: blue-green, rolling, destroy-first'
    )


def test_a_fault_in_a_short_string_is_on_its_line() -> None:
    problem = problem_of(in_group('rollout = "roling"'))
    assert problem.what == 'unknown strategy "roling"'
    assert place_of(problem) == Place("bluestone.toml", 5, "servers.web.rollout", 'rollout = "roling"')


@pytest.mark.parametrize(
    ("text", "what", "mend"),
    [
        ("", 'missing key "project"', 'add project = "web"'),
        ('project = "p"', "missing table [image]", 'add [image] with base = "debian:trixie"'),
        ('project = "p"\n[image]', 'missing key "base" in [image]', 'add base = "debian:trixie"'),
        ('projekt = "p"\n' + HEAD[14:], 'unknown key "projekt"', 'did you mean "project"?'),
        (HEAD + '[patching]\nrebuild = "weekly"\n', 'unknown key "patching"', 'did you mean "patch"?'),
        (in_image("pakages = []"), 'unknown key "pakages" in [image]', 'did you mean "packages"?'),
        (in_image("count = 3"), 'unknown key "count" in [image]', "it belongs in [servers.NAME]"),
        (in_image("xyzzy = 3"), 'unknown key "xyzzy" in [image]', "leave it out. Keys here: base, packages"),
        (in_group("rollout.max-surge = 1"), 'unknown key "max-surge"', 'did you mean "max_surge"?'),
        (in_group('"a b" = 1'), 'unknown key "a b" in [servers.web]', "Keys here: provider, count"),
        (in_image('packages = "nginx"'), "packages must be an array, not a string", 'packages = ["nginx-light"]'),
        (in_image("packages = [1]"), "an element of packages must be a string", 'packages = ["nginx-light"]'),
        (in_image("run = [1979-05-27]"), "must be a string, not a date or time", 'run = ["nginx -t"]'),
        (in_group("count = true"), "count must be an integer, not a boolean", "count = 3"),
        (in_group("count = 1.0"), "count must be an integer, not a float", "count = 3"),
        (in_group("count = 1001"), "count cannot be 1001", "from 0 to 1000"),
        (in_group("count = -1"), "count cannot be -1", "from 0 to 1000"),
        (in_group("count = 0x1" + "0" * 5000), "a number of more than 80 digits", "from 0 to 1000"),
        (in_group("rollout = 3"), "rollout must be a string or a table, not an integer", 'rollout = "rolling"'),
        (in_group("rollout.drain = 10"), "drain must be a string, not an integer", 'drain = "10s"'),
        (in_group('resources = "1g"'), "resources must be a table, not a string", 'memory = "256MiB"'),
        (in_group("ports = {}"), "ports must be an array, not a table", "8080:80"),
        ('project = "Web"\n' + HEAD[14:], '"Web" is not a name', "small letters"),
        (f'project = "{"a" * 25}"\n' + HEAD[14:], "is too long", "at most 24 characters"),
        (f"{HEAD}[servers.Web]", '"Web" is not a name', "small letters"),
        (f"{HEAD}[servers.a_b]", '"a_b" is not a name', "hyphens"),
        (in_group('provider = "Pod man"'), "is not a provider's name", "podman"),
    ],
)
def test_shape(text: str, what: str, mend: str) -> None:
    problem = problems_of(text)[0]
    assert what in problem.what
    assert mend in problem.mend


@pytest.mark.parametrize(
    ("text", "what", "mend"),
    [
        ('base = "debian"', "is no distribution with its suite", '"debian:trixie"'),
        ('base = "debain:trixie"', 'unknown distribution "debain"', 'did you mean "debian"?'),
        ('base = "alpine:edge"', 'unknown distribution "alpine"', "Choices: debian, ubuntu"),
        ('base = "debian:Trixie"', '"Trixie" is not a suite', "code name"),
        ('base = { distribution = "debian" }', 'missing key "suite" in [image.base]', 'suite = "trixie"'),
    ],
)
def test_bases(text: str, what: str, mend: str) -> None:
    problem = problem_of(f'project = "p"\n[image]\n{text}')
    assert what in problem.what
    assert mend in problem.mend
    assert place_of(problem).line == 3


@pytest.mark.parametrize("archive", ["debian", "ftp://a/b", "http://", "http://a b/", "https://a/'x'", "http://[1"])
def test_archives(archive: str) -> None:
    base = f'base = {{ distribution = "debian", suite = "trixie", archive = "{archive}" }}'
    assert "is not the URI of an archive" in problem_of(f'project = "p"\n[image]\n{base}').what


@pytest.mark.parametrize("archive", ["https://me:hunter2@a/debian", "https://hunter2@a/", "http://a:hunter2@[::1]/"])
def test_a_password_in_an_archive_is_refused_and_not_shown(archive: str) -> None:
    base = f'base = {{ distribution = "debian", suite = "trixie", archive = "{archive}" }}'
    problem = problem_of(f'project = "p"\n[image]\n{base}')
    assert "password" in problem.what
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("text", "what", "mend"),
    [
        ('packages = ["Nginx"]', "is not a Debian package's name", "small letters"),
        ('packages = ["nginx=1.2"]', "asks for a version", '"nginx"'),
        ('packages = ["libc6:i386"]', "asks for a version, a suite or an architecture", '"libc6"'),
        ('packages = ["--help"]', "is not a Debian package's name", "small letters"),
        ('packages = ["nginx", "openssh-server"]', "openssh-server opens a login", "leave it out"),
        ('packages = ["dropbear"]', "opens a login", "bluestone logs"),
        ('packages = ["telnetd"]', "opens a login", "leave it out"),
        ('packages = ["nginx", "curl", "nginx"]', "nginx is named twice", "leave one"),
        ('units = ["nginx"]', 'the unit "nginx" has no suffix', '"nginx.service"'),
        ('units = ["nginx.srvice"]', "is not a unit that can be enabled", ".service"),
        ('units = ["../x.service"]', "is not a unit that can be enabled", ".service"),
        ('units = ["ssh.service"]', "opens a login", "leave it out"),
        ('units = ["serial-getty@ttyS0.service"]', "opens a login", "leave it out"),
        ('run = [""]', "is not a command", "nginx -t"),
        ('run = ["a\\u0000b"]', "is not a command", "nginx -t"),
        ('login = "ssh"', 'login = "ssh" is refused: whatever is changed by hand is lost', '"none"'),
        ('writable = ["srv"]', "is not an absolute path", '"/srv"'),
        ('writable = ["/etc"]', "/etc cannot be writable", "below it"),
        ('writable = ["//"]', "/ cannot be writable", "below it"),
        ('writable = ["/run/x"]', "/run is mounted at the start", "leave it out"),
        ('writable = ["/srv/../etc"]', '".." in it', "that is meant"),
        ('writable = ["/srv/x", "/srv//x/"]', "/srv/x is named twice", "leave one"),
    ],
)
def test_image(text: str, what: str, mend: str) -> None:
    problem = problem_of(in_image(text))
    assert what in problem.what
    assert mend in problem.mend
    assert place_of(problem).text == text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('"etc/x" = "there"', "is not an absolute path"),
        ('"/etc/../x" = "there"', '".." in it'),
        (f'"/{"x" * 1024}" = "there"', "is too long for a path"),
        ('"/proc/x" = "there"', "a file in /proc is hidden"),
        ('"//sys/x" = "there"', "a file in /sys is hidden"),
        ('"/dev" = "there"', "a file in /dev is hidden"),
        ('"/run/x" = "there"', "a file in /run is hidden"),
        ('"/var/run/x" = "there"', "a file in /var/run is hidden"),
        ('"/etc/a\\nb" = "there"', "control character"),
        ('"/srv/x" = "nowhere"', "there is no file or directory {directory}/nowhere"),
        ('"/srv/x" = "dangling"', "dangling (a link that leads nowhere)"),
        ('"/srv/x" = "pipe"', "pipe is no file and no directory"),
        ('"/srv/x" = ""', "is not a path"),
        ('"/srv/x" = {}', "neither of source and content"),
        ('"/srv/x" = { source = "there", content = "x" }', "both of source and content"),
        ('"/srv/x" = { content = "x", mode = "888" }', "is not a file's mode"),
        ('"/srv/x" = { content = "x", mode = 644 }', "mode must be a string, not an integer"),
        ('"/srv/x" = { content = "x", owner = "a b" }', "is not an owner"),
        ('"/" = "there"', "only a directory can be laid over /"),
        ('"/etc/x" = "there"\n"/etc//x" = "there"', "/etc//x is the same place as /etc/x"),
        ('"/etc/x" = "there"\n"/etc/x/y" = "there"', "/etc/x/y cannot lie in /etc/x"),
    ],
)
def test_files(text: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    problem = problem_of(in_image(f'writable = ["/var/cache/app"]\n[image.files]\n{text}'), tmp_path)
    assert what.format(directory=tmp_path) in problem.what
    shown = place_of(problem).text
    assert text.split("\n")[-1].startswith(shown.rstrip("…")) and shown


def test_files_that_are_right(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to("/etc/passwd")
    text = '[image.files]\n"/" = "sub"\n"/etc/x" = "link"\n"/runner" = "sub"\n"/runner/a" = { content = "" }'
    assert len(parse(in_image(text), "f", tmp_path).recipe.files) == 4


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('ports = ["80"]', '"80" is not a port'),
        ('ports = ["a:80"]', '"a:80" is not a port'),
        ('ports = ["8080:80/udp"]', '"8080:80/udp" is not a port'),
        ('ports = ["0:80"]', "listen cannot be 0"),
        ('ports = ["8080:65536"]', "server cannot be 65536"),
        ('ports = ["1.2.3:8080:80"]', "is not an IP address"),
        ("ports = [{ listen = 80 }]", 'missing key "server" in [servers.web.ports[0]]'),
        ('ports = ["1:1", "1:2"]', "port 1 of 127.0.0.1 is taken: web listens on 127.0.0.1:1"),
        ('health = "/health"', "a group without ports has no health to check"),
        ('ports = ["1:1/tcp"]\nhealth = "/x"', "every port of web is tcp"),
        ('ports = ["1:1"]\nhealth = "health"', "is not a way to check a server's health"),
        ('ports = ["1:1"]\nhealth = "/a b"', "is not a path to check"),
        ('ports = ["1:1"]\nhealth = "/a\'"', "is not a path to check"),
        ('ports = ["1:1"]\nhealth = { port = 0 }', "port cannot be 0"),
        ('ports = ["1:1"]\nhealth = { rise = 0 }', "rise cannot be 0"),
        ('ports = ["1:1"]\nhealth = { interval = "2m" }', "2 checks 120 s apart take longer than a rollout waits"),
        ('resources.memory = "1MB"', "out of bounds"),
        ('environment = { "a-b" = "x" }', "is not a variable's name"),
        ('environment = { A = "x\\ny" }', "line break"),
        ("environment = { A = 1 }", "A must be a string"),
        ('environment = { A = "1" }\nsecrets = { A = "env:A" }', "A is both in environment and in secrets"),
        ('rollout.drain = "0s"', "out of bounds"),
        ('rollout.progress = "2d"', "out of bounds"),
        ('rollout.keep = "31d"', "out of bounds"),
        ('rollout = { strategy = "rolling", max_surge = 0 }', "nothing could ever be replaced"),
        ('rollout = { strategy = "rolling", max_surge = "0%", max_unavailable = 0 }', "nothing could ever"),
        ('rollout = { strategy = "rolling", max_unavailable = "101%" }', "neither a number of servers nor"),
        ('rollout = { strategy = "destroy-first", max_surge = 1 }', "destroy-first never has more servers"),
        ('rollout = { strategy = "destroy-first", max_unavailable = 0 }', "nothing could ever be replaced"),
        ('rollout = { strategy = "blue-green", max_surge = 1 }', "blue-green always starts a whole new set"),
        ("rollout = { max_unavailable = 1 }", "blue-green always starts a whole new set"),
        ('rollout = { strategy = "rolling", keep = "5m" }', "rolling has no old servers left to keep"),
        ('on_drift = "ignore"', 'unknown then "ignore"'),
        ('on_drift = { ignore = ["/**"] }', "nearly everything differ unnoticed"),
        ('on_drift = { ignore = ["nginx"] }', "is not a path or a unit"),
        ('on_drift = { ignore = ["../x"] }', "is not a path or a unit"),
        ('on_drift = { ignore = ["/a/b", "/a/b"] }', "/a/b is named twice"),
    ],
)
def test_group(text: str, what: str) -> None:
    problem = problem_of(in_group(text))
    assert what in problem.what
    assert place_of(problem).text == text.split("\n")[-1]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('volumes.data = "/srv/data"', "a volume can be on one server only"),
        ('volumes.data = "/srv/data"\nrollout = { strategy = "rolling", max_surge = 1 }', "can be more than count"),
        ('volumes.data = "/srv/data"\nrollout = { strategy = "rolling", max_unavailable = 0 }', "ever be replaced"),
        ('volumes.data = "/srv/data"\nrollout = { strategy = "destroy-first", keep = "1m" }', "keep has no meaning"),
        ('rollout = { strategy = "rolling", hold = "1m" }', "hold has no meaning"),
        (f'volumes = {{ a = "/srv/x", b = "/srv/x/" }}\n{FIRST}', "is on the volume a already"),
        (f'volumes.data = "/srv/data"\nprovider = "qemu"\n{FIRST}', "virtual machines have no volumes"),
        (f'volumes.data = "srv/data"\n{FIRST}', "not an absolute path"),
        (f'volumes.data = "/run/data"\n{FIRST}', "is mounted at the start"),
        (f'volumes.data = "/var/lib"\n{FIRST}', "comes from the image"),
        (f'volumes.data = "/srv/a:b"\n{FIRST}', "not a path for a volume"),
        (f'volumes.data = "/srv/[a]"\n{FIRST}', "not a path for a volume"),
        (f'volumes.data = {{ path = "/srv/a", size = "many" }}\n{FIRST}', "not a size"),
        (f'volumes.data = {{ path = "/srv/a", owner = "a b" }}\n{FIRST}', "not an owner"),
        (f'volumes.Data = "/srv/data"\n{FIRST}', "not a name"),
    ],
)
def test_volumes(text: str, what: str) -> None:
    assert any(what in problem.what for problem in problems_of(in_group(text)))


def test_a_volume_is_not_in_memory_as_well() -> None:
    text = in_image('writable = ["/srv/data"]') + f'[servers.web]\nvolumes.data = "/srv/data"\n{FIRST}\n'
    assert "in memory and on a volume" in problem_of(text).what


def test_volumes_that_are_right() -> None:
    text = 'volumes = { data = "/srv/data/", log = { path = "/var/log/x", size = "10GB", owner = "www-data" } }'
    (group,) = parse(in_group(f"{text}\n{FIRST}"), "bluestone.toml", Path("/")).groups
    assert group.volumes == (
        VolumeSpec("data", "/srv/data"),
        VolumeSpec("log", "/var/log/x", size=10_000_000_000, owner="www-data"),
    )
    assert (group.rollout.max_surge, group.rollout.max_unavailable) == (Amount(0), Amount(1))
    assert group.rollout.hold == timedelta(seconds=30)
    (rolling,) = parse(in_group(f'{text}\nrollout = "rolling"'), "bluestone.toml", Path("/")).groups
    assert (rolling.rollout.max_surge, rolling.rollout.max_unavailable) == (Amount(0), Amount(1))
    assert not rolling.rollout.hold


@pytest.mark.parametrize(
    "packages", ['["linux-image-cloud-amd64", "nginx-light"]', '["linux-image-6.12.57+deb13-amd64"]']
)
def test_a_virtual_machine_boots_the_kernel_of_its_image(packages: str) -> None:
    group = '[servers.web]\nprovider = "qemu"\nresources = { cpus = 2 }\n'
    assert parse(f"{HEAD}packages = {packages}\n{group}", "f", Path("/")).groups[0].provider == "qemu"
    for base, kernel in (("debian:trixie", "linux-image-cloud-amd64"), ("ubuntu:noble", "linux-image-virtual")):
        text = f'project = "p"\n[image]\nbase = "{base}"\npackages = ["linux-base"]\n{group}'
        problem = problem_of(text)
        assert "the image has no kernel" in problem.what
        assert problem.mend == f'add one to image.packages: "{kernel}"'
        assert place_of(problem).text == 'provider = "qemu"'


def test_a_virtual_machine_has_whole_processors() -> None:
    group = '[servers.web]\nprovider = "qemu"\nresources = { cpus = 1.5 }\n'
    problem = problem_of(f'{HEAD}packages = ["linux-image-amd64"]\n{group}')
    assert "has whole processors, not 1.5" in problem.what
    assert problem.mend == "write cpus = 2"
    assert parse(f"{HEAD}{group.replace('qemu', 'podman')}", "f", Path("/")).groups[0].resources.cpus == 1.5


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        ("1:1", "1:1", True),
        ("1:1", "2:1", False),
        ("0.0.0.0:1:1", "1:1", True),
        ("1:1", "0.0.0.0:1:1", True),
        ("10.0.0.1:1:1", "1:1", False),
        ("[::]:1:1", "10.0.0.1:1:1/tcp", True),
    ],
)
def test_two_groups_on_one_port(first: str, second: str, clash: bool) -> None:
    text = f'{HEAD}[servers.a]\nports = ["{first}"]\n[servers.b]\nports = ["{second}"]\n'
    if not clash:
        assert len(parse(text, "f", Path("/")).groups) == 2
        return
    problem = problem_of(text)
    assert "is taken: a listens on" in problem.what
    assert (place_of(problem).line, place_of(problem).key) == (7, "servers.b.ports[0]")


@pytest.mark.parametrize(
    "text",
    [
        'secrets = { A = "hunter2" }',
        'secrets = { "a-b" = "env:A", A = "hunter2" }',
        'secrets = "hunter2"',
        'secrets = ["hunter2"]',
        'secrets = { A = ["hunter2"] }',
        'secrets = { A = "file:hunter2\\n" }',
        'secrets = { A = "env:hunter-2" }',
    ],
)
def test_what_may_be_a_secret_is_never_shown(text: str) -> None:
    for problem in problems_of(in_group(text)):
        assert "hunter" not in str(problem)
        assert place_of(problem).line == 5


def test_all_problems_are_found_at_once_in_the_order_of_the_lines() -> None:
    text = """\
projet = "p"
[image]
base = "debain:trixie"
packages = [
  "ok",
  "Bad",
  "Worse",
]
[image.files]
"/etc/x" = "nowhere"
[servers.web]
cuont = 3
ports = ["8080:80"]
rollout = { strategy = "rolling", max_surge = 0 }
[servers.api]
ports = ["0.0.0.0:8080:80"]
health.interval = 3
"""
    found = [(place_of(problem).line, problem.what) for problem in problems_of(text)]
    assert found == [
        (1, 'unknown key "projet"'),
        (3, 'unknown distribution "debain"'),
        (6, '"Bad" is not a Debian package\'s name'),
        (7, '"Worse" is not a Debian package\'s name'),
        (10, "there is no file or directory /nowhere"),
        (12, 'unknown key "cuont" in [servers.web]'),
        (14, "nothing could ever be replaced: no server may come before one goes, and none may go"),
        (16, "port 8080 of 0.0.0.0 is taken: web listens on 127.0.0.1:8080"),
        (17, "interval must be a string, not an integer"),
    ]


def test_a_wrong_name_does_not_hide_what_is_wrong_below_it() -> None:
    text = f'{HEAD}[servers.Web]\ncount = "3"\n[servers.web]\nports = ["1:1", "1:1"]\n'
    found = [(place_of(problem).line, place_of(problem).key) for problem in problems_of(text)]
    assert found == [(4, "servers.Web"), (5, "servers.Web.count"), (7, "servers.web.ports[1]")]


def test_nothing_is_concluded_from_what_is_wrong_itself() -> None:
    assert "is not a port" in problem_of(in_group('ports = ["x"]\nhealth = "/"')).what
    assert "unknown key" in problem_of(in_group('prots = ["1:1"]\nhealth = "/"')).what
    rollout = 'rollout = { strategy = "rolling", max_surge = 0, max_unavailable = "x" }'
    assert "neither a number" in problem_of(in_group(rollout)).what
    rollout = 'rollout = { strategy = "x", max_surge = 0, keep = "1m" }'
    assert "unknown strategy" in problem_of(in_group(rollout)).what
    assert "packages must be" in problem_of(f'{HEAD}packages = 1\n[servers.web]\nprovider = "qemu"\n').what


unicode = st.characters(codec="utf-8")
scalars = st.booleans() | st.integers() | st.floats() | st.text(unicode.filter(lambda c: ord(c) < 0x10000), max_size=8)
words = st.sampled_from(
    [
        *("project", "image", "servers", "web", "base", "packages", "files", "run", "writable", "ports", "health"),
        *("rollout", "strategy", "max_surge", "secrets", "environment", "resources", "memory", "source", "/etc/x"),
    ]
)
values = st.sampled_from(
    ["debian:trixie", "debian:", "rolling", "8080:80", "1:1/tcp", "/x", "10s", "25%", "env:X", "256MiB", 0, 1, -1, ""]
)


def documents(depth: int) -> st.SearchStrategy[Any]:
    leaf = values | scalars
    if not depth:
        return leaf
    inner = documents(depth - 1)
    return (
        leaf | st.lists(inner, max_size=2) | st.dictionaries(words | st.text("abé. -", max_size=3), inner, max_size=4)
    )


def written(value: Any) -> str:
    """A value as TOML."""
    match value:
        case dict():
            pairs = (f"{written(key)} = {written(each)}" for key, each in value.items())
            return "{" + ", ".join(pairs) + "}"
        case list():
            return "[" + ", ".join(map(written, value)) + "]"
        case str():
            return json.dumps(value).replace("\x7f", "\\u007f")
        case bool():
            return str(value).lower()
    return repr(value)


@given(st.dictionaries(words, documents(4), max_size=4))
def test_any_toml_becomes_a_declaration_or_problems_with_places(toml: dict[str, Any]) -> None:
    text = "".join(f"{key} = {written(value)}\n" for key, value in toml.items() if "/" not in key)
    try:
        assert isinstance(parse(text, "f", Path("/")), Declaration)
    except Problems as problems:
        assert problems.problems
        for problem in problems.problems:
            assert problem.mend
            assert problem.place is not None
            assert 1 <= problem.place.line <= text.count("\n") + 1
            assert not problem.what.startswith("not valid TOML"), text


@pytest.mark.parametrize("path", ["/**", "/*", "/", "/*/x", "/?sr/bin", "//**/x", "relative", "/usr/../**"])
def test_a_waiver_for_everything_is_none(path: str) -> None:
    problem = problem_of(in_image(waiver(path)))
    assert place_of(problem).key == "image.waivers[0].path"


@pytest.mark.parametrize("reason", ["", "  ", "two\\nlines"])
def test_a_waiver_has_a_reason(reason: str) -> None:
    assert "is no reason" in problem_of(in_image(waiver("/usr/bin/x", reason=reason))).what


def test_a_waiver_is_of_a_kind_that_exists_and_is_written_once() -> None:
    assert "secret, setuid, capability" in problem_of(in_image(waiver("/usr/bin/x", "suid"))).mend
    twice = problem_of(in_image(waiver("/usr/bin/x") + waiver("/usr/bin/x")))
    assert (twice.what, place_of(twice).key) == (
        "the waiver of setuid at /usr/bin/x is named twice",
        "image.waivers[1]",
    )
