"""Warnings point at the line of the program that is to be looked at."""

import warnings

import numpy as np
import pytest

from lstmcore import Model, Sequential, layers, losses, metrics, optimizers

X, Y = np.zeros((4, 3, 2), "float32"), np.zeros((4, 1), "float32")


class Lost(Model):
    def __init__(self):
        super().__init__()
        self.embedding, self.dense = layers.Embedding(5, 2, mask_zero=True), layers.Dense(1)

    def forward(self, inputs, training=False):
        return self.dense(np.tanh(self.embedding(inputs)).sum(1), training)


def ends_a_mask():
    return layers.Flatten()(layers.Masking()(X))


def ends_a_mask_in_a_model():
    return Sequential([layers.Masking(input_shape=(3, 2)), layers.Flatten()]).predict(X, verbose=0)


def loses_a_mask():
    return Lost()(np.array([[1, 0]]))


def leaves_out_rows():
    return losses.CTC()([[1, 1, 1]], np.zeros((1, 3, 4)))


def is_not_finite():
    model = Sequential([layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    return model.fit(np.full((4, 2), np.nan), Y, verbose=0)


def runs_out_of_data():
    model = Sequential([layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse")
    return model.fit(iter([(X[:, 0], Y)]), steps_per_epoch=3, verbose=0)


def has_an_old_argument():
    return optimizers.SGD(decay=0.1)


def has_too_few_samples():
    metric = metrics.R2Score(num_regressors=9)
    return metric(Y, Y + 1)


@pytest.mark.parametrize(
    "act",
    [
        ends_a_mask,
        ends_a_mask_in_a_model,
        loses_a_mask,
        leaves_out_rows,
        is_not_finite,
        runs_out_of_data,
        has_an_old_argument,
        has_too_few_samples,
    ],
)
def test_warnings_point_at_the_line_that_is_to_be_looked_at(act):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        act()
    assert caught
    for warning in caught:
        assert warning.filename == __file__, warning.message
        lines = [line for _, _, line in act.__code__.co_lines()]
        assert warning.lineno in lines, warning.message


def test_the_step_of_a_loss_that_is_not_finite_is_counted_as_epochs_are():
    with pytest.warns(RuntimeWarning, match="the loss is nan at step 1 of epoch 1; look for NaN"):
        is_not_finite()
