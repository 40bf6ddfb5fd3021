"""A stream that is copied or pickled goes on by itself, and one of tokens writes texts."""

import copy
import pickle

import numpy as np
import pytest
from layer_tools import numbers

from lstmcore import Input, Model, Sequential, layers, utils
from lstmcore._tree import leaves
from lstmcore.streaming import Chain, Stage, Stream

pytestmark = pytest.mark.once
COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda stream: pickle.loads(pickle.dumps(stream))}


def chain():
    return Sequential(
        [
            layers.Conv1D(4, 2, padding="causal", dilation_rate=2, input_shape=(None, 2)),
            layers.LSTM(4, dropout=0.5, return_sequences=True),
            layers.BatchNormalization(),
            layers.Residual([layers.GRU(4, return_sequences=True), layers.LayerNormalization()]),
            layers.RNN([layers.LSTMCell(3), Adds(2)], return_sequences=True),
            layers.TimeDistributed(layers.Dense(3, "tanh")),
            layers.PReLU(shared_axes=[1]),
            layers.SLSTM(2, 1),
        ]
    )


@utils.register_keras_serializable("test_stream_copies")
class Adds(layers.Cell):
    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = self.state_size = units

    def get_config(self):
        return super().get_config() | {"units": self.units}

    def forward(self, inputs, states):
        total = states[0] + inputs[:, : self.units]
        return total, [total], None


def graph():
    x = Input((None, 2))
    steps = layers.add([layers.LSTM(2, return_sequences=True)(x), x])
    return Model(x, {"sum": steps, "out": layers.Dense(1)(layers.SimpleRNN(3, return_sequences=True)(steps))})


def inner_graph():
    x = Input((None, 2))
    return Sequential([Model(x, layers.add([layers.GRU(2, return_sequences=True)(x), x])), layers.LSTM(2)])


def words(end="softmax", first=None):
    first = layers.Embedding(5, 3, input_shape=(None,)) if first is None else first
    model = Sequential([first, layers.LSTM(4, return_sequences=True), layers.Dense(5, end)])
    model.set_weights([numbers(*w.shape, seed=k, dtype="float32") for k, w in enumerate(model.get_weights())])
    return model


MODELS = {"chain": chain, "graph": graph, "a graph within": inner_graph, "words": words}


def pieces(make, count=9):
    if make is words:
        return list(np.random.default_rng(0).integers(0, 5, (count, 1)))
    return list(numbers(count, 1, 2, dtype="float32"))


def run(stream, given):
    return [part.copy() for piece in given for part in leaves(stream(piece))]


