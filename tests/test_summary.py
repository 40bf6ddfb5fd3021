"""The table of a model that is a graph: what its layers are connected to, and what they return."""

import re

import pytest

import lstmcore
from lstmcore import Input, Model, layers


def siamese(module=lstmcore):
    kinds = module.layers
    a, b = module.Input((5, 4), name="a"), module.Input((5, 4), name="b")
    tower = kinds.LSTM(3, name="tower")
    both = kinds.Concatenate(name="cat")([tower(a), tower(b)])
    return module.Model([a, b], kinds.Dense(1, name="d")(both), name="siamese")


def encoder_decoder(module=lstmcore):
    kinds = module.layers
    past, future = module.Input((None, 4), name="past"), module.Input((None, 3), name="future")
    _, h, c = kinds.LSTM(5, return_state=True, name="encoder")(past)
    decoded = kinds.LSTM(5, return_sequences=True, name="decoder")(future, initial_state=[h, c])
    return module.Model([past, future], kinds.Dense(1, name="out")(decoded), name="encoder_decoder")


def nested(module=lstmcore):
    kinds = module.layers
    seen, x = module.Input((None, 4), name="seen"), module.Input((None, 4), name="x")
    within = module.Model(seen, [kinds.LSTM(3, name="l")(seen), kinds.GRU(2, name="g")(seen)], name="within")
    top = module.Sequential([module.Input((3,)), kinds.Dense(2, name="hidden")], name="top")
    p, q = within(x)
    r, s = within(kinds.Dense(4, name="pre")(x))
    return module.Model(x, {"y": top(p), "z": kinds.Concatenate(name="cat")([q, s, r])}, name="nested")


def repeated(module=lstmcore):
    x, dense = module.Input((4,), name="x"), module.layers.Dense(4, name="d")
    return module.Model(x, dense(dense(dense(x))), name="repeated")


def straight(module=lstmcore):
    x = module.Input((None, 4), name="x")
    y, h, _ = module.layers.LSTM(3, return_state=True, name="l")(x)
    return module.Model(x, [module.layers.Dense(2, name="d")(y), h], name="straight")


def attention(module=lstmcore):
    q, v = module.Input((5, 4), name="q"), module.Input((6, 4), name="v")
    outputs = module.layers.MultiHeadAttention(2, 3, name="look")(q, v, return_attention_scores=True)
    return module.Model([q, v], list(outputs), name="attention")


def lines_of(model, **options):
    lines = []
    model.summary(print_fn=lambda text, *_, **__: lines.extend(text.splitlines()), **options)
    return lines


def table(model, **options):
    """The cells of each layer by its name, lines of a cell together."""
    found, name = {}, ""
    for line in lines_of(model, line_length=140, **options):
        cells = [cell.strip() for cell in re.split("[│┃]", line)[1:-1]]
        if cells:
            at = re.match(r"(?:└ )?(\w+)(?: \(|$)", cells[0])
            name = "head" if cells[0].startswith("Layer") else at[1] if at else name
            found[name] = [f"{a} {b}".strip() for a, b in zip(found.get(name, [""] * len(cells)), cells, strict=True)]
    return found


def connected(model):
    """What stands under "Connected to", by layer; None if there is no such column."""
    cells = table(model)
    assert cells.pop("head")[:3] == ["Layer (type)", "Output Shape", "Param #"]
    return {name: re.findall(r"\w+\[\d\]\[\d\]", row[3]) for name, row in cells.items() if len(row) > 3} or None


def test_what_layers_are_called_on():
    assert connected(siamese()) == {
        "a": [],
        "b": [],
        "tower": ["a[0][0]", "b[0][0]"],
        "cat": ["tower[0][0]", "tower[1][0]"],
        "d": ["cat[0][0]"],
    }
    assert connected(encoder_decoder()) == {
        "past": [],
        "future": [],
        "encoder": ["past[0][0]"],
        "decoder": ["future[0][0]", "encoder[0][1]", "encoder[0][2]"],
        "out": ["decoder[0][0]"],
    }
    assert connected(nested())["cat"] == ["within[0][1]", "within[1][1]", "within[1][0]"]
    assert connected(repeated())["d"] == ["x[0][0]", "d[0][0]", "d[1][0]"]
    assert connected(straight()) is None


@pytest.mark.peer
@pytest.mark.parametrize("build", [siamese, encoder_decoder, nested, repeated, straight])
def test_columns_and_what_layers_are_called_on_are_those_of_keras(build, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("COLUMNS", "160")
    keras = pytest.importorskip("keras")
    ours, theirs = build(), build(keras)
    assert connected(ours) == connected(theirs)
    ours, theirs = table(ours, show_trainable=True), table(theirs, show_trainable=True)
    assert ours == theirs


def test_what_layers_return():
    assert table(encoder_decoder())["encoder"][1] == "[(None, 5), (None, 5), (None, 5)]"
    assert table(attention())["look"][1] == "[(None, 5, 4), (None, 2, 5, 6)]"  # queries, heads, and those by values
    x = Input((None, 4), name="x")
    within = Model(x, {"p": layers.LSTM(3)(x), "q": [layers.GRU(2)(x), layers.GRU(1)(x)]}, name="within")
    parts = within(x)
    model = Model(x, layers.Concatenate(name="cat")([parts["p"], parts["q"][1]]))
    assert table(model)["within"][1] == "{p: (None, 3), q: [(None, 2), (None, 1)]}"
    dropout = layers.Dropout(0.1, name="drop")
    a, b = Input((4,)), Input((2,))
    assert table(Model([a, b], [dropout(a), dropout(b)]))["drop"][1] == "(None, 2)"  # of the last call, as in Keras


def test_masks_are_no_layers():
    words = Input((None,), dtype="int32", name="words")
    told = layers.Embedding(9, 4, mask_zero=True, name="told")(words)
    model = Model(
        words, layers.Concatenate(name="cat")([layers.GRU(3, name="gru")(told), layers.LSTM(2, name="lstm")(told)])
    )
    assert connected(model) == {
        "words": [],
        "told": ["words[0][0]"],
        "gru": ["told[0][0]"],
        "lstm": ["told[0][0]"],
        "cat": ["gru[0][0]", "lstm[0][0]"],
    }


def test_models_within_can_be_shown():
    names = list(table(nested(), expand_nested=True))
    assert names == ["head", "x", "pre", "within", "seen", "l", "g", "top", "hidden", "cat"]
    assert table(nested(), expand_nested=True)["l"][1:] == ["(None, 3)", "96", "-"]


def test_lines_are_of_one_length_and_long_names_are_folded():
    x = Input((4,), name="x" * 100)
    y = layers.Dense(4, name="y" * 50)(x)
    model = Model(x, layers.Add(name="sum_of_a_name_of_many_letters")([x, y]))
    for options in ({}, {"line_length": 150}, {"show_trainable": True}):
        lines = [line for line in lines_of(model, **options) if line[0] in "┌├│└"]
        assert len({len(line) for line in lines}) == 1
        assert (len(lines[0]) == 150) is ("line_length" in options)
        assert "".join(line.split("│")[1].strip() for line in lines if line[0] == "│").count("x" * 100) == 1
    assert max(map(len, lines_of(model))) < 130
    assert "sum_of_a_name_of_many_letters" in "".join(lines_of(model))
