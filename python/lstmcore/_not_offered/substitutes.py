"""What to use instead of what Keras has and lstmcore has not.

What stands in backquotes is a name within lstmcore.
"""

from __future__ import annotations

import re

from .keras_names import NAMES, OLDER_NAMES

_IMAGES = "lstmcore is for sequences, not for images"
_GRAPHS = "a graph of layers is a `Model` of inputs, as `Input` makes them, and outputs"
_CONFIG = "an object is described by its get_config, and made again by the from_config of its class"
_TEXT = "use a `preprocessing.text.Tokenizer` before the data reach the model"
_PREPARE = "prepare the data with NumPy before they reach the model"
_DTYPES = 'give each layer its dtype, "float32", "float64" or "mixed_bfloat16"'
_FLOATS = "the range of bfloat16 is that of float32: losses need no scale"
_VERBOSE = "fit, evaluate and predict take verbose="
_FILES = "read the files with a `utils.PyDataset` of your own"
_REGISTERED = "use `utils.register_keras_serializable` and `utils.custom_object_scope`"
_LAYER = "write a `layers.Layer` with call, or with forward and backward"

# Module and name, as regular expressions that match all of it; the first that matches counts.
_SUBSTITUTES = {
    # everywhere
    r".*:(de)?serialize(_keras_object)?": _CONFIG,
    r"(utils|saving):get_(custom_objects|registered_name|registered_object)": _REGISTERED,
    # the top
    r":applications": f"there are no trained models of images; {_IMAGES}",
    r":ops": "use NumPy, or the package autograd where gradients are needed",
    r":random": "use NumPy's generators, and `utils.set_random_seed`",
    r":(backend|device)": f"there is one backend, for the CPU; {_DTYPES}",
    r":FloatDTypePolicy": "it is `DTypePolicy`",
    r":(quantizers|Quantizer)": 'use `quantize`, or model.quantize("int8")',
    r"dtype_policies:.*": _DTYPES,
    r"config:.*interactive_logging.*": _VERBOSE,
    r"config:.*image.*": _IMAGES,
    r"config:.*(epsilon|max_.*)": "give it to what uses it as an argument",
    r"config:.*": "there is one backend, for the CPU, and nothing to set",
    r":(distribution|distillation|export|remat|RematScope)": "models are trained and run in one process, as they are",
    r":(Function|KerasTensor|Operation|StatelessScope|SymbolicScope)": _GRAPHS,
    r":(InputSpec|name_scope)": "a layer is named by name=, and checks its inputs in build",
    r":Variable": "weights are made by the add_weight of `Layer`",
    r":version": "use `__version__`",
    r":legacy": "use the module itself",
    r":(tree|visualization|wrappers)": "lists and dicts of arrays, and the model's own methods, do without it",
    # the tuner
    r"tuner:GridSearch": "use `tuner.RandomSearch`, which tries no values twice and ends when all were tried",
    r"tuner:(Oracle|oracles|synchronized)": "use a tuner, whose search is an Optuna study: see its oracle.study",
    r"tuner:SklearnTuner": "use scikit-learn's own search over an estimator of `sklearn`",
    r"tuner:errors": "it is `tuner.FailedTrialError`",
    r"tuner:(engine|tuners)": "use `tuner` itself",
    r"tuner:applications": "there are no trained models of images; " + _IMAGES,
    # layers
    r"layers:GroupQueryAttention": "use `layers.MultiHeadAttention`, where every head has keys and values of its own",
    r"layers:ConvLSTM.*": "use `layers.TimeDistributed` over `layers.Conv1D`, then a `layers.LSTM`",
    r"layers:Conv.*1DTranspose": "use `layers.UpSampling1D`, then a `layers.Conv1D`",
    r"layers:(Depthwise|Separable)Conv.*1D": "use a `layers.Conv1D`",
    r"layers:Adaptive.*1D": "use `layers.AveragePooling1D`, `layers.MaxPooling1D` or those that are global",
    r"layers:(TextVectorization|StringLookup|IntegerLookup)": _TEXT,
    r"layers:(Hashing|HashedCrossing)": "use `preprocessing.text.hashing_trick` before the data reach the model",
    r"layers:CategoryEncoding": "use `utils.to_categorical` before the data reach the model",
    r"layers:(MelSpectrogram|STFTSpectrogram)": "use `audio.mel_spectrogram` before the data reach the model",
    r"layers:(Discretization|Pipeline)": _PREPARE,
    r"layers:(Group|RMS|Spectral)Normalization": "use `layers.LayerNormalization` or `layers.BatchNormalization`",
    r"layers:(EinsumDense|ReversibleEmbedding)": "use `layers.Dense` and `layers.Embedding`",
    r"layers:AbstractRNNCell": "write a `layers.Cell` with call, or with forward and backward",
    r"layers:CuDNN(GRU|LSTM)": "use `layers.GRU` and `layers.LSTM`",
    r"layers:LocallyConnected1D": "use a `layers.Conv1D`",
    r"layers:ThresholdedReLU": "use `layers.Activation` of `activations.threshold`",
    r"layers:InputSpec": "a layer checks its inputs in build",
    r"layers:.*[23]D.*": f"{_IMAGES}; the layers for sequences are those with 1D at the end",
    r"layers:(Random.*|.*Histogram.*|AugMix|AutoContrast|CenterCrop|CutMix|Equalization|MaxNumBoundingBoxes|MixUp|"
    r"RandAugment|Resizing|Solarization)": _IMAGES,
    r"layers:.*": _LAYER,
    # the rest
    r"losses:Reduction": "a reduction is given by its name, as in Keras 3",
    r"losses:.*": "write a `losses.Loss` with call",
    r"metrics:.*": "write a `metrics.Metric` with update_state and result",
    r"activations:.*": "write an `activations.Activation` with value and backward",
    r"initializers:.*": "an initializer is a function of shape and dtype, or an `initializers.Initializer`",
    r"constraints:.*": "write a `constraints.Constraint`",
    r"regularizers:.*": "write a `regularizers.Regularizer`",
    r"(optimizers|mixed_precision):LossScaleOptimizer": _FLOATS,
    r"optimizers:legacy": "the optimizers are in `optimizers`",
    r"optimizers:.*": "use one of those in `optimizers`, such as `optimizers.AdamW`",
    r"optimizers\.schedules:.*": "write an `optimizers.schedules.LearningRateSchedule`",
    r"datasets:.*": "`datasets.imdb` and `datasets.air_passengers` are there; other data are arrays of your own",
    r"preprocessing:text_dataset_from_directory": _FILES,
    r"preprocessing:.*": _IMAGES,
    r"preprocessing\.sequence:.*": "pairs of words are made with NumPy; an `layers.Embedding` learns with its model",
    r"models:model_from_yaml": "use `models.model_from_json`",
    r"saving:(load|save)_weights": "a model has save_weights and load_weights",
    r"saving:KerasFileEditor": "a model is a safetensors file, which that package reads and writes",
    r"utils:(.*_img|img_.*|image_.*|bounding_boxes)": _IMAGES,
    r"utils:audio_dataset_from_directory": "read the files with `audio.read_wav` in a `utils.PyDataset` of your own",
    r"utils:text_dataset_from_directory": _FILES,
    r"utils:get_file": "fetch files with the package pooch",
    r"utils:(get_source_inputs|is_keras_tensor)": _GRAPHS,
    r"utils:(.*interactive_logging.*|Progbar)": _VERBOSE,
    r"utils:(un)?pack_x_y_sample_weight": "a batch is a tuple: x, y, sample_weight",
    r"utils:FeatureSpace": _PREPARE,
    r"utils:standardize_dtype": _DTYPES,
    r"utils:np_utils": "`utils.to_categorical` and `utils.normalize` stand in `utils` itself",
    r"utils:multi_gpu_model": "models are trained and run in one process, on a CPU",
}


def substitute(module: str, name: str) -> str | None:
    """Return what to use instead of a name in a module below lstmcore; None if Keras has none of that name there."""
    names = f"{NAMES.get(module, '')} {OLDER_NAMES.get(module, '')}"
    if name not in names.split():
        return None
    for pattern, instead in _SUBSTITUTES.items():
        if re.fullmatch(pattern, f"{module}:{name}"):
            return instead.replace("`", "")
    return "nothing here does the same"
