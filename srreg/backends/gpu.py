"""What is done where the memory of a GPU is too small."""

import logging
from collections.abc import Callable

from srreg.errors import StepFailed
from srreg.volume import LabelMap

log = logging.getLogger(__name__)


def with_cpu_retry(tool: str, subject_id: str, device: str, attempt: Callable[[str], LabelMap]) -> LabelMap:
    """What a tool gives on a device; where it says that the GPU's memory ran out, what it gives on the CPU.

    The warning goes to the log and to the subject's notes.

    Args:
        tool: its name, for messages.
        subject_id: whose image it is.
        device: where it is tried first.
        attempt: runs the tool on the device it is given.

    Raises:
        StepFailed: from the first attempt, if it is about something else; from the second otherwise.
    """
    try:
        return attempt(device)
    except StepFailed as error:
        if device == "cpu" or not _is_about_memory(error):
            raise
    log.warning("%s: %s had too little GPU memory; done on the CPU", subject_id, tool)
    return attempt("cpu")


def _is_about_memory(error: StepFailed) -> bool:
    """In the words of torch ("CUDA out of memory"), TensorFlow ("OOM when allocating", "out of memory") or cuDNN."""
    said = " ".join([str(error), *getattr(error, "__notes__", [])]).lower()
    return any(words in said for words in ("out of memory", "oom when allocating", "resourceexhausted", "cudnn_status_alloc"))
