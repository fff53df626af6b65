"""A tool that reads an image from one file and writes a mask or labels into another."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from srreg import io
from srreg.backends.contract import read_result
from srreg.backends.process import run, work_folder
from srreg.backends.protocol import Resources
from srreg.volume import LabelMap, Volume

# The image's file and the result's, both in a folder of their own -> program and arguments.
Command = Callable[[Path, Path], Sequence[str | Path]]


def run_on_files(
    tool: str,
    image: Volume,
    command: Command,
    resources: Resources,
    result: str = "brain.nii.gz",
    environment: Callable[[Path], Mapping[str, str]] | None = None,
) -> LabelMap:
    """Write the image, run the tool, read what it wrote; the folder is gone afterwards.

    Args:
        tool: its name, for messages.
        image: what the tool is given.
        command: how it is called.
        resources: its limits, and where the folder is made.
        result: name of the file it is to write.
        environment: variables beside ours, for a run in a folder.

    Raises:
        StepFailed: it failed, or wrote nothing that can be read.
    """
    with work_folder(resources.work) as folder:
        source, target = folder / "mr.nii.gz", folder / result
        io.write_volume(source, image)
        run(
            tool,
            command(source, target),
            folder,
            timeout_s=resources.timeout_s,
            threads=resources.threads,
            environment=None if environment is None else environment(folder),
        )
        return read_result(tool, target)
