"""The affine alignment of a build beside other tools: error and time on affines that are known.

python perf/alignment.py [--mr HEAD.nii.gz --brain MASK.nii.gz] [--affines 20]

Moving is the template's brain itself, its contrast changed (a power of grey values, a smooth bias, noise), or a real head's
brain; each affine (sizes up to 12 % along each axis, then turns up to 15 degrees about each and shifts up to 30 mm) moves its
world and interpolates nothing, for which there must be no shear. The template's truth is the inverse of the affine. A real head
has none: there the distance is that between what was found with the affine and without. Errors are mean distances over the
brain's voxels. One thread a tool.
"""

import argparse
import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from srreg import io
from srreg.build.reference import template
from srreg.build.steps.align import Align, world_to_world
from srreg.errors import StepFailed
from srreg.geometry import apply_affine, ras_lps, reorient_to_ras, resample, to_ants, to_sitk
from srreg.subject import Subject
from srreg.volume import Affine, Grid, LabelMap, Volume

Tool = Callable[[Volume, LabelMap], Affine]  # a masked brain and its mask -> its world to the template's

_COARSE_MM = 2.0
_FAR_MM = 1.0  # a mean error beyond it is a failure


def ours(mr: Volume, brain: LabelMap) -> Affine:
    """The build's step: ANTs at 2 mm, proved by masks."""
    found = Align()(Subject("head", mr=mr, ct=mr, brain=brain)).to_reference
    assert found is not None
    return found


def ants_fast(mr: Volume, brain: LabelMap) -> Affine:
    """ANTs' quicker affine, at 2 mm."""
    return _ants(mr, "AffineFast")


def simpleitk(mr: Volume, brain: LabelMap) -> Affine:
    """SimpleITK as its examples have it: moments, Mattes' mutual information of a tenth of the voxels, gradient descent."""
    import SimpleITK as sitk

    fixed, moving = (sitk.Cast(to_sitk(_coarse(image)), sitk.sitkFloat32) for image in (template(), mr))
    first = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.AffineTransform(3), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.1, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsGradientDescent(1.0, 200, 1e-6, 10)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SetInitialTransform(first, inPlace=False)
    found = sitk.AffineTransform(method.Execute(fixed, moving).GetNthTransform(0))
    matrix, centre = np.array(found.GetMatrix()).reshape(3, 3), np.array(found.GetCenter())
    fixed_to_moving = np.eye(4)
    fixed_to_moving[:3, :3] = matrix
    fixed_to_moving[:3, 3] = np.array(found.GetTranslation()) + centre - matrix @ centre
    return ras_lps(np.linalg.inv(fixed_to_moving))


TOOLS: dict[str, Tool] = {
    "the build's step (ANTs Affine, 2 mm, proved by masks)": ours,
    "ANTs AffineFast, 2 mm": ants_fast,
    "SimpleITK, 2 mm": simpleitk,
}


def _ants(mr: Volume, kind: str) -> Affine:
    import ants

    ants.config.set_ants_deterministic(True, seed_value=1)
    found = ants.registration(fixed=to_ants(_coarse(template())), moving=to_ants(_coarse(mr)), type_of_transform=kind)
    return world_to_world(ants.read_transform(found["fwdtransforms"][0]))


def _coarse(image: Volume) -> Volume:
    step = _COARSE_MM / np.array(image.spacing_mm)
    affine = image.affine @ np.diag([*step, 1.0])
    affine[:3, 3] = apply_affine(image.affine, (step - 1) / 2)
    d, h, w = (int(n) for n in np.ceil(np.array(image.data.shape) / step))
    return resample(image, Grid((d, h, w), affine))


def _drawn_affine(rng: np.random.Generator) -> Affine:
    turn = Rotation.from_euler("xyz", rng.uniform(-15, 15, 3), degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(rng.uniform(0.88, 1.12, 3))
    affine[:3, 3] = rng.uniform(-30, 30, 3)
    return affine


def _recoloured(image: Volume, rng: np.random.Generator) -> Volume:
    """Another contrast, bias and noise in the brain."""
    inside = image.data > 0
    values = (image.data / image.data.max()) ** rng.uniform(0.5, 2.0)
    bias = ndimage.zoom(rng.normal(0, 0.15, (4, 4, 4)), np.array(image.data.shape) / 4, order=3, grid_mode=True, mode="nearest")
    noisy = values * np.exp(bias) + rng.normal(0, 0.03, image.data.shape)
    return Volume(np.where(inside, noisy.clip(1e-3), 0), image.affine)


def _moved(image: Volume | LabelMap, affine: Affine) -> Affine:
    return affine @ image.affine


def _places(brain: LabelMap) -> NDArray[np.float64]:
    """Every fifth voxel of the brain, in its own world."""
    return apply_affine(brain.affine, np.argwhere(brain.data[::5, ::5, ::5] > 0) * 5.0)


def _rows(mr: Volume, brain: LabelMap, is_template: bool, affines: int) -> Iterator[str]:
    places = _places(brain)
    for name, tool in TOOLS.items():
        rng = np.random.default_rng(0)
        plain = np.eye(4) if is_template else tool(mr, brain)
        errors, seconds = [], []
        for _ in range(affines):
            affine = _drawn_affine(rng)
            image = _recoloured(mr, rng) if is_template else mr
            started = perf_counter()
            error = math.inf
            with contextlib.suppress(StepFailed):  # disproved by the masks: a failure that is said
                found = tool(Volume(image.data, _moved(mr, affine)), LabelMap(brain.data, _moved(brain, affine)))
                there, expected = apply_affine(found @ affine, places), apply_affine(plain, places)
                error = float(np.linalg.norm(there - expected, axis=1).mean())
            seconds.append(perf_counter() - started)
            errors.append(error)
        far = sum(error > _FAR_MM for error in errors)
        yield f"| {name} | {np.median(errors):.3f} | {max(errors):.3f} | {far} of {affines} | {np.median(seconds):.1f} |"


def main() -> None:
    """Print a table for the template and, if one is given, for a head."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mr", type=Path, help="its axes along those of the world")
    parser.add_argument("--brain", type=Path)
    parser.add_argument("--affines", type=int, default=20)
    options = parser.parse_args()
    if (options.mr is None) != (options.brain is None):
        parser.error("--mr and --brain go together")
    os.environ |= {"OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}  # ITK is not loaded yet
    subjects = [("the template, recoloured: truth known", template(), True)]
    if options.mr is not None:
        head, mask = reorient_to_ras(io.read_volume(options.mr)), reorient_to_ras(io.read_labels(options.brain))
        subjects.append(
            (f"{options.mr.name}: against what is found unmoved", Volume(head.data * (mask.data > 0), head.affine), False)
        )
    for title, image, is_template in subjects:
        print(f"\n{title}\n\n| tool | error, median (mm) | largest (mm) | beyond {_FAR_MM:g} mm | seconds, median |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for row in _rows(image, LabelMap(image.data > 0, image.affine), is_template, options.affines):
            print(row, flush=True)


if __name__ == "__main__":
    main()
