"""What `onlooker evaluate` and `onlooker calibrate` have in common: a dataset, two nets, and the faces."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from app.cores import usable_cores
from app.evaluation import Sample, read_dataset, take_sample
from app.progress import console_progress
from app.settings import Settings, load_settings

__all__ = ["sample_options", "sampled"]

Command = TypeVar("Command", bound=Callable[..., Any])


def sample_options(command: Command) -> Command:
    """Give a command what `sampled` takes."""
    for decorate in (
        click.option(
            "--threads", type=click.IntRange(1), help="Pictures worked on at once; all cores if not given."
        ),
        click.option(
            "--images",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="Folder of the people, where they are not in DATASET.",
        ),
        click.option("--embedder", help="Embedder; the settings' one if not given."),
        click.option("--detector", help="Detector; the settings' one if not given."),
        click.argument("dataset", type=click.Path(exists=True, path_type=Path)),
    ):
        command = decorate(command)
    return command


def sampled(
    dataset: Path, detector: str | None, embedder: str | None, images: Path | None, threads: int | None
) -> tuple[Settings, Sample]:
    """Embed the dataset; return it, and the settings with the nets that were asked for."""
    nets = {"detector": detector, "embedder": embedder}
    settings = load_settings().model_copy(update={name: net for name, net in nets.items() if net is not None})
    found = read_dataset(dataset, images)
    return settings, take_sample(settings, found, threads or usable_cores(), console_progress())
