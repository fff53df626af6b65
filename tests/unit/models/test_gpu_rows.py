"""The script for GPUs loses nothing that it has measured."""

import pytest
import torch

import models
from perf.gpu import networks


def test_where_memory_ends_the_row_keeps_what_was_measured_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([(1.5, 2.5), torch.OutOfMemoryError("CUDA out of memory.\nMore"), (3.5, 4.5), (5.5, 6.5)])

    def timed(*_: object, **__: object) -> tuple[float, float]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(networks, "timed", timed)
    monkeypatch.setattr(models, "names", lambda: ("voxelmorph", "voxelmorph"))
    first, second = networks.rows(torch.device("cpu"), (16, 16, 32))
    assert (first["forward s"], first["out of memory"]) == (1.5, "CUDA out of memory.")
    assert second["step GiB"] == 6.5
