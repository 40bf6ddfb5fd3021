"""Files that tf2onnx 1.17 wrote of models of Keras 3.15 on TensorFlow 2.21, and their outputs there.

The models have random weights and a Dense layer of two units at their end. In ``data/tf2onnx``, embed_lstm is Embedding
and LSTM over any number of steps, bi both directions of an LSTM with sequences and bi_last of a GRU without, gru two
GRUs with ``reset_after`` and gru_before one without, conv a Conv1D, MaxPooling1D and an LSTM, back an LSTM that goes
backwards, mask an Embedding with ``mask_zero`` and an LSTM.
"""

import pathlib

import numpy as np
import pytest

pytest.importorskip("onnx")

from lstmcore import models

pytestmark = [pytest.mark.once, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

FOLDER = pathlib.Path(__file__).parent / "data" / "tf2onnx"
EXPECTED = dict(np.load(FOLDER / "expected.npz"))


@pytest.mark.parametrize("name", sorted(key[:-2] for key in EXPECTED if key.endswith("_y")))
def test_outputs_are_those_of_keras(name, tmp_path):
    model = models.load_model(FOLDER / f"{name}.onnx")
    x, want = EXPECTED[f"{name}_x"], EXPECTED[f"{name}_y"]
    got = model.predict(x, verbose=0)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-6)
    model.save(tmp_path / "again.safetensors")
    np.testing.assert_array_equal(models.load_model(tmp_path / "again.safetensors").predict(x, verbose=0), got)
