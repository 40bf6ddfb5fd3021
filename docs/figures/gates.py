"""The gates of an LSTM over time, that has learnt to keep a number until it is asked for."""

import sys

import _common
import numpy as np

import lstmcore
from lstmcore import Sequential, layers

STEPS, UNITS = 20, 2


def ask(rows, rng):
    """Return numbers with marks, one of which says keep and the last one tell; and the number that was to be kept."""
    x = np.zeros((rows, STEPS, 3), "float32")
    x[..., 0] = rng.uniform(-1, 1, (rows, STEPS))
    keep, every = rng.integers(2, 8, rows), np.arange(rows)
    x[every, keep, 1] = x[:, -1, 2] = 1
    return x, x[every, keep, :1]


def gates(layer, x):
    """Return h, c and the gates i, f, o of one sequence, from the equations."""
    kernel, recurrent, bias = layer.get_weights()
    h = c = np.zeros(UNITS)
    found = []
    for step in x:
        i, f, g, o = np.split(step @ kernel + h @ recurrent + bias, 4)
        i, f, o = (1 / (1 + np.exp(-one)) for one in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        found.append([h, c, i, f, o])
    return np.array(found).transpose(1, 0, 2)


def main(path):
    """Train, draw the unit whose cell state goes with what was kept."""
    rng = np.random.default_rng(1)
    lstmcore.utils.set_random_seed(1)
    model = Sequential([layers.LSTM(UNITS, input_shape=(STEPS, 3)), layers.Dense(1)])
    model.compile(lstmcore.optimizers.Adam(0.02), "mse")
    model.fit(*ask(4000, rng), epochs=25, batch_size=50, verbose=0)
    x, y = ask(200, rng)
    loss = model.evaluate(x, y, verbose=0)
    all_of = [gates(model.layers[0], one) for one in x]
    np.testing.assert_allclose(all_of[0][0][-1], model.layers[0](x[:1])[0], atol=1e-5)  # the equations are the layer's
    kept = y[:, 0]
    unit = int(np.argmax([abs(np.corrcoef(kept, [one[1][-2, u] for one in all_of])[0, 1]) for u in range(UNITS)]))
    print(f"mean squared error {loss:.5f}, unit {unit}")

    k = int(np.argmax(kept))
    keep, tell = x[k, :, 1].argmax(), STEPS - 1
    h, c, i, f, o = all_of[k][:, :, unit]
    figure, (above, below) = _common.canvas("One unit of an LSTM that keeps a number", panels=2, sharex=True)
    steps = np.arange(STEPS)
    below.set_xlabel("step")
    for axes in (above, below):
        for at, word in ((keep, "keep"), (tell, "tell")):
            axes.axvline(at, color=_common.GREY, lw=1, ls=(0, (2, 3)))
            if axes is above:
                axes.text(at + 0.3, 1.02, word, color=_common.GREY, transform=axes.get_xaxis_transform())
    above.plot(steps, x[k, :, 0], color=_common.GREY, lw=1, marker=".", label="what comes in")
    above.plot(steps, c, color=_common.BLUE, lw=2.2, label="cell state c")
    above.plot(steps, h, color=_common.ORANGE, lw=1.6, label="output h")
    for name, gate, color in (("input", i, _common.ORANGE), ("forget", f, _common.BLUE), ("output", o, _common.INK)):
        below.plot(steps, gate, color=color, lw=1.8, label=f"{name} gate")
    below.set_ylim(-0.03, 1.03)
    for axes in (above, below):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    _common.save(figure, path)


if __name__ == "__main__":
    main(sys.argv[1])
