"""The part of SAMSEG that runs inside its own environment; it knows nothing of `srreg`.

describe OUT.json           what is installed there: versions and the digest of the atlas
segment IN OUT THREADS      a whole head in, FreeSurfer labels out (both `.nii.gz`); work files go to the current folder
"""

import hashlib
import importlib.metadata
import json
import sys
from pathlib import Path

ATLAS = "20Subjects_smoothing2_down2_smoothingForAffine2"
PACKAGES = ("samseg", "surfa", "numpy", "scipy", "scikit-learn")


def describe(target: str) -> None:
    """Write versions and the atlas's digest as JSON; importing samseg proves that it can be loaded."""
    from samseg import SAMSEGDIR  # type: ignore[import-not-found]

    hasher = hashlib.sha256()
    for path in sorted((Path(SAMSEGDIR) / "atlas" / ATLAS).iterdir()):
        hasher.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    Path(target).write_text(json.dumps({"versions": versions, "atlas": hasher.hexdigest()}))


def segment(source: str, target: str, threads: str) -> None:
    """Run the tool as its command does, then turn its MGZ into NIfTI."""
    import nibabel as nib
    import numpy as np
    from samseg.cli.run_samseg import main  # type: ignore[import-not-found]

    sys.argv = ["run_samseg", "--input", source, "--output", "samseg", "--threads", threads]
    main()
    found = nib.load("samseg/seg.mgz")
    image = nib.Nifti1Image(np.asarray(found.dataobj).astype(np.int16), found.affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, target)


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    if task == "describe":
        describe(*arguments)
    else:
        segment(*arguments)
