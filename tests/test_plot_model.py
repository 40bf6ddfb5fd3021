"""Pictures of models: a box for each layer, an arrow for each array."""

import inspect
import re
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from graph_tools import Own

import lstmcore
from lstmcore import Input, Model, Sequential, layers, utils

graphviz = pytest.importorskip("graphviz")
pytestmark = pytest.mark.once
has_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="the program dot of Graphviz is not there")


def towers():
    a, b = Input((5, 4), name="a"), Input((5, 4), name="b")
    tower = layers.LSTM(3, name="tower")
    both = layers.Concatenate(name="cat")([tower(a), tower(b)])
    _, h, c = layers.LSTM(2, return_state=True, name="encoder")(a)
    return Model([a, b], [layers.Dense(1, name="d")(both), layers.Add(name="plus")([h, c])], name="towers")


def edges(graph):
    names = dict(re.findall(r'(\w+) \[label=<.*?<font color="white">(.*?)</font>', graph.source))
    names = {node: re.sub("<.*?>", "", name) for node, name in names.items()}
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
    assert edges(utils.model_to_dot(chain, show_layer_names=False)) == [("Dense", "Dense"), ("InputLayer", "Dense")]


def test_what_is_shown_can_be_chosen():
    chain = Sequential([Input((3,)), layers.Dense(2, "relu", name="first", trainable=False)])
    plain = utils.model_to_dot(chain, show_layer_names=False).source
    for word in ("(None, 2)", "float32", "first", "relu", "Non-trainable"):
        assert word not in plain
    shown = utils.model_to_dot(chain, True, True, True, "LR", False, 96, False, True, True, "line").source
    for word in ("(None, 2)", "float32", "first", "relu", "Non-trainable", "rankdir=LR", "dpi=96", "splines=line"):
        assert word in shown
    within = Sequential([layers.Dense(4, name="inner")], name="frame")
    x = Input((3,))
    outer = Model(x, layers.Dense(1)(within(x)))
    assert "cluster" not in utils.model_to_dot(outer).source
    expanded = utils.model_to_dot(outer, show_layer_names=True, expand_nested=True)
    assert "cluster" in expanded.source
    assert ("inner (Dense)", f"{outer.layers[-1].name} (Dense)") in edges(expanded)
    assert utils.model_to_dot(within, subgraph=True).source.startswith("digraph cluster_frame")


def test_frames_hold_the_layers_of_models_within_and_nothing_else():
    x = Input((3,), name="x")
    seen = Input((3,), name="seen")
    inner = Model(seen, layers.Add(name="sum")([seen, layers.Dense(3, name="own")(seen)]), name="inner")
    skip = layers.Residual(layers.Dense(3), name="skip")
    model = Model(x, layers.Dense(1, name="out")(skip(inner(x))))
    source = utils.model_to_dot(model, show_layer_names=True, expand_nested=True).source
    head, frame, rest = re.split(r"subgraph cluster_\w+ \{|\n\t\}", source)
    assert re.findall(r"<b>(\w+)</b> \(", frame) == ["own", "sum"]
    assert "->" not in head + frame
    assert len(re.findall("->", rest)) == 5
    assert edges(utils.model_to_dot(model, show_layer_names=True, expand_nested=True)) == [
        ("own (Dense)", "sum (Add)"),
        ("skip (Residual)", "out (Dense)"),
        ("sum (Add)", "skip (Residual)"),
        ("x (InputLayer)", "own (Dense)"),
        ("x (InputLayer)", "sum (Add)"),
    ]


