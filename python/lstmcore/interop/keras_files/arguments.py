"""The arguments of layers, under the names and in the forms that they have here."""

from __future__ import annotations

from typing import Any

NAMES = {
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "GlobalAvgPool1D": "GlobalAveragePooling1D",
    "GlobalMaxPool1D": "GlobalMaxPooling1D",
}
# Of how Keras computes, or of kinds of tensors that are refused elsewhere.
_WITHOUT_EFFECT = {
    "batch_size", "build_config", "fused", "implementation", "input_spec", "lora_alpha", "lora_rank",
    "quantization_config", "ragged", "registered_name", "optional", "sparse", "time_major", "unroll", "use_cudnn",
    "flash_attention", "query_shape", "key_shape", "value_shape", "virtual_batch_size", "synchronized",
}  # fmt: skip
_REFUSED = {"time_major": True, "sparse": True, "ragged": True, "lora_rank": None, "quantization_config": None}


def within_bounds(where: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration without what has no effect here; refuse what would have one."""
    for key, refused in _REFUSED.items():
        value = config.get(key)
        if value and (refused is None or value == refused):
            raise ValueError(f"{where}: {key}: {str(value)[:50]} is not offered")
    return {key: value for key, value in config.items() if key not in _WITHOUT_EFFECT}


def _numbers(value: Any) -> Any:
    """Return a value, or the numbers of one that describes an array."""
    is_array = isinstance(value, dict) and value.get("class_name") in ("__numpy__", "__tensor__")
    return (value.get("config") or {}).get("value") if is_array else value


def said_otherwise(name: str, arguments: dict[str, Any], legacy: bool) -> dict[str, Any]:
    """Return arguments under the names, and in the forms, that layers take now."""
    own = NAMES.get(name, name)
    if name in ("CuDNNLSTM", "CuDNNGRU"):  # they have no others
        arguments = {"activation": "tanh", "recurrent_activation": "sigmoid"} | arguments
    if own in ("GRU", "GRUCell"):
        arguments.setdefault("reset_after", name == "CuDNNGRU" or not legacy)
    if own == "Rescaling":
        arguments = {key: _numbers(value) for key, value in arguments.items()}
    if own == "LeakyReLU" and "alpha" in arguments:
        arguments["negative_slope"] = arguments.pop("alpha")
    if own == "BatchNormalization" and isinstance(arguments.get("axis"), tuple) and len(arguments["axis"]) == 1:
        arguments["axis"] = arguments["axis"][0]
    if own in ("Embedding", "InputLayer"):
        arguments.pop("activity_regularizer", None)
    if own == "InputLayer":
        arguments.pop("trainable", None)
        if "batch_input_shape" in arguments:
            arguments["batch_shape"] = arguments.pop("batch_input_shape")
    if own == "Attention" and arguments.pop("causal", False):
        raise ValueError(f"{arguments.get('name')}: causal: expected use_causal_mask in the call")
    for option in ("input_dtype", "input_length"):
        if option in arguments and own != "Embedding":
            arguments.pop(option)
    if own != "InputLayer" and arguments.get("dtype") not in (None, "float32", "float64", "mixed_bfloat16"):
        del arguments["dtype"]
    return {key: _from_one(value) if key in _ONE else value for key, value in arguments.items()}


_ONE = ("kernel_size", "strides", "pool_size", "dilation_rate", "pool_length", "size")


def _from_one(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


def dtype_of(value: Any) -> Any:
    """Return the policy of a layer from that of Keras; in place of mixed_float16 there is float32."""
    if isinstance(value, dict):
        value = (value.get("config") or {}).get("name")
    return "float32" if value == "mixed_float16" else value
