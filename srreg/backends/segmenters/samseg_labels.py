"""Where SAMSEG's labels go in the table of SR-Reg.

The values are those of its atlas (`compressionLookupTable.txt` of samseg 0.4a0). Right-hand partners go to the left
(`srreg.labels.RIGHT_TO_LEFT`), values of the table stay, and the rest is decided here.

They are not SynthSeg's labels, which the published SR-Reg has: SAMSEG fits a probabilistic atlas to grey values, draws its
own borders (CSF reaches to the skull, the brain-stem further down), and no network has learned them. Scores on the two
must not be compared.
"""

from collections.abc import Mapping

from srreg.labels import INDICES, RIGHT_TO_LEFT

OTHERS: Mapping[int, int] = {
    30: 2,  # left vessel: a strand of a few voxels below the putamen, inside the hemisphere
    62: 2,  # right vessel
    31: 4,  # left choroid plexus: hangs in the lateral ventricle and is part of it on a CT
    63: 4,  # right choroid plexus
    72: 4,  # 5th ventricle: the cleft of the septum between the lateral ventricles, where a person has one
    77: 2,  # white matter hypointensities: white matter, diseased or aged
    80: 2,  # other hypointensities: rare, and nothing tells which nucleus they lie in
    85: 0,  # optic chiasm: outside the brain's outline and without a structure in the table
    165: 0,  # skull
    258: 0,  # soft tissue outside the brain
    259: 0,  # fluid inside the eyes
}

# Every value SAMSEG can give -> its place.
TO_SR_REG: Mapping[int, int] = {**{index: index for index in INDICES}, **RIGHT_TO_LEFT, **OTHERS}
