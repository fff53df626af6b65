"""The table of a benchmark on painted heads, as Markdown."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import models
from benchmark.tables.statistics import People, interval_of_mean

_HEAD = (
    "| method | Dice (%) | above initial [95 %] | folding (%) | seconds a pair | peak GiB | training s | note |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n"
)


def markdown(out: Path, where: Mapping[str, object]) -> str:
    """What was measured where, then a row a method; intervals draw people, not pairs."""
    initial = _read(out, "initial")
    rows = [_row(name, _read(out, name), initial) for name in ("initial", *models.names())]
    told = "\n".join(f"- {key}: {value}" for key, value in where.items())
    pairs = len(initial["rows"])
    what = (
        f"{pairs} ordered pairs of different test people; heads painted on the device from label maps (perf/gpu/heads.py says "
        "what differs from SR-Reg); mean and standard deviation over pairs, one training each."
    )
    return f"# Every row on a GPU\n\n{told}\n\n{what}\n\n{_HEAD}{''.join(rows)}"


def _read(out: Path, name: str) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _row(name: str, found: Mapping[str, object], initial: Mapping[str, object]) -> str:
    rows, dice = found["rows"], _dice(found)
    gain = dice - _dice(initial)
    people: list[People] = [tuple(row["people"]) for row in rows]  # type: ignore[attr-defined]
    interval = interval_of_mean(gain, people)
    told = "" if interval is None else f" [{interval[0]:+.2f}, {interval[1]:+.2f}]"
    columns = {key: np.array([row[key] for row in rows], float) for key in ("folding", "seconds", "peak_gib")}  # type: ignore[attr-defined]
    training = found["training"]
    return (
        f"| {name} | {dice.mean():.2f} ± {dice.std():.2f} | {gain.mean():+.2f}{told} | {columns['folding'].mean():.4f} "
        f"| {np.median(columns['seconds']):.3f} | {columns['peak_gib'].max():.2f} "
        f"| {training.get('training_seconds', '')} | {training.get('alarm', '')} |\n"  # type: ignore[attr-defined]
    )


def _dice(found: Mapping[str, object]) -> np.ndarray:
    """[pairs]: mean over structures, in percent."""
    return np.array([100 * np.nanmean(list(row["dice"].values())) for row in found["rows"]])  # type: ignore[attr-defined]
