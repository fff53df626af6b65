"""Networks that do not learn: told early, and once more at the end.

Users of the authors' code had three networks that stayed at the zero field, so that every label lay where it had
been (their issue 5); a higher learning rate helped.
"""

import math

from models.training_settings import TrainingSettings
from models.training_state import EpochRow

_STILL_VOXELS = 0.5  # nearest neighbour takes another voxel's label only where a component is at least this
_EARLY_STEPS = 450  # three epochs of the paper's
_REMEDY = "try fp32 or a higher learning rate"


def early_warning(row: EpochRow, settings: TrainingSettings) -> str:
    """What to say after an epoch; empty but once, after a fifth of the training or 450 steps, and if the field is still."""
    due = min(_EARLY_STEPS, settings.epochs * settings.steps_per_epoch / 5)
    is_due = row.step - settings.steps_per_epoch < due <= row.step and row.epoch < settings.epochs
    if not is_due or row.furthest >= _STILL_VOXELS:
        return ""
    return f"the field hardly grows: after {row.step} steps {_still(row)}; if it stays so, {_REMEDY}"


def alarm(kept: EpochRow, untrained: EpochRow) -> str:
    """Why the network whose weights are kept seems not to have learned; empty if it has, or if nothing was validated."""
    if not kept.furthest >= _STILL_VOXELS:
        return f"did not learn: {_still(kept)}; {_REMEDY}"
    if not math.isnan(untrained.validation_dice) and not kept.validation_dice > untrained.validation_dice:
        return (
            f"did not learn: validation Dice is {kept.validation_dice:.4f}, and {untrained.validation_dice:.4f} untrained; "
            "train longer"
        )
    return ""


def _still(row: EpochRow) -> str:
    return f"no voxel moves by half its size ({row.furthest:.4f} voxels at most), so no label does"
