"""Layers at which Keras ends masks that are passed on here."""

from .. import layers

# Those for which Keras's supports_masking is False, and those that forget the mask that comes for one of their own.
ENDS = (
    layers.AveragePooling1D,
    layers.Conv1D,
    layers.Cropping1D,
    layers.Lambda,
    layers.MaxPooling1D,
    layers.RMSNormalization,
    layers.UpSampling1D,
    layers.ZeroPadding1D,
    layers.Embedding,
    layers.Masking,
)
# What operators on symbols make; in Keras they are no layers, and know no masks.
OPERATIONS = (
    *(layers.Absolute, layers.Arithmetic, layers.Clip, layers.Divide, layers.Elementwise, layers.GetItem),
    *(layers.Matmul, layers.Negative, layers.Reduction),
)
