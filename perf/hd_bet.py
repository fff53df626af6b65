"""HD-BET 2 as we call it beside HD-BET 2 as it calls itself: the same mask, voxel for voxel?

python perf/hd_bet.py [--mr HEAD.nii.gz]

The weights of HD-BET 2 cannot be had on every machine. Both sides therefore read one small nnU-Net of our own
(tests/small_nnunet.py), once with weights drawn at random, once made to find what is bright, both on another spacing than the
image's so that nnU-Net resamples there and back. The peer is the package's own `hdbet_predict`, on files, by SimpleITK, with
its 12 processes; ours hands nnU-Net's predictor one array. Seconds are whole commands, imports included.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from phantom import head
from small_nnunet import write_model

from srreg import io
from srreg.backends.skull_strippers import run_hd_bet
from srreg.geometry import reorient_to_ras

PEER = """
import sys, torch
import HD_BET.paths
source, target, HD_BET.paths.folder_with_parameter_files = sys.argv[1:]
from HD_BET.hd_bet_prediction import get_hdbet_predictor, hdbet_predict
if __name__ == '__main__':
    predictor = get_hdbet_predictor(use_tta=False, device=torch.device('cpu'))
    hdbet_predict(source, target, predictor, keep_brain_mask=True, compute_brain_extracted_image=False)
"""


def seconds(command: list[str | Path], folder: Path) -> float:
    """Of a command that must succeed."""
    started = perf_counter()
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stderr}\n{command} failed")
    return perf_counter() - started


def compare(source: Path, model: Path, folder: Path) -> str:
    """One model on one head, both ways."""
    ours, theirs = folder / "ours.nii.gz", folder / "theirs_bet.nii.gz"
    (folder / "peer.py").write_text(PEER)
    our_s = seconds([sys.executable, run_hd_bet.__file__, source, ours, model, "cpu"], folder)
    their_s = seconds([sys.executable, "peer.py", source, folder / "theirs.nii.gz", model], folder)
    one, other = (io.read_labels(path).data > 0 for path in (ours, theirs))
    differ, brain = int((one != other).sum()), int(one.sum())
    return f"{differ} of {one.size} voxels differ, {brain} are brain; {our_s:.0f} s, HD-BET {their_s:.0f} s"


def main() -> None:
    """Both models on a real head, or on a phantom."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mr", type=Path, help="a head; a phantom of 4 mm if not given")
    mr = parser.parse_args().mr
    image = head(shape=(40, 52, 44), spacing_mm=4.0).mr if mr is None else reorient_to_ras(io.read_volume(mr))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        io.write_volume(folder / "mr.nii.gz", image)
        print(f"image: {image.grid}, grey values to {np.max(image.data):.0f}")
        for what, above in (("random weights", None), ("bright voxels", 0.5)):
            model = write_model(folder / what.split()[0], spacing_mm=3.0, above=above, seed=3)
            print(f"{what}: {compare(folder / 'mr.nii.gz', model, folder)}", flush=True)


if __name__ == "__main__":
    main()
