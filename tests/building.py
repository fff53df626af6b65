"""`srreg build` as a person types it, on small heads on disk."""

import hashlib
import subprocess
import sys

from phantom import head, write_source

SHAPE = (40, 52, 44)
IDS = ["1BA001", "1BA014", "1BB003", "1BB020", "1BC002", "1BC101"]


def srreg(*arguments):
    code = "import sys; from cli import main_srreg; main_srreg()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def build(source, out, *more):
    truth = f"precomputed:{source}"
    return srreg(
        "build", "--synthrad-dir", source, "--out", out, "--size", "quarter", "--n-procs", 2,
        "--skull-stripper", truth, "--segmenter", truth, *more,
    )  # fmt: skip


def tree_digest(root):
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def data_digest(root):
    """Everything but the hidden work folder and what holds times and statuses."""
    left_out = (".build", "manifest.jsonl")
    return {name: value for name, value in tree_digest(root).items() if not name.startswith(left_out)}


def write_heads(root, ids=IDS):
    for number, subject_id in enumerate(ids):
        write_source(root, head(subject_id, number, shape=SHAPE, spacing_mm=4.5))
    return root
