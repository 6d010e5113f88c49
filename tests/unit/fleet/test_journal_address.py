"""How a PostgreSQL server is spoken with."""

import pytest

from bluestone.fleet.journals.address import parameters, shown
from bluestone.model.problem import Problem


@pytest.mark.parametrize(
    ("address", "variables", "mode"),
    [
        ("postgresql://u@db.example.org/fleet", {}, "verify-full"),
        ("postgresql://u@db.example.org/fleet?sslmode=require", {}, "require"),
        ("postgresql://u@db.example.org/fleet", {"PGSSLMODE": "disable"}, "verify-full"),
        ("postgresql://u@192.0.2.1/fleet", {}, "verify-full"),
        ("postgresql://u@localhost,db.example.org/fleet", {}, "verify-full"),
        ("postgresql://u@localhost/fleet?hostaddr=192.0.2.1", {}, "verify-full"),
        ("postgresql:///fleet", {"PGHOST": "db.example.org"}, "verify-full"),
        ("postgresql:///fleet", {"PGHOSTADDR": "192.0.2.1"}, "verify-full"),
        ("postgresql:///?service=fleet", {}, "verify-full"),
        ("postgresql:///", {"PGSERVICE": "fleet"}, "verify-full"),
        ("postgresql:///fleet", {}, None),
        ("postgresql://u@localhost:5433/fleet", {}, None),
        ("postgresql://u@127.0.0.1/fleet", {}, None),
        ("postgresql://u@[::1]/fleet", {}, None),
        ("postgresql:///fleet?host=/run/postgresql", {}, None),
        ("postgresql://localhost/fleet", {"PGSERVICE": "elsewhere"}, None),
    ],
)
def test_a_server_elsewhere_must_prove_who_it_is(address: str, variables: dict[str, str], mode: str | None) -> None:
    assert parameters(address, environment=variables).get("sslmode") == mode


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(Problem, match="has a password in it") as told:
        parameters("postgresql://u:horse@db.example.org/fleet")
    assert "horse" not in str(told.value)


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(Problem, match="not understood"):
        parameters("postgresql://u@db.example.org:port/fleet?colour=red")


def test_what_the_address_says_goes_before_the_defaults() -> None:
    found = parameters("postgresql://u@h/fleet?connect_timeout=1&target_session_attrs=any", "horse")
    assert (found["connect_timeout"], found["target_session_attrs"]) == ("1", "any")
    assert found["password"] == "horse"


def test_an_address_is_shown_without_anything_secret() -> None:
    assert shown(parameters("postgresql://u@db.example.org:5433/fleet", "horse")) == "db.example.org:5433/fleet"
    assert shown(parameters("postgresql:///fleet", environment={})) == "this machine/fleet"