def assert_equal(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("name", MODELS)
def test_a_copy_goes_on_by_itself(name, how):
    model, given = MODELS[name](), pieces(MODELS[name])
    whole = run(model.stream(), given)
    stream = model.stream()
    for cut in (0, 4):
        stream.reset()
        run(stream, given[:cut])
        twin, state = COPIES[how](stream), stream.state
        assert repr(twin) == repr(stream)
        assert_equal(twin.state, state)
        behind = len(whole) * cut // len(given)
        assert_equal(run(stream, given[cut:]), whole[behind:])
        assert_equal(twin.state, state)  # of which the other has not moved anything
        assert_equal(run(twin, given[cut:]), whole[behind:])
        twin.reset()
        assert_equal(run(twin, given), whole)


def test_copies_have_the_weights_of_the_stream_though_the_model_was_trained():
    model, given = chain(), pieces(chain)
    stream = model.stream()
    want = run(stream, given)
    model.set_weights([w + 1 for w in model.get_weights()])
    twin = copy.copy(stream)
    twin.reset()
    assert_equal(run(twin, given), want)
    assert not np.array_equal(run(model.stream(), given)[-1], want[-1])
    with pytest.raises(RuntimeError, match=r"sequential\w*: stream: cannot be pickled, for the model has been trained"):
        pickle.dumps(stream)


class Difference(Stage):
    def __init__(self):
        super().__init__(1, "float32")
        self.last = np.zeros((1, 1, 1), "float32")

    def __call__(self, inputs, out=None):
        outputs = inputs - np.concatenate([self.last, inputs[:, :-1]], axis=1)
        self.last[...] = inputs[:, -1:]
        return outputs

    def memory(self):
        return [self.last.copy()]


@pytest.mark.parametrize("how", COPIES)
def test_stages_of_the_users_are_copied_with_what_they_remember(how):
    for stage in (Difference(), Chain([Difference(), Difference()], 1, 1), Stream([Difference()], 1, 1, 1, to_array)):
        first, then = (np.full((1, 1, 1), value, "float32") for value in (3, 5))
        stage(first)
        twin = COPIES[how](stage)
        want = stage(then)
        stage(first)
        np.testing.assert_array_equal(twin(then), want)


def to_array(name, value):
    return np.asarray(value, "float32")


class Keeps(layers.Layer):
    """Returns the same array at every call."""

    steps_apart = True

    def __init__(self):
        super().__init__()
        self.own = np.zeros((1, 1, 2), "float32")

    def forward(self, inputs, training=False):
        self.own[...] = inputs
        return self.own

    def compute_output_shape(self, input_shape):
        return input_shape


class KeepsStage(Keeps):
    steps_apart = False

    def stream(self, batch_size, steps):
        class Kept(Stage):
            kept = np.zeros((1, 1, 2), "float32")

            def __call__(self, inputs, out=None):
                self.kept[...] = inputs
                return self.kept

        return Kept(2, "float32")


@pytest.mark.parametrize("make", [Keeps, KeepsStage])
def test_what_a_stream_returns_is_the_callers_own_whatever_its_layers_keep(make):
    x = numbers(5, 1, 2, dtype="float32")
    stream = Sequential([Input((None, 2)), make()]).stream()
    np.testing.assert_array_equal([stream(step) for step in x], x)
    out = np.zeros((1, 2), "float32")
    assert stream(x[0], out=out) is out
    np.testing.assert_array_equal(out, x[0])
    np.testing.assert_array_equal(copy.copy(stream)(x[1]), x[1])


def test_a_copy_is_used_while_the_other_is():
    class Meets(Difference):
        meets = None

        def __call__(self, inputs, out=None):
            met, Meets.meets = Meets.meets, None
            return super().__call__(inputs, out) if met is None else met(inputs)

    stream = Stream([Meets()], 1, 1, 1, to_array)
    Meets.meets = copy.copy(stream)
    np.testing.assert_array_equal(stream(np.ones((1, 1))), [[1]])
    Meets.meets = stream
    with pytest.raises(RuntimeError):
        stream(np.ones((1, 1)))


# --- texts ---


def drawn(model, prompt, n, seed, temperature=1.0, top_k=5, given=lambda tokens: tokens, logits=False):
    """What to expect: the whole text through the model for every token, and draws by the equations."""
    rng, tokens = np.random.default_rng(seed), np.array(prompt)
    for _ in range(n):
        said = model(given(tokens))[:, -1].astype(np.float64)
        chances = np.exp(said) / np.exp(said).sum(1, keepdims=True) if logits else said
        chances = chances ** (1 / temperature)
        chances[chances < np.sort(chances)[:, -top_k, None]] = 0
        chances /= chances.sum(1, keepdims=True)
        at = rng.random((len(tokens), 1))
        tokens = np.hstack([tokens, (np.cumsum(chances, 1) <= at).sum(1, keepdims=True)])
    return tokens[:, len(prompt[0]) :]


def one_hot(tokens):
    return np.eye(5, dtype="float32")[tokens]


PROMPT = [[0, 3, 1, 4, 2], [2, 2, 0, 1, 3]]


@pytest.mark.parametrize("options", [{}, {"temperature": 0.5}, {"temperature": 2.0, "top_k": 2}])
def test_what_is_written_is_drawn_from_what_the_model_says_of_the_whole(options):
    kinds = {
        "tokens": (words(), {}, {}),
        "one-hot": (words(first=Input((None, 5))), {"given": one_hot}, {}),
        "logits": (words("linear"), {"logits": True}, {"kind": "logits"}),
    }
    for model, how, said in kinds.values():
        want = drawn(model, PROMPT, 7, 3, **options, **how)
        for steps in (1, 2, 5, 8):  # in whatever pieces the prompt is read
            stream = model.stream(batch_size=2, steps=steps)
            text = stream.generate(PROMPT, 7, seed=3, **options, **said)
            assert text.dtype == np.int64
            np.testing.assert_array_equal(text, want)
        assert len({*want[0], *want[1]}) > 1


def test_a_text_goes_on_where_it_ended():
    model = words()
    whole = model.stream().generate(PROMPT[0], 9, seed=5)
    assert whole.shape == (9,)
    stream, rng = model.stream(), np.random.default_rng(5)
    first = stream.generate(PROMPT[0], 4, seed=rng)
    read = model.stream(steps=8)
    read(np.array([[*PROMPT[0], *first[:-1]]]))
    assert_equal(stream.state, read.state)
    np.testing.assert_array_equal(np.append(first, stream.generate(first[-1:], 5, seed=rng)), whole)
    stream.reset()
    np.testing.assert_array_equal(stream.generate([PROMPT[0]], 9, seed=5), [whole])
    # The most probable, and the global seed.
    best = stream.generate(whole[-1:], 3, temperature=0)
    text = [*PROMPT[0], *whole]
    for token in best:
        assert token == model(np.array([text]))[0, -1].argmax()
        text.append(token)
    texts = []
    for _ in range(2):
        utils.set_random_seed(1)
        texts.append(model.stream().generate(PROMPT[0], 9))
    np.testing.assert_array_equal(*texts)


@pytest.mark.parametrize(
    ("make", "arguments", "error", "text"),
    [
        (
            words,
            ([[0, 1]] * 2, 3),
            ValueError,
            r"prompt: expected tokens \(1, steps\) or \(steps,\), .* shape \(2, 2\)",
        ),
        (words, ([], 3), ValueError, "one step at least"),
        (words, ([0.5], 3), TypeError, "prompt: expected tokens as integers, got float64"),
        (words, ([0, 7], 3), ValueError, "expected integers from 0 to 4, got 7"),
        (words, ([0], 0), ValueError, "n: expected a positive integer, got 0"),
        (words, ([0], 3, -1.0), ValueError, "temperature"),
        (lambda: words("linear"), ([0], 3), ValueError, 'softmax over the tokens, .* say kind="logits"'),
        (
            lambda: words(first=Input((None, 5))),
            ([5], 3),
            ValueError,
            "prompt: expected tokens from 0 to 4, got 5 to 5",
        ),
        (lambda: words(first=Input((None, 3))), ([1], 3), ValueError, "as many features as it returns, 5, got .* of 3"),
    ],
)
def test_what_cannot_be_written_says_why(make, arguments, error, text):
    with pytest.raises(error, match=text):
        make().stream().generate(*arguments)
