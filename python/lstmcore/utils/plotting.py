"""Pictures of models: their layers, and what goes from one to the other."""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import Any

from .._arguments import among, flag, path, positive_integer
from .._tree import leaves, map_leaves
from ..graph.drawing import Drawing
from ..graph.symbol import Call, given
from ..layers._traced import drawing_within
from ..layers.layer import Layer
from ..layers.recurrent import Recurrent
from ..models.model import Model
from ..serialization import atomic

_DIRECTIONS = ("TB", "LR", "BT", "RL")
_FORMATS = ("png", "svg", "pdf", "jpg", "jpeg", "gif", "ps", "dot")
_SPLINES = ("ortho", "curved", "polyline", "spline", "line")


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Any:
    """Return a model as a ``graphviz.Digraph``, which notebooks show: a box for every layer.

    >>> from lstmcore import Input, Model, layers, utils
    >>> x = Input((12, 3))
    >>> model = Model(x, layers.Dense(1)(layers.LSTM(8)(x)))
    >>> print(str(utils.model_to_dot(model)).splitlines()[0])  # doctest: +SKIP
    digraph functional {

    Parameters
    ----------
    model : a model that has its weights: a `Sequential`, a graph, or one of your own with ``call``. Of one with passes
        of its own nobody can tell what is connected to what: it is a single box.
    show_shapes : show the shapes of what goes in and comes out.
    show_dtype : show the dtypes of what comes out.
    show_layer_names : show the layers' names beside their classes.
    rankdir : "TB" from top to bottom, "LR" from left to right, "BT" or "RL".
    expand_nested : draw the layers of models within, in a frame.
    dpi : dots per inch, of a PNG.
    subgraph : return a ``graphviz.Digraph`` that can be put into another one as a cluster.
    show_layer_activations : show the activations of layers that have one.
    show_trainable : show which layers `fit` moves.
    splines : how arrows are drawn: "ortho", at right angles, "curved", "polyline", "spline" or "line".

    Raises
    ------
    ImportError
        The package graphviz is not there: ``pip install "lstmcore[plot]"``.
    ValueError
        The model has no weights yet.
    """
    if not isinstance(model, Model):
        raise TypeError(f"model: expected a model, got {type(model).__name__}")
    graphviz = _graphviz()
    show = {
        "shapes": flag("show_shapes", show_shapes),
        "dtype": flag("show_dtype", show_dtype),
        "names": flag("show_layer_names", show_layer_names),
        "activations": flag("show_layer_activations", show_layer_activations),
        "trainable": flag("show_trainable", show_trainable),
    }
    if not among(rankdir, _DIRECTIONS):
        raise ValueError(f"rankdir: expected one of {', '.join(_DIRECTIONS)}, got {rankdir!r}")
    if not among(splines, _SPLINES):
        raise ValueError(f"splines: expected one of {', '.join(_SPLINES)}, got {splines!r}")
    dpi = positive_integer("dpi", dpi)
    if not model.built:
        raise ValueError(f"model: {model.name} has no weights yet; call it on data or give it an Input")
    name = f"cluster_{model.name}" if flag("subgraph", subgraph) else model.name
    look = {"rankdir": rankdir, "dpi": str(dpi), "splines": splines}
    graph = graphviz.Digraph(name, graph_attr=look, node_attr={"shape": "plaintext"})
    if subgraph:
        graph.attr(label=model.name, style="dashed")
    picture = _Picture(show, flag("expand_nested", expand_nested))
    picture.draw(graph, model.drawn() or _as_one(model), "")
    for source, node in picture.edges:
        graph.edge(source, node)
    return graph


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Any:
    """Draw a model to a file; return what `model_to_dot` does, which notebooks show.

    >>> from lstmcore import Sequential, layers, utils
    >>> model = Sequential([layers.LSTM(8, input_shape=(12, 3)), layers.Dense(1)])
    >>> utils.plot_model(model, "model.svg", show_shapes=True)  # doctest: +SKIP

    Parameters
    ----------
    model : as of `model_to_dot`.
    to_file : ends in ``.png``, as which it is taken without an ending, ``.svg``, ``.pdf``, ``.jpg``, ``.gif``, ``.ps``
        or, for the description that Graphviz reads, ``.dot``; None writes no file. It is written whole or not at all.
    show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi : as of `model_to_dot`.
    show_layer_activations, show_trainable, splines : as of `model_to_dot`.

    Raises
    ------
    ImportError
        The package graphviz, or the program ``dot`` of Graphviz, is not there; the message says what to install.
    ValueError
        The ending is none of these; and as `model_to_dot`.
    """
    where = None if to_file is None else path("to_file", to_file)
    ending = "" if where is None else Path(where).suffix.lower().removeprefix(".") or "png"
    if where is not None and ending not in _FORMATS:
        raise ValueError(f"to_file: expected a name that ends in .{', .'.join(_FORMATS)}, got {where!r}")
    graph = model_to_dot(
        model,
        show_shapes,
        show_dtype,
        show_layer_names,
        rankdir,
        expand_nested,
        dpi,
        show_layer_activations=show_layer_activations,
        show_trainable=show_trainable,
        splines=splines,
    )
    if where is not None:
        atomic.write(where, graph.source.encode() if ending == "dot" else _rendered(graph, ending))
    return graph


