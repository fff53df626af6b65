"""Ask MedPy, MONAI and digital-diffeomorphism for what `other_tools.json` keeps, in an environment of their own.

python3 -m venv /tmp/peers
/tmp/peers/bin/pip install numpy==2.3.5 scipy==1.15.3 torch==2.13.0 medpy==0.5.2 monai==1.6.1 nibabel==5.4.2
/tmp/peers/bin/pip install --no-deps digital-diffeomorphism==1.1.1   # it asks for numpy below 2, and works with this one
/tmp/peers/bin/python tests/golden/make_other_tools.py
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import digital_diffeomorphism
import numpy as np
import torch
from medpy.metric.binary import hd95
from monai.metrics import compute_hausdorff_distance

sys.path.insert(0, str(Path(__file__).parents[1]))
from label_pairs import CASES, field, pair_of


def main():
    """Write the answers beside this script."""
    answers = {
        "versions": {name: version(name) for name in ("medpy", "monai", "digital-diffeomorphism")},
        "hd95": {case: _hd95(*pair_of(case), CASES[case][1]) for case in CASES},
        "nondiffeomorphic_volume_percent": float(digital_diffeomorphism.ndv(field(), is_disp=True)[1]),
    }
    path = Path(__file__).with_name("other_tools.json")
    path.write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")


def _hd95(moved, fixed, spacing):
    labels = range(1, 10)
    one_hot = [torch.from_numpy(np.stack([labels_ == label for label in labels])[None]) for labels_ in (moved, fixed)]
    by_monai = compute_hausdorff_distance(*one_hot, include_background=True, percentile=95, spacing=list(spacing))
    return {
        "medpy": {label: float(hd95(moved == label, fixed == label, spacing)) for label in labels},
        "monai": {label: float(by_monai[0, label - 1]) for label in labels},
    }


if __name__ == "__main__":
    main()
