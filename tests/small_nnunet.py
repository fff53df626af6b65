"""A model folder of nnU-Net as HD-BET 2 has one, with the smallest network there is instead of its weights."""

from pathlib import Path

import numpy as np
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet

from srreg.files import write_json

_CONVOLUTION = {"conv_op": torch.nn.Conv3d, "norm_op": None, "norm_op_kwargs": None, "nonlin": None, "nonlin_kwargs": None}
_SHAPE = {
    "n_stages": 2,
    "features_per_stage": [1, 1],
    "kernel_sizes": [[1, 1, 1], [1, 1, 1]],
    "strides": [[1, 1, 1], [2, 2, 2]],
    "n_conv_per_stage": [1, 1],
    "n_conv_per_stage_decoder": [1],
    "conv_bias": True,
    "dropout_op": None,
    "dropout_op_kwargs": None,
}


def write_model(folder: Path, spacing_mm: float, above: float | None, seed: int = 0) -> Path:
    """A U-Net of two stages and one channel, with its plans.

    Args:
        folder: where it is written.
        spacing_mm: what nnU-Net resamples images to before and masks from after.
        above: the network calls brain what is brighter than so many standard deviations above the mean; None: its
            weights are drawn at random.
        seed: of these.
    """
    torch.manual_seed(seed)
    network = PlainConvUNet(1, num_classes=2, deep_supervision=False, **_SHAPE, **_CONVOLUTION)
    weights = network.state_dict() if above is None else _threshold(network.state_dict(), above)
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    names = {"resampling_fn_data": resampling, "resampling_fn_seg": resampling, "resampling_fn_probabilities": resampling}
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [16, 16, 16],
        "median_image_size_in_voxels": [40.0, 32.0, 16.0],
        "spacing": [spacing_mm] * 3,
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        **dict.fromkeys(names, "resample_data_or_seg_to_shape"),
        **{f"{name}_kwargs": settings for name, settings in names.items()},
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {**_SHAPE, **_CONVOLUTION, "conv_op": "torch.nn.modules.conv.Conv3d"},
            "_kw_requires_import": ["conv_op"],
        },
        "batch_dice": False,
    }
    plans = {
        "dataset_name": "Dataset001",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": configuration},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": {}},
    }
    labels = {"background": 0, "brain": 1}
    dataset = {"channel_names": {"0": "MRI"}, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz"}
    write_json(folder / "plans.json", plans)
    write_json(folder / "dataset.json", dataset)
    write_checkpoint(folder, weights, plans, dataset)
    return folder


def write_checkpoint(folder: Path, weights: object, plans: object, dataset: object) -> None:
    """As nnU-Net's trainer writes one: a log and a best score of numpy's numbers beside the weights."""
    (folder / "fold_all").mkdir(parents=True, exist_ok=True)
    settings = {
        "plans": plans,
        "configuration": "3d_fullres",
        "fold": "all",
        "dataset_json": dataset,
        "device": torch.device("cpu"),
    }
    checkpoint = {
        "network_weights": weights,
        "optimizer_state": {"state": {}, "param_groups": [{"lr": 0.01}]},
        "grad_scaler_state": None,
        "logging": {"mean_fg_dice": [np.float64(0.9), np.float32(0.8)], "epoch_start_timestamps": [0.0]},
        "_best_ema": np.float64(0.9),
        "current_epoch": 1,
        "init_args": settings,
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }
    torch.save(checkpoint, folder / "fold_all" / "checkpoint_final.pth")


def _threshold(weights: dict[str, torch.Tensor], above: float) -> dict[str, torch.Tensor]:
    """Hand the first channel through to the last layer, whose two outputs are 0 and image - above."""
    made = {name: torch.zeros_like(value) for name, value in weights.items()}
    for name, value in made.items():
        if name.endswith("stages.0.0.convs.0.conv.weight") or name.endswith("stages.0.0.convs.0.all_modules.0.weight"):
            value[0, 0] = 1.0
        if "decoder.stages" in name and name.endswith("weight"):
            value[0, 1] = 1.0  # after the upsampled channel comes the skipped one
        if "seg_layers" in name and name.endswith("weight"):
            value[1, 0] = 1.0
        if "seg_layers" in name and name.endswith("bias"):
            value[1] = -above
    return made
