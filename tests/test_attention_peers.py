"""Attention held against Keras, whose arguments and weights it has, and against PyTorch.

Run where Keras 3 and PyTorch are installed; skipped elsewhere.
"""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
torch = pytest.importorskip("torch")
keras = pytest.importorskip("keras")
if not keras.__version__.startswith("3."):
    pytest.skip("Keras 3 is what we are held against", allow_module_level=True)

from layer_tools import numbers  # noqa: E402

from lstmcore import functional  # noqa: E402
from lstmcore import layers as ours  # noqa: E402

pytestmark = pytest.mark.peer

# Rounding: sums of some tens of products of numbers near one, in float32, which Keras makes of the lists that its
# layers are given.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
LAYERS = {
    "Attention": lambda m: m.Attention(),
    "Attention, scale": lambda m: m.Attention(True),
    "Attention, concat": lambda m: m.Attention(True, "concat"),
    "AdditiveAttention": lambda m: m.AdditiveAttention(),
    "AdditiveAttention, no scale": lambda m: m.AdditiveAttention(False),
    "MultiHeadAttention": lambda m: m.MultiHeadAttention(2, 3),
    "MultiHeadAttention, value_dim": lambda m: m.MultiHeadAttention(3, 2, 5, output_shape=7),
    "MultiHeadAttention, no bias": lambda m: m.MultiHeadAttention(1, 2, use_bias=False, output_shape=(2, 3)),
    "MultiHeadAttention, window": lambda m: m.MultiHeadAttention(2, 3, sliding_window=2),
}
QUERY_MASK = np.arange(4) < np.array([[2], [4], [3]])
VALUE_MASK = np.arange(5) < np.array([[5], [4], [5]])  # every query sees a key, in a window of two steps too


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_layers_are_keras(name, count, masked):
    x = [numbers(3, steps, 4, seed=seed, dtype="float32") for seed, steps in enumerate((4, 5, 5))][:count]
    layer, other = LAYERS[name](ours), LAYERS[name](keras.layers)
    shapes = [a.shape for a in x]
    layer.build(shapes)
    layer.set_weights([0.5 * numbers(*w.shape, seed=k) for k, w in enumerate(layer.get_weights())])
    if several := name.startswith("Multi"):
        other.build(*shapes)
    else:
        other.build(shapes)
    assert [v.path.partition("/")[2] for v in layer.variables] == [v.path.partition("/")[2] for v in other.weights]
    assert [v.shape for v in layer.variables] == [tuple(v.shape) for v in other.weights]
    other.set_weights(layer.get_weights())
    given = [torch.tensor(a, requires_grad=True) for a in x]
    options = {"return_attention_scores": True, "use_causal_mask": masked}
    for v in layer.variables:
        v.gradient.fill(0)
    if several:
        mask = {"value_mask": VALUE_MASK} if masked else {}
        got = layer(*x, training=True, **mask, **options)
        want = other(*given, **{k: torch.tensor(v) for k, v in mask.items()}, **options)
    else:
        mask = [QUERY_MASK, VALUE_MASK] if masked else None
        got = layer(x, mask, True, **options)
        want = other(given, mask=[torch.tensor(m) for m in mask] if masked else None, **options)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), **CLOSE)
    d = [numbers(*a.shape, seed=8, dtype="float32") for a in got]
    sum((y * torch.tensor(g)).sum() for y, g in zip(want, d, strict=True)).backward()
    for a, b in zip(layer.backward(d[0], d_scores=d[1]), given, strict=True):
        np.testing.assert_allclose(a, b.grad.numpy(), **CLOSE)
    for v, w in zip(layer.variables, other.weights, strict=True):
        np.testing.assert_allclose(v.gradient, w.value.grad.numpy(), err_msg=v.path, **CLOSE)


@pytest.mark.parametrize("kind", ["Attention", "AdditiveAttention", "MultiHeadAttention"])
def test_configurations_are_keras(kind):
    arguments = {"num_heads": 2, "key_dim": 3} if kind == "MultiHeadAttention" else {}
    layer, other = getattr(ours, kind)(**arguments), getattr(keras.layers, kind)(**arguments)
    config, known = layer.get_config(), other.get_config()
    assert set(known) <= set(config)
    for name in set(known) & set(config) - {"name", "dtype"}:
        if not isinstance(known[name], dict) and known[name] is not None:
            assert config[name] in (known[name], None), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_torchs(dtype, masked):
    arrays = [numbers(2, 4, steps, 96, seed=steps, dtype=dtype) for steps in (97, 131, 131)]
    d = numbers(2, 4, 97, 96, dtype=dtype)
    mask = np.tri(97, 131, dtype=bool) if masked else None
    outputs, _, cache = functional.attention(*arrays, mask=mask, training=True)
    query, value, key = (torch.tensor(a, requires_grad=True) for a in arrays)
    sees = None if mask is None else torch.tensor(mask)
    want = torch.nn.functional.scaled_dot_product_attention(query, key, value, sees)
    want.backward(torch.tensor(d))
    # Sums of 131 products of numbers near one; in float64 ours is the more exact of the two, or as exact.
    close = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(outputs, want.detach().numpy(), **close)
    for got, tensor in zip(functional.attention_backward(cache, d)[:3], (query, value, key), strict=True):
        np.testing.assert_allclose(got, tensor.grad.numpy(), **close)


def test_several_heads_are_torchs():
    width, heads = 12, 3
    layer = ours.MultiHeadAttention(heads, width // heads, dtype="float64")
    x = [numbers(2, steps, width, seed=steps) for steps in (4, 5)]
    layer.build([a.shape for a in x])
    layer.set_weights([0.5 * numbers(*w.shape, seed=k) for k, w in enumerate(layer.get_weights())])
    other = torch.nn.MultiheadAttention(width, heads, batch_first=True, dtype=torch.float64)
    weights = dict(zip([v.path.partition("/")[2] for v in layer.variables], layer.get_weights(), strict=True))
    with torch.no_grad():
        other.in_proj_weight[:] = torch.tensor(
            np.concatenate([weights[f"{n}/kernel"].reshape(width, width).T for n in ("query", "key", "value")])
        )
        other.in_proj_bias[:] = torch.tensor(
            np.concatenate([weights[f"{n}/bias"].reshape(width) for n in ("query", "key", "value")])
        )
        other.out_proj.weight[:] = torch.tensor(weights["attention_output/kernel"].reshape(width, width).T)
        other.out_proj.bias[:] = torch.tensor(weights["attention_output/bias"])
        query, value = map(torch.tensor, x)
        padding = torch.tensor(~VALUE_MASK[:2])
        want, scores = other(query, value, value, key_padding_mask=padding, average_attn_weights=False)
    got, ours_scores = layer(*x, value_mask=VALUE_MASK[:2], return_attention_scores=True)
    np.testing.assert_allclose(got, want.numpy(), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(ours_scores, scores.numpy(), rtol=1e-11, atol=1e-12)
