"""What a person did wrong is one line and exit code 2."""

from typing import Any

import pytest

from app.cli import COMMANDS


async def test_every_command_is_listed(onlooker: Any) -> None:
    code, output, _ = await onlooker("--help")
    assert code == 0
    assert all(name in output for name in COMMANDS)


# `worker` hands its arguments on and becomes Faust: it would be this process that does.
@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"worker"}))
async def test_every_command_helps(onlooker: Any, name: str) -> None:
    code, output, _ = await onlooker(name, "--help")
    assert (code, output.startswith(f"Usage: onlooker {name}")) == (0, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["people", "nonsense"],
        ["people", "add"],
        ["people", "add", "Ada", "/there/is/no/such.jpg"],
        ["people", "add", "Ada", __file__, "--face", "-1"],
        ["sightings", "--limit", "0"],
        ["settings", "--nonsense"],
        ["up", "--workers", "0"],
        ["up", "--stream", "a b"],
        ["source", "0"],
        ["source", "0", "--stream", "a/b"],
        ["people", "add", "Ada", "there\nis\nno such.jpg"],
    ],
)
async def test_a_mistake_is_one_line(onlooker: Any, arguments: list[str]) -> None:
    code, output, errors = await onlooker(*arguments)
    assert (code, output) == (2, "")
    assert errors.startswith("onlooker: ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("arguments", [["settings"], ["people", "list"], ["sightings"], ["up"], ["broker"]])
async def test_a_wrong_setting_is_one_line(onlooker: Any, environment: Any, arguments: list[str]) -> None:
    environment.setenv("ONLOOKER_WEB_PORT", "many")
    code, output, errors = await onlooker(*arguments)
    assert (code, output) == (2, "")
    assert errors.startswith("onlooker: ONLOOKER_WEB_PORT: ")
    assert errors.count("\n") == 1
