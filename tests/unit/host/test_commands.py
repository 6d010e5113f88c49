import pytest

from bluestone.host.commands import CommandFailed, require, run
from bluestone.model.problem import MissingTool


def test_a_missing_tool_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(MissingTool) as missing:
        require("newuidmap")
    assert "newuidmap is not installed" in str(missing.value)
    assert "apt-get install --no-install-recommends uidmap" in str(missing.value)


def test_output_and_input_pass_through() -> None:
    assert run(["cat"], timeout=10, stdin=b"hello") == "hello"


def test_a_failure_quotes_the_end_of_what_was_said() -> None:
    with pytest.raises(CommandFailed) as failed:
        run(["sh", "-c", "seq 1 100 >&2; echo the reason >&2; exit 7"], timeout=10)
    assert failed.value.status == 7
    assert "the reason" in failed.value.what
    assert "\n     1\n" not in failed.value.what


def test_what_does_not_end_is_ended() -> None:
    with pytest.raises(CommandFailed, match="did not end within") as late:
        run(["sleep", "60"], timeout=0.1)
    assert late.value.status is None
