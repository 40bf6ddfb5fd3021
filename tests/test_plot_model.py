"""Pictures of models, and what their layers are connected to in summaries."""

import re
import shutil
import sys

import numpy as np
import pytest

import lstmcore
from lstmcore import Input, Model, Sequential, layers, utils

graphviz = pytest.importorskip("graphviz")
has_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="the program dot of Graphviz is not there")


def towers(module=lstmcore):
    kinds = module.layers
    a, b = module.Input((5, 4), name="a"), module.Input((5, 4), name="b")
    tower = kinds.LSTM(3, name="tower")
    both = kinds.Concatenate(name="cat")([tower(a), tower(b)])
    _, h, c = kinds.LSTM(2, return_state=True, name="encoder")(a)
    return module.Model([a, b], [kinds.Dense(1, name="d")(both), kinds.Add(name="plus")([h, c])], name="towers")


def connected(model):
    """What stands under "Connected to", by layer."""
    lines, found, last = [], {}, None
    model.summary(print_fn=lambda text, *_, **__: lines.extend(text.splitlines()))
    for line in lines:
        cells = [cell.strip() for cell in re.split("[│┃]", line)[1:-1]]
        if len(cells) == 4 and not cells[0].startswith("Layer"):
            last = cells[0].split(" ")[0] or last
            found[last] = found.get(last, "") + " " + cells[3]
    return {name: re.findall(r"\w+\[\d\]\[\d\]", text) for name, text in found.items()}


def test_summary_says_what_layers_are_called_on():
    assert connected(towers()) == {
        "a": [],
        "b": [],
        "tower": ["a[0][0]", "b[0][0]"],
        "cat": ["tower[0][0]", "tower[1][0]"],
        "encoder": ["a[0][0]"],
        "d": ["cat[0][0]"],
        "plus": ["encoder[0][1]", "encoder[0][2]"],
    }
    x = Input((4,))
    assert connected(Model(x, layers.Dense(1)(x))) == {}  # a chain has no such column


@pytest.mark.peer
def test_what_layers_are_called_on_is_what_keras_says(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    assert connected(towers()) == connected(towers(keras))


def edges(graph):
    names = dict(re.findall(r'(\w+) \[label=<.*?<font color="white">(.*?)</font>', graph.source))
    return sorted((names[one], names[other]) for one, other in re.findall(r"(\w+) -> (\w+)", graph.source))


def test_a_picture_has_a_box_for_each_layer_and_an_arrow_for_each_array():
    assert edges(utils.model_to_dot(towers(), show_layer_names=True)) == [
        ("a (InputLayer)", "encoder (LSTM)"),
        ("a (InputLayer)", "tower (LSTM)"),
        ("b (InputLayer)", "tower (LSTM)"),
        ("cat (Concatenate)", "d (Dense)"),
        ("encoder (LSTM)", "plus (Add)"),
        ("encoder (LSTM)", "plus (Add)"),
        ("tower (LSTM)", "cat (Concatenate)"),
        ("tower (LSTM)", "cat (Concatenate)"),
    ]
    chain = Sequential([Input((3,), name="in"), layers.Dense(2, "relu"), layers.Dense(1)])
    assert edges(utils.model_to_dot(chain)) == [("Dense", "Dense"), ("InputLayer", "Dense")]


def test_what_is_shown_can_be_chosen():
    chain = Sequential([Input((3,)), layers.Dense(2, "relu", name="first", trainable=False)])
    plain = utils.model_to_dot(chain).source
    for word in ("(None, 2)", "float32", "first", "relu", "Non-trainable"):
        assert word not in plain
    shown = utils.model_to_dot(chain, True, True, True, "LR", False, 96, False, True, True).source
    for word in ("(None, 2)", "float32", "first", "relu", "Non-trainable", "rankdir=LR", "dpi=96"):
        assert word in shown
    within = Sequential([layers.Dense(4, name="inner")], name="frame")
    x = Input((3,))
    outer = Model(x, layers.Dense(1)(within(x)))
    assert "cluster" not in utils.model_to_dot(outer).source
    expanded = utils.model_to_dot(outer, show_layer_names=True, expand_nested=True)
    assert "cluster" in expanded.source
    assert ("inner (Dense)", f"{outer.layers[-1].name} (Dense)") in edges(expanded)
    assert utils.model_to_dot(within, subgraph=True).source.startswith("digraph cluster_frame")


def test_names_cannot_break_the_description():
    model = Sequential([Input((3,)), layers.Dense(1, name="<b>&")], name="a<b")
    assert "&lt;b&gt;&amp;" in utils.model_to_dot(model, show_layer_names=True).source


@has_dot
@pytest.mark.parametrize(("ending", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_pictures_are_written(tmp_path, ending, begins):
    path = tmp_path / f"model.{ending}"
    graph = utils.plot_model(towers(), path, show_shapes=True)
    assert path.read_bytes().startswith(begins)
    assert isinstance(graph, graphviz.Digraph)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_without_graphviz_it_is_said_what_to_install(tmp_path, monkeypatch):
    utils.plot_model(towers(), tmp_path / "model.dot")
    assert (tmp_path / "model.dot").read_text().startswith("digraph towers")
    assert isinstance(utils.plot_model(towers(), None), graphviz.Digraph)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match=r"needs the program dot of Graphviz.*apt install graphviz"):
        utils.plot_model(towers(), tmp_path / "model.png")
    assert not (tmp_path / "model.png").exists()
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ImportError, match=r'pip install "lstmcore\[plot\]"'):
        utils.plot_model(towers(), tmp_path / "model.png")


def test_what_cannot_be_drawn_says_why():
    class Own(Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def forward(self, inputs, training=False):
            return self.dense(inputs)

    own = Own()
    with pytest.raises(ValueError, match=r"own\w* has no weights yet"):
        utils.model_to_dot(own)
    own(np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"own\w* has passes of its own"):
        utils.model_to_dot(own)
    with pytest.raises(ValueError, match=r"to_file: expected a name that ends in \.png, .* got 'a.jpg'"):
        utils.plot_model(towers(), "a.jpg")
    with pytest.raises(ValueError, match="rankdir: expected one of TB, LR, BT, RL, got 'XY'"):
        utils.model_to_dot(towers(), rankdir="XY")
    with pytest.raises(TypeError, match="model: expected a model, got Dense"):
        utils.model_to_dot(layers.Dense(1))