def _graphviz() -> Any:
    try:
        import graphviz  # type: ignore[import-untyped]
    except ImportError:
        raise ImportError(
            'model_to_dot and plot_model need the package graphviz: pip install "lstmcore[plot]"'
        ) from None
    return graphviz


def _rendered(graph: Any, ending: str) -> bytes:
    try:
        return bytes(graph.pipe(format=ending))
    except _graphviz().ExecutableNotFound:
        raise ImportError(
            "plot_model: needs the program dot of Graphviz, which is not on the PATH: install it with the system's "
            "package manager (apt install graphviz, brew install graphviz), or write a .dot file"
        ) from None


def _as_one(model: Any) -> Drawing:
    """Return a drawing of a model as one layer."""
    inputs = given("input", model.input_shape, model.dtype)
    return Drawing(model.name, inputs, Call(model, inputs, model._output_shape, model.dtype).outputs)


class _Picture:
    """Draws models into a ``graphviz.Digraph``."""

    def __init__(self, show: dict[str, bool], expand: bool) -> None:
        self.show, self.expand = show, expand
        self.edges: list[tuple[str, str]] = []  # for the whole: within a frame, they would put both ends there

    def draw(self, graph: Any, drawing: Drawing, prefix: str, given: list[str] | None = None) -> list[str]:
        """Draw the layers of a model; return the nodes of its outputs. ``given`` are the nodes of its inputs."""
        nodes: dict[tuple[int, int], str] = {}  # that a symbol comes from
        boxes: dict[int, str] = {}  # of layers
        for k, symbol in enumerate(leaves(drawing.inputs)):
            if given is not None:
                nodes[symbol.key] = given[k]
                continue
            nodes[symbol.key] = node = f"{prefix}input{k}"
            graph.node(node, self._label("InputLayer", symbol.name, None, symbol, symbol))
        for call in drawing.plan.calls:
            sources = [nodes[symbol.key] for symbol in call.sources]
            results = list(leaves(call.outputs))
            within = drawing_within(call.layer, call) if self.expand and call.layer.is_model else None
            if within is not None:
                name = f"{prefix}model{call.number}_"
                with graph.subgraph(name=f"cluster_{name}") as frame:
                    frame.attr(label=call.layer.name, style="dashed")
                    made = self.draw(frame, within, name, sources)
            else:
                node = boxes.get(id(call.layer), "")
                if not node:
                    node = boxes[id(call.layer)] = f"{prefix}layer{len(boxes)}"
                    kind = type(call.layer).__name__
                    graph.node(node, self._label(kind, call.layer.name, call.layer, call.inputs, call.outputs))
                self.edges += [(source, node) for source in sources]
                made = [node] * len(results)
            nodes |= {symbol.key: node for symbol, node in zip(results, made, strict=True)}
        return [nodes[symbol.key] for symbol in leaves(drawing.outputs)]

    def _label(self, kind: str, name: str, layer: Layer | None, inputs: Any, outputs: Any) -> str:
        """Return the box of a layer, as Graphviz reads it."""
        title = f"<b>{html.escape(name)}</b> ({kind})" if self.show["names"] else f"<b>{kind}</b>"
        sides = (("Output", outputs),) if kind == "InputLayer" else (("Input", inputs), ("Output", outputs))
        cells = [f"{side} shape: <b>{_said(symbols, 'shape')}</b>" for side, symbols in sides if self.show["shapes"]]
        if self.show["dtype"]:
            cells.append(f"Output dtype: <b>{_said(outputs, 'dtype')}</b>")
        row = [f"<td>{cell}</td>" for cell in cells]
        if self.show["trainable"] and layer is not None and layer.variables:
            colour, which = ("forestgreen", "Trainable") if layer.trainable else ("firebrick", "Non-trainable")
            row.append(f'<td bgcolor="{colour}"><font color="white"><b>{which}</b></font></td>')
        wide = f'colspan="{max(1, len(row))}"'
        lines = [f'<tr><td bgcolor="black" {wide}><font color="white">{title}</font></td></tr>']
        of = layer.options if isinstance(layer, Recurrent) else layer
        activation = getattr(of, "activation", None)
        if self.show["activations"] and activation is not None:
            said = getattr(activation, "name", None) or getattr(activation, "__name__", str(activation))
            lines.append(f"<tr><td {wide}>Activation: <b>{html.escape(str(said))}</b></td></tr>")
        if row:
            lines.append(f"<tr>{''.join(row)}</tr>")
        return f'<<table border="0" cellborder="1" cellspacing="0" cellpadding="6">{"".join(lines)}</table>>'


def _said(symbols: Any, what: str) -> str:
    """Return what symbols have, in their lists and dicts, as a box says it."""
    found = map_leaves(lambda symbol: _Plain(getattr(symbol, what)), symbols)
    found = list(found) if isinstance(found, tuple) else found
    if isinstance(found, dict):
        return html.escape(", ".join(f"{key}: {value}" for key, value in found.items()))
    return html.escape(str(found))


class _Plain:
    """Is written as ``str`` does, also in lists: a dtype as its name."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return str(self.value)
