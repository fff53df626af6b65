"""The feature extractor's sizes, and the read-out of its features that only the contrastive loss sees."""

from torch import nn

from models.unet import ConvolutionBlock, UNetConfig

# Two poolings, though the paper's text says one: only so there are 48,912 parameters, as in the authors' weights.
FEATURES = UNetConfig(encoder=(16, 16), decoder=(16, 16, 16, 16))

EMBEDDING_CHANNELS = 3


class ReadOut(nn.Sequential):
    """From features [B, in, D, H, W] to an embedding [B, 3, D/2, H/2, W/2]; it never touches the displacement.

    Args:
        in_channels: of the features.
    """

    def __init__(self, in_channels: int) -> None:
        middle = in_channels // 2
        super().__init__(ConvolutionBlock(in_channels, middle, stride=2), ConvolutionBlock(middle, EMBEDDING_CHANNELS))
