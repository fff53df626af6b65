"""Real anatomy: heads from whole-head label maps with FreeSurfer's brain ids and the head ids of SynthSeg's maps."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from srreg import io
from srreg.errors import DataError
from srreg.geometry import apply_affine, bounding_box, crop, reorient_to_ras
from srreg.labels import RIGHT_TO_LEFT
from srreg.simulate.deform import Amount, PoseRange
from srreg.simulate.shapes import Points
from srreg.simulate.tissues import LABEL_OF, Tissue
from srreg.volume import Affine, LabelMap

# The anatomy is somebody's: it is varied only slightly.
AMOUNT = Amount(rms_mm=(0.8, 1.2), scales_mm=(15.0, 28.0))
POSE = PoseRange(size_sd=0.01, axis_sd=0.008, turn_deg=3.0, shift_mm=(6.0, 10.0, 15.0))

_FAT_MM = 5.0  # soft tissue this near to the skin is taken for fat
_SOFT_TISSUE = 507

# FreeSurfer's and SynthSeg's ids of the left and the middle; the right ones follow `RIGHT_TO_LEFT`.
_BRAIN: Mapping[int, Tissue] = {
    2: Tissue.WHITE_MATTER,
    3: Tissue.CORTEX,
    4: Tissue.LATERAL_VENTRICLE,
    5: Tissue.INFERIOR_LATERAL_VENTRICLE,
    7: Tissue.CEREBELLUM_WHITE_MATTER,
    8: Tissue.CEREBELLUM_CORTEX,
    10: Tissue.THALAMUS,
    11: Tissue.CAUDATE,
    12: Tissue.PUTAMEN,
    13: Tissue.PALLIDUM,
    14: Tissue.THIRD_VENTRICLE,
    15: Tissue.FOURTH_VENTRICLE,
    16: Tissue.BRAIN_STEM,
    17: Tissue.HIPPOCAMPUS,
    18: Tissue.AMYGDALA,
    24: Tissue.CSF,
    26: Tissue.ACCUMBENS,
    28: Tissue.VENTRAL_DC,
}
# Ids that SR-Reg's table lacks, and where they go.
_REST: Mapping[int, Tissue] = {
    25: Tissue.WHITE_MATTER_LESION,  # lesion, left: lies in white matter beside the ventricles -> 2
    57: Tissue.WHITE_MATTER_LESION,  # lesion, right -> 2
    77: Tissue.WHITE_MATTER_LESION,  # white matter hypointensity -> 2
    78: Tissue.WHITE_MATTER_LESION,  # its left half -> 2
    79: Tissue.WHITE_MATTER_LESION,  # its right half -> 2
    80: Tissue.WHITE_MATTER_LESION,  # non-WM hypointensity: in the deep grey's surroundings -> 2
    30: Tissue.BRAIN_VESSEL,  # vessel (perivascular space) below the putamen, left -> 2
    62: Tissue.BRAIN_VESSEL,  # the same, right -> 2
    31: Tissue.CHOROID_PLEXUS,  # choroid plexus, left: fills part of the ventricle -> 4
    63: Tissue.CHOROID_PLEXUS,  # the same, right -> 4
    136: Tissue.CHOROID_PLEXUS,  # SynthSeg's own: plexus in the lateral ventricle, left -> 4
    163: Tissue.CHOROID_PLEXUS,  # the same, right -> 4
    137: Tissue.INFERIOR_CHOROID_PLEXUS,  # plexus in the temporal horn, left -> 5
    164: Tissue.INFERIOR_CHOROID_PLEXUS,  # the same, right -> 5
    72: Tissue.LATERAL_VENTRICLE,  # fifth ventricle: a cleft between the lateral ones -> 4
    85: Tissue.OPTIC_CHIASM,  # crosses the cistern -> 24
    251: Tissue.WHITE_MATTER,  # corpus callosum, five parts -> 2
    252: Tissue.WHITE_MATTER,
    253: Tissue.WHITE_MATTER,
    254: Tissue.WHITE_MATTER,
    255: Tissue.WHITE_MATTER,
}
# Head ids, not documented where they come from: named for what they show (all -> 0).
_HEAD: Mapping[int, Tissue] = {
    502: Tissue.BLOOD,
    506: Tissue.EYE,
    507: Tissue.MUSCLE,  # all soft tissue but skin; near the skin it is fat, see `_with_fat`
    508: Tissue.FAT,  # in the orbit
    509: Tissue.MUCOSA,
    511: Tissue.SKIN,
    512: Tissue.NERVE,  # spinal cord, below the brain-stem
    514: Tissue.DURA,
    515: Tissue.CORTICAL_BONE,
    516: Tissue.MARROW,
    530: Tissue.NERVE,  # optic nerves
}
TISSUE_OF: Mapping[int, Tissue] = {
    0: Tissue.AIR,
    **_BRAIN,
    **{right: _BRAIN[left] for right, left in RIGHT_TO_LEFT.items()},
    **_REST,
    **_HEAD,
}


@dataclass(frozen=True, eq=False)
class MappedHead:
    """A head on a grid; the template's frame is the map's world, the brain's middle at the origin.

    Args:
        tissues: [D, H, W] uint8, RAS.
        from_template: [4, 4], template (mm) to voxels of `tissues`.
    """

    tissues: NDArray[np.uint8]
    from_template: Affine

    def tissue(self, points: Points) -> NDArray[np.uint8]:
        """What lies at places of the template (mm): the nearest voxel; air beyond the map."""
        matrix = self.from_template.astype(np.float32)
        flat = np.zeros(points.x.shape, np.intp)
        is_known = np.ones(points.x.shape, np.bool_)
        for row, size in zip(matrix[:3], self.tissues.shape, strict=True):
            index = np.rint(row[0] * points.x + row[1] * points.y + row[2] * points.z + row[3]).astype(np.intp)
            is_known &= (index >= 0) & (index < size)
            flat = flat * size + np.clip(index, 0, size - 1)
        return np.where(is_known, self.tissues.reshape(-1)[flat], np.uint8(Tissue.AIR))


def find_maps(folder: Path) -> list[Path]:
    """The label maps of a folder, in the order of their names.

    Raises:
        DataError: no such folder, or none in it.
    """
    maps = sorted(folder.glob("*.nii.gz")) if folder.is_dir() else []
    if not maps:
        raise DataError(f"{folder}: expected a folder of whole-head label maps (*.nii.gz), found none")
    return maps


def read_map(path: Path) -> MappedHead:
    """Read one whole-head label map.

    Raises:
        DataError: damaged, ids that are not in the table, or no brain in it.
    """
    labels = reorient_to_ras(io.read_labels(path))
    labels = crop(labels, bounding_box(labels.data, margin=1))
    unknown = sorted(set(labels.values) - set(TISSUE_OF))
    if unknown:
        raise DataError(
            f"{path}: ids {unknown} are unknown; expected FreeSurfer's brain ids and SynthSeg's head ids (500 to 530)"
        )
    if not {2, 41}.intersection(labels.values):
        raise DataError(f"{path}: holds no cerebral white matter (2 or 41); expected a whole-head label map")
    lookup = np.zeros(max(labels.values) + 1, np.uint8)
    for value in labels.values:
        lookup[value] = TISSUE_OF[value]
    tissues = _with_fat(lookup[labels.data], labels)
    _mark_fluid(tissues)
    from_world = np.linalg.inv(labels.affine).astype(np.float64)
    to_middle = np.eye(4)
    to_middle[:3, 3] = _middle_of_brain(labels)
    return MappedHead(tissues, from_world @ to_middle)


def _middle_of_brain(labels: LabelMap) -> NDArray[np.float64]:
    """Middle of the white matter, which all maps have; world mm."""
    return apply_affine(labels.affine, np.argwhere((labels.data == 2) | (labels.data == 41)).mean(axis=0))


def _with_fat(tissues: NDArray[np.uint8], labels: LabelMap) -> NDArray[np.uint8]:
    """Soft tissue under the skin made fat; the maps do not tell it from muscle."""
    is_skin = np.pad(tissues == Tissue.SKIN, [(0, n % 2) for n in tissues.shape])
    d, h, w = is_skin.shape
    coarse = is_skin.reshape(d // 2, 2, h // 2, 2, w // 2, 2).any(axis=(1, 3, 5))
    spacing = [2 * s for s in labels.spacing_mm]
    near = ndimage.distance_transform_edt(~coarse, sampling=spacing) <= _FAT_MM
    near = near.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)[tuple(slice(n) for n in tissues.shape)]
    return np.where(near & (labels.data == _SOFT_TISSUE), np.uint8(Tissue.FAT), tissues)


def _mark_fluid(tissues: NDArray[np.uint8]) -> None:
    """CSF below the brain-stem, or apart from the brain, is no part of it. In place; the last axis points up."""
    stem = np.flatnonzero((tissues == Tissue.BRAIN_STEM).any(axis=(0, 1)))
    lowest = stem[0] if stem.size else 0
    pieces, _ = ndimage.label(LABEL_OF[tissues] > 0)
    sizes = np.bincount(pieces.reshape(-1))
    sizes[0] = 0
    is_apart = pieces != sizes.argmax()
    is_apart[:, :, :lowest] = True
    tissues[is_apart & (tissues == Tissue.CSF)] = Tissue.FLUID
