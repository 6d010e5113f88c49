"""The stand-in for a library that only tests use says what the library says."""

import sys

import jsonschema
import pytest


@pytest.mark.parametrize(
    ("text", "right"),
    [("https://exämple.org/a?b=ü#c", True), ("pkg:deb/debian/web@1.0", True), ("a b", False), ("", False)],
)
def test_jsonschema_checks_iris_by_it(text: str, right: bool) -> None:
    assert type(sys.modules["rfc3987_syntax"]).__module__ == "iri_syntax"
    check = jsonschema.Draft7Validator.FORMAT_CHECKER
    assert check.conforms(text, "iri") is right
    assert check.conforms(text, "iri-reference") is (right or not text)
