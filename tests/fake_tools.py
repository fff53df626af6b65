"""Small programs that stand in for the tools of back ends: they do well, or go wrong in a way one chooses."""

import sys
from pathlib import Path

# The arguments that end in .nii.gz are an image and where the answer goes, in this order.
_START = """
import json, sys, time
from pathlib import Path
source, target = [a for a in sys.argv if a.endswith('.nii.gz')][:2]
"""
_READ = """
import nibabel, numpy
image = nibabel.load(source)
voxels = numpy.asarray(image.dataobj)
def write(result, affine=image.affine, target=target):
    nibabel.save(nibabel.Nifti1Image(result.astype(numpy.int16), affine), target)
"""
BRAIN = "voxels > 66"  # of `phantom.head`: skin has 60, cortex 75
LABELS = "numpy.where(voxels > 90, 41, numpy.where(voxels > 70, 42, 0))"

# What it does -> what the subject's failure says, for any tool that should have written an image.
MISBEHAVIOUR = {
    "": "reported success but wrote no (brain|labels).nii.gz",
    "Path(target + '.part').write_text('x')": "reported success but wrote no",
    "Path(target).write_text('garbage')": "that cannot be used",
    "write(voxels * 0)": "found nothing",
    "write(voxels * 0 + 2)": "took the whole image for brain",
    "write(voxels[1:] > 20)": "gave another grid than its image's",
    "moved = image.affine.copy(); moved[0, 3] += 3; write(voxels > 20, moved)": "gave another grid than its image's",
    "sys.exit('no licence file')": "failed with exit code 1: no licence file",
    "import os; os.kill(os.getpid(), 9)": "was killed .signal 9., probably because memory ran out",
    "time.sleep(60)": "was not done after 1.5 s",
    "x = bytearray(300_000_000); time.sleep(60)": "took more than 0.2 GiB of memory",
}
PATIENCE_S = 1.5  # of a test with a tool that sleeps
MEMORY_BYTES = 200 * 1024**2  # nibabel and numpy take 60 MB


def write_tool(path: Path, text: str) -> Path:
    """Write a program that runs `text`, with `source`, `target` and, if it speaks of voxels, `image`, `voxels` and `write`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{_START}{_READ if 'voxels' in text else ''}{text}\n")
    path.chmod(0o755)
    return path
