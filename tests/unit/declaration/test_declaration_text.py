"""What a right file becomes, and what is said about a file that cannot be read at all."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bluestone.declaration import parse, read
from bluestone.model.declaration import Declaration
from bluestone.model.group import Amount, DriftPolicy, Group, Health, Port, Resources, RolloutPolicy, SecretRef
from bluestone.model.problem import Problem, Problems
from bluestone.model.recipe import Base, OverlayFile, Recipe, Waiver

MINIMAL = 'project = "p"\n[image]\nbase = "debian:trixie"\n'
EXAMPLE = Path(__file__).parents[3] / "examples" / "web" / "bluestone.toml"


def group_of(text: str) -> Group:
    return parse(f"{MINIMAL}[servers.web]\n{text}\n", "f", Path("/")).groups[0]


def problem_of(path: Path) -> Problem:
    with pytest.raises(Problems) as raised:
        read(path)
    (problem,) = raised.value.problems
    assert problem.mend
    return problem


def test_what_is_not_written_is_the_models_own_default() -> None:
    declaration = parse(f"{MINIMAL}[servers.web]", "f", Path("/"))
    policy = RolloutPolicy(max_surge=Amount(100, percent=True))
    recipe = Recipe(Base("debian", "trixie"))
    assert declaration == Declaration("p", recipe, (Group("web", rollout=policy),))


def test_the_example_is_read_whole() -> None:
    declaration = read(EXAMPLE)
    assert declaration.recipe == Recipe(
        base=Base("debian", "trixie"),
        packages=("nginx-light",),
        files=(
            OverlayFile("/var/www/site", EXAMPLE.parent / "site"),
            OverlayFile("/etc/nginx/sites-enabled/default", EXAMPLE.parent / "nginx-site.conf"),
        ),
        units=("nginx.service",),
        run=("nginx -t",),
        writable=("/var/lib/nginx", "/var/log/nginx"),
    )
    (web,) = declaration.groups
    assert (web.name, web.count, web.ports, web.health.path) == ("web", 3, (Port(8080, 80),), "/health")
    assert (web.rollout.drain, web.rollout.progress) == (timedelta(seconds=10), timedelta(seconds=60))


def test_every_key_reaches_the_model(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    text = """
project = "shop-2"
[image]
base = { distribution = "ubuntu", suite = "noble", archive = "http://mirror.example.org/ubuntu" }
login = "none"
[image.files]
"/etc//motd/" = { content = "hello", mode = "0640", owner = "www-data" }
"/" = { source = "app" }
[servers.api]
provider = "elsewhere"
count = 0
ports = [{ listen = 1, server = 2, mode = "tcp", bind = "::1" }]
health = { port = 9, interval = "1s", timeout = "3s", rise = 1, fall = 9 }
resources = { memory = "64MiB", cpus = 2 }
environment = { STAGE = "te\\tst = 'x'" }
secrets = { KEY = "file:key.pem", ABS = "file:/etc/key", TOKEN = "env:MY_TOKEN" }
rollout = { strategy = "rolling", max_surge = 0, max_unavailable = "50%", drain = "1m", progress = "1h" }
"""
    declaration = parse(text, "f", tmp_path)
    assert declaration.recipe.base == Base("ubuntu", "noble", "http://mirror.example.org/ubuntu")
    assert declaration.recipe.files == (
        OverlayFile("/etc/motd", content="hello", mode=0o640, owner="www-data"),
        OverlayFile("/", source=tmp_path / "app"),
    )
    assert declaration.groups == (
        Group(
            name="api",
            provider="elsewhere",
            count=0,
            ports=(Port(1, 2, "tcp", "::1"),),
            health=Health(None, 9, timedelta(seconds=1), timedelta(seconds=3), 1, 9),
            resources=Resources(64 * 1024**2, 2.0),
            environment={"STAGE": "te\tst = 'x'"},
            secrets=(
                SecretRef("KEY", "file", str(tmp_path / "key.pem")),
                SecretRef("ABS", "file", "/etc/key"),
                SecretRef("TOKEN", "env", "MY_TOKEN"),
            ),
            rollout=RolloutPolicy(
                "rolling", Amount(0), Amount(50, percent=True), timedelta(minutes=1), progress=timedelta(hours=1)
            ),
        ),
    )


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("8080:80", Port(8080, 80)),
        ("0.0.0.0:8080:80", Port(8080, 80, bind="0.0.0.0")),
        ("5432:5432/tcp", Port(5432, 5432, "tcp")),
        ("[::1]:8080:80/http", Port(8080, 80, "http", "::1")),
    ],
)
def test_a_short_string_stands_for_a_port(text: str, port: Port) -> None:
    assert group_of(f'ports = ["{text}"]').ports == (port,)


def test_a_short_string_stands_for_a_health_check() -> None:
    assert group_of('ports = ["1:1"]\nhealth = "tcp"').health == Health()
    assert group_of('ports = ["1:1"]\nhealth = "/up?full=1"').health == Health("/up?full=1")


@pytest.mark.parametrize(
    ("rollout", "surge", "unavailable"),
    [
        ('"blue-green"', Amount(100, percent=True), Amount(0)),
        ('"rolling"', Amount(1), Amount(0)),
        ('{ strategy = "rolling", max_unavailable = 2 }', Amount(1), Amount(2)),
        ('"destroy-first"', Amount(0), Amount(1)),
        ('{ strategy = "destroy-first", max_unavailable = "100%" }', Amount(0), Amount(100, percent=True)),
    ],
)
def test_numbers_of_a_rollout_follow_its_strategy(rollout: str, surge: Amount, unavailable: Amount) -> None:
    policy = group_of(f"rollout = {rollout}").rollout
    assert (policy.max_surge, policy.max_unavailable) == (surge, unavailable)


def test_old_servers_can_be_kept() -> None:
    assert group_of('rollout = { keep = "10m" }').rollout.keep == timedelta(minutes=10)


def test_relative_paths_begin_where_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "page").write_text("x")
    (tmp_path / "sub" / "b.toml").write_text(MINIMAL + '[image.files]\n"/srv/page" = "page"\n')
    monkeypatch.chdir(tmp_path)
    assert read(Path("sub/b.toml")).recipe.files[0].source == tmp_path / "sub" / "page"


def test_a_file_that_is_not_there() -> None:
    problem = problem_of(Path("nowhere/bluestone.toml"))
    assert problem.what == "there is no file nowhere/bluestone.toml"
    assert "bluestone init" in problem.mend


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert problem_of(tmp_path).what == f"{tmp_path} is no file"


def test_a_device_is_not_read_for_ever() -> None:
    assert problem_of(Path("/dev/zero")).what == "/dev/zero is no file"


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "big.toml"
    path.write_bytes(b"#" * (1024 * 1024) + b"\n")
    assert "larger than 1048576 bytes" in problem_of(path).what
    path.write_bytes(b"#" * (1024 * 1024 - len(MINIMAL) - 1) + b"\n" + MINIMAL.encode())
    assert read(path).project == "p"


def test_a_file_that_is_not_utf_8_is_shown_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b'# one\nproject = "caf\xe9"\n')
    problem = problem_of(path)
    assert problem.place is not None
    assert (problem.place.line, problem.place.text) == (2, 'project = "caf�"')


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "b.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert read(path).project == "p"


@pytest.mark.parametrize(
    ("text", "line", "shown", "mend"),
    [
        ("a = 1\nb = yes\n", 2, "b = yes", "in quotes"),
        ("a = 1\na = 2\n", 2, "a = 2", "only once"),
        ("[a]\n[b]\n[a]\n", 3, "[a]", "only once"),
        ("a = {b = 1}\n[a]\n", 2, "[a]", "only once"),
        ('a = "open\nb = 1\n', 1, 'a = "open', "close the quotes"),
        ("a 1\n", 1, "a 1", "key = value"),
        ("a = 1 b = 2\n", 1, "a = 1 b = 2", "on each line"),
        ("a = [1,\n2\n", 2, "2", "close the array"),
        ("a = { b = 1,\n c = 2 }\n", 1, "a = { b = 1,", "one line"),
        ("a = 1\n\x1b[31m = 2\n", 2, "[31m = 2", "toml.io"),
        ("a = " + "1" * 5000, 1, "a = " + "1" * 155 + "…", "toml.io"),
    ],
)
def test_what_is_not_toml_is_shown_with_its_line_and_a_mend(text: str, line: int, shown: str, mend: str) -> None:
    with pytest.raises(Problems) as raised:
        parse(text, "my.toml", Path("/"))
    (problem,) = raised.value.problems
    assert problem.what.startswith("not valid TOML: ")
    assert problem.place is not None
    assert (problem.place.file, problem.place.line, problem.place.text) == ("my.toml", line, shown)
    assert mend in problem.mend


@pytest.mark.parametrize("depth", [50, 200, 300, 400, 450, 480, 495, 1000])
def test_a_text_nested_too_deeply_is_refused(depth: int) -> None:
    with pytest.raises(Problems):
        parse("project = " + "[" * depth + "]" * depth, "f", Path("/"))
    with pytest.raises(Problems):
        parse("project = " + "{a=" * depth + "1" + "}" * depth, "f", Path("/"))


def test_a_waiver_is_read_whole() -> None:
    text = (
        '[[image.waivers]]\nfinding = "world-writable"\npath = "/srv//spool/**"\nreason = " every job drops files "\n'
    )
    recipe = parse(MINIMAL + text, "f", Path("/")).recipe
    assert recipe.waivers == (Waiver("world-writable", "/srv/spool/**", "every job drops files"),)


def test_drift_replaces_unless_the_declaration_says_otherwise() -> None:
    assert group_of("count = 1").on_drift == DriftPolicy("replace")
    assert group_of('on_drift = "report"').on_drift == DriftPolicy("report")
    long = 'on_drift = { then = "report", ignore = ["/opt/x/**", "a@*.service"] }'
    assert group_of(long).on_drift == DriftPolicy("report", ("/opt/x/**", "a@*.service"))
