"""The part of HD-BET 2 that runs in a process of its own: `IN.nii.gz OUT.nii.gz MODEL_FOLDER DEVICE`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np

from srreg.io import read_volume, write_labels
from srreg.volume import LabelMap

FOLD = "all"


def main(source: str, target: str, model: str, device: str) -> None:
    """Find the brain as HD-BET's own command does without mirrored copies, on an image whose axes run as MNI152's (RAS)."""
    from nnunetv2.inference import predict_from_raw_data as nnunet

    torch = nnunet.torch
    predictor = nnunet.nnUNetPredictor(
        tile_step_size=0.5,
        use_gaussian=True,
        use_mirroring=False,  # eight times the time; the same on every device, so that a data set does not depend on it
        perform_everything_on_device=device != "cpu",
        device=torch.device(device),
        allow_tqdm=False,
    )
    with only_weights(torch):
        predictor.initialize_from_trained_model_folder(model, FOLD)
    mr = read_volume(Path(source))
    image = np.array(mr.data.transpose(2, 1, 0))[None]  # [1, W, H, D]: as SimpleITK reads an image in RAS
    found = predictor.predict_single_npy_array(image, {"spacing": list(mr.grid.spacing_mm[::-1])})
    write_labels(Path(target), LabelMap(np.asarray(found).transpose(2, 1, 0) != 0, mr.affine))


@contextmanager
def only_weights(torch: ModuleType) -> Iterator[None]:
    """nnU-Net lets a checkpoint run code when it is loaded; inside this block it may hold arrays, numbers and text alone."""
    load = torch.load
    kinds = (np.float64, np.float32, np.int64)  # its log and its best score are numpy's numbers
    made_by = np.float64(0).__reduce__()[0]  # what a pickled number calls; its module has changed its name with numpy 2
    allowed = [(made_by, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]

    def load_weights(file: object, map_location: object = None, **_: object) -> object:
        with torch.serialization.safe_globals([*allowed, np.dtype, *(type(np.dtype(kind)) for kind in kinds)]):
            return load(file, map_location=map_location, weights_only=True)

    torch.load = load_weights  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.load = load  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(*sys.argv[1:])
