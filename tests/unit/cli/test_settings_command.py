"""Every setting is shown, and no secret is."""

from typing import Any

from app.cli.settings import reference
from app.settings import Settings


async def test_every_setting_and_no_secret(onlooker: Any, environment: Any) -> None:
    environment.setenv("ONLOOKER_TOKEN", "open-sesame-open-sesame")
    environment.setenv("ONLOOKER_BROKER", "kafka://[::1]:9092")
    environment.setenv("ONLOOKER_BROKER_SECURITY_PROTOCOL", "SASL_SSL")
    environment.setenv("ONLOOKER_BROKER_SASL_MECHANISM", "SCRAM-SHA-512")
    environment.setenv("ONLOOKER_BROKER_USER", "camera")
    environment.setenv("ONLOOKER_BROKER_PASSWORD", "hush-hush")
    code, output, _ = await onlooker("settings")
    assert code == 0
    for name in Settings.model_fields:
        assert f"ONLOOKER_{name.upper()}" in output
    assert "sesame" not in output
    assert "hush" not in output
    assert output.count("(set)") == 2
    assert "kafka://[::1]:9092" in output


async def test_names_are_whole_in_a_narrow_terminal(onlooker: Any, environment: Any) -> None:
    environment.setenv("COLUMNS", "80")
    _, output, _ = await onlooker("settings")
    assert "ONLOOKER_BROKER_CERTIFICATE_FILE" in output


async def test_the_reference_page(onlooker: Any) -> None:
    code, output, _ = await onlooker("settings", "--markdown")
    assert (code, output.strip()) == (0, reference())
    rows = [line for line in output.splitlines() if line.startswith("| `")]
    assert len(rows) == len(Settings.model_fields)
    assert "| `ONLOOKER_DATA_DIR` | `var/` |" in output
    assert str(Settings().weights_dir) not in output
