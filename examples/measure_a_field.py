"""Score a registration of your own: Dice, HD95 and folding of a displacement field.

    python examples/measure_a_field.py

Makes two small label maps and a field by hand; replace them by `srreg.io.read_labels` and `srreg.io.read_displacement`.
"""

import numpy as np

from srreg import measure
from srreg.displacement import Displacement, warp
from srreg.volume import LabelMap

voxels = np.zeros((24, 28, 32), np.int16)
voxels[6:14, 8:18, 10:22] = 17  # a hippocampus, roughly
affine = np.diag([2.0, 2.0, 2.0, 1.0])  # voxel to world, 2 mm
fixed = LabelMap(voxels, affine)
moving = LabelMap(np.roll(voxels, 3, axis=1), affine)

field = np.zeros((24, 28, 32, 3), np.float32)
field[..., 1] = 3  # fixed voxel x matches moving voxel x + u(x)
moved = warp(moving, Displacement(field, affine))

for name, labels in (("before", moving), ("after", moved)):
    found = measure.overlap(labels.data, fixed.data, [17], spacing_mm=(2, 2, 2))[17]
    print(f"{name:6}  Dice {found.dice:.3f}   HD95 {found.hd95_pooled_mm:.1f} mm")
regularity = measure.regularity(field)["whole"]
print(f"folding {regularity.folding_percent:.2f} %   turned inside out {regularity.nondiffeomorphic_volume_percent:.2f} %")