def test_a_model_within_is_drawn_for_each_call():
    x = Input((3,), name="x")
    inner = Sequential([layers.Dense(3, name="own")], name="inner")
    model = Model(x, layers.Add(name="sum")([x, inner(inner(x))]))
    graph = utils.model_to_dot(model, show_layer_names=True, expand_nested=True)
    assert len(re.findall(r"subgraph", graph.source)) == 2
    assert edges(graph) == [
        ("own (Dense)", "own (Dense)"),
        ("own (Dense)", "sum (Add)"),
        ("x (InputLayer)", "own (Dense)"),
        ("x (InputLayer)", "sum (Add)"),
    ]
    # Drawn as a box, a layer that is called twice is there once.
    graph = utils.model_to_dot(model, show_layer_names=True)
    assert edges(graph)[0] == ("inner (Sequential)", "inner (Sequential)")


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
    with pytest.raises(ImportError, match=r"needs the program dot of Graphviz.*apt install graphviz"):
        utils.plot_model(towers(), tmp_path / "model.png")
    assert not (tmp_path / "model.png").exists()
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ImportError, match=r'pip install "lstmcore\[plot\]"'):
        utils.plot_model(towers(), tmp_path / "model.png")


def test_what_cannot_be_drawn_says_why():
    own = Own()
    with pytest.raises(ValueError, match=r"own\w* has no weights yet"):
        utils.model_to_dot(own)
    with pytest.raises(ValueError, match=r"to_file: expected a name that ends in \.png, .* got 'a.txt'"):
        utils.plot_model(towers(), "a.txt")
    with pytest.raises(ValueError, match="rankdir: expected one of TB, LR, BT, RL, got 'XY'"):
        utils.model_to_dot(towers(), rankdir="XY")
    with pytest.raises(ValueError, match=r"splines: expected one of ortho, .* got 'XY'"):
        utils.model_to_dot(towers(), splines="XY")
    with pytest.raises(TypeError, match="model: expected a model, got Dense"):
        utils.model_to_dot(layers.Dense(1))


def test_a_model_with_passes_of_its_own_is_one_box():
    own = Own()
    own(np.ones((1, 2)))
    boxes = texts(utils.model_to_dot(own, show_shapes=True))
    assert [box[0] for box in boxes.values()] == ["input (InputLayer)", f"{own.name} (Own)"]
    assert boxes[f"{own.name} (Own)"][1:] == ["Input shape: (None, 2)", "Output shape: (None, 1)"]


def texts(graph):
    boxes = [re.findall("<td.*?</td>", box) for box in re.findall(r"label=<(.*?)>\]", graph.source)]
    said = [[re.sub("<.*?>", "", cell) for cell in box] for box in boxes]
    return {box[0]: box for box in said}


def test_boxes_say_what_those_of_keras_do():
    keras = pytest.importorskip("keras")
    from keras.src.utils.model_visualization import make_layer_label

    def model(of):
        parts, a, b = of.layers, of.Input((5, 4), name="a"), of.Input((5,), dtype="int32", name="b")
        both = parts.Concatenate(name="both")([a, parts.Embedding(7, 4, name="words")(b)])
        steps, h, c = parts.LSTM(2, return_sequences=True, return_state=True, name="steps", trainable=False)(both)
        out = parts.Dense(3, "relu", name="dense")(parts.Bidirectional(parts.GRU(2), name="ways")(steps))
        return of.Model([a, b], [parts.Activation("softmax", name="out")(out), parts.Add(name="sum")([h, c])])

    what = ("names", "activations", "dtype", "shapes", "trainable")
    for shown in (set(), {"names"}, set(what)):
        show = {f"show_layer_{w}" if w in what[:2] else f"show_{w}": w in shown for w in what}
        ours = texts(utils.model_to_dot(model(lstmcore), **show))
        for layer in model(keras).layers:
            (theirs,) = texts(SimpleNamespace(source=f"[label={make_layer_label(layer, **show)}]")).values()
            assert ours[theirs[0]] == [text.replace("'", "") for text in theirs]
    signatures = [inspect.signature(f).parameters for f in (utils.plot_model, keras.utils.plot_model)]
    signatures += [inspect.signature(f).parameters for f in (utils.model_to_dot, keras.utils.model_to_dot)]
    ours, theirs, *rest = ({p.name: p.default for p in s.values() if p.name != "kwargs"} for s in signatures)
    assert ours == theirs
    assert rest[0] == rest[1]
