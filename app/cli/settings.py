"""`onlooker settings`: every setting, its variable, value and meaning."""

import click
from rich.console import Console
from rich.table import Column, Table

from app.settings import Settings, load_settings

__all__ = ["settings"]


@click.command()
@click.option("--markdown", is_flag=True, help="Print the reference page: defaults instead of values.")
def settings(markdown: bool) -> None:
    """Print every setting; secrets are not shown."""
    if markdown:
        click.echo(reference())
        return
    now = load_settings()
    table = Table(Column("variable", no_wrap=True), "value", "meaning", box=None)
    for name, field in Settings.model_fields.items():
        value = getattr(now, name)
        shown = "" if value is None else str(value) if field.repr else "(set)"
        table.add_row(_variable(name), shown, field.description)
    Console(markup=False, emoji=False, highlight=False).print(table)


def reference() -> str:
    """Return the reference page of the settings, in Markdown."""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    # Made without looking at the environment.
    defaults = Settings.model_construct()
    for name, field in Settings.model_fields.items():
        default = _default(name, getattr(defaults, name))
        lines.append(f"| `{_variable(name)}` | {default} | {field.description} |")
    return "\n".join(lines)


def _default(name: str, value: object) -> str:
    # Folders are shown as they stand in the repository, not as they are on this machine.
    folders = {"data_dir": "`var/`", "weights_dir": "`weights/`"}
    return folders.get(name, "" if value is None or value == "" else f"`{value}`")


def _variable(name: str) -> str:
    return f"ONLOOKER_{name.upper()}"
