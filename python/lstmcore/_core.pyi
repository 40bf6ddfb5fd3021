from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from numpy.typing import ArrayLike, NDArray

__version__: str

class PackedWeights:
    """Weights of a recurrent cell, arranged for the kernels; immutable."""

    @property
    def cell(self) -> str: ...
    @property
    def inputs(self) -> int: ...
    @property
    def units(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def has_bias(self) -> bool: ...
    @property
    def weight_count(self) -> int: ...
    @property
    def training(self) -> bool: ...
    @property
    def kernel(self) -> str: ...
    @property
    def precision(self) -> str: ...  # of the products; "float32": as the weights are
    @property
    def row_scale(self) -> float | None: ...  # of int8, of every row of the inputs; None: each has its own
    @property
    def dtype(self) -> str: ...

class Cache:
    """What the backward pass needs of a forward pass."""

    @property
    def cell(self) -> str: ...
    @property
    def weight_count(self) -> int: ...
    @property
    def nbytes(self) -> int: ...

class Stream:
    """A recurrent layer that keeps its state between calls."""

    def __new__(cls, weights: PackedWeights, batch: int, steps: int, zoneout: Any, /) -> Stream: ...
    @property
    def width(self) -> int: ...
    @property
    def dtype(self) -> str: ...
    def run(self, inputs: ArrayLike, out: NDArray[Any] | None, /) -> NDArray[Any]: ...
    def state(self) -> list[NDArray[Any]]: ...
    def set_state(self, values: Sequence[ArrayLike], /) -> None: ...
    def reset(self) -> None: ...

def exclusive(name: str, /) -> Callable[..., Any]:
    """Return f(function, *arguments), which calls the function unless a call of f is under way."""

class Config(TypedDict):
    compiler: str
    instruction_set: str
    available_instruction_sets: list[str]
    vector_bytes: int
    threads: int
    threading: str

cells: dict[str, tuple[str, ...]]  # the states of each
activations: tuple[str, ...]

def describe(options: Any, /) -> tuple[int, tuple[str, ...]]: ...

class Snapshot:
    """Copies of arrays that tell whether these have changed."""

    def __new__(cls, arrays: list[NDArray[Any]], /) -> Snapshot: ...
    def is_current(self) -> bool: ...

def pack(
    options: Any,
    weights: list[ArrayLike],
    training: bool,
    zoneout: bool,
    precision: str = "float32",
    row_scale: float | None = None,
) -> PackedWeights: ...
def forward(
    weights: PackedWeights,
    inputs: ArrayLike,
    state: Sequence[ArrayLike | None] | None,
    return_sequences: bool,
    training: bool,
    out: NDArray[Any] | None,
    lengths: ArrayLike | None,
    mask: ArrayLike | None,
    zero_output_for_mask: bool,
    go_backwards: bool,
    dropout_mask: ArrayLike | None,
    recurrent_dropout_mask: ArrayLike | None,
    zoneout: Any,
    shared: bool,
    cell: str | None,
    /,
) -> tuple[Any, Any, Any]: ...
def backward(
    cache: Cache,
    d_outputs: ArrayLike | None,
    d_state: Sequence[ArrayLike | None] | None,
    need_d_inputs: bool,
    d_weights: list[NDArray[Any]],
    /,
) -> tuple[Any, Any, Any]: ...
def forward_both(first: tuple[Any, ...], second: tuple[Any, ...], /) -> tuple[Any, Any]: ...
def backward_both(first: tuple[Any, ...], second: tuple[Any, ...], /) -> tuple[Any, Any]: ...

class PackedMatrix:
    """The right-hand side of products, packed once for many."""

    def __new__(cls, b: ArrayLike, precision: str = "float32", row_scale: float | None = None) -> PackedMatrix: ...
    @property
    def precision(self) -> str: ...  # of the products; "float32": as the matrix is
    @property
    def row_scale(self) -> float | None: ...  # of int8, of every row of the other side; None: each has its own

def matmul(
    a: ArrayLike,
    b: ArrayLike | PackedMatrix,
    bias: ArrayLike | None = None,
    out: NDArray[Any] | None = None,
    accumulate: bool = False,
    precision: str = "float32",  # or "bfloat16"; of a packed b, that of its own
) -> NDArray[Any]: ...
def transpose(a: ArrayLike, swapped: int = 0) -> NDArray[Any]: ...
def softmax(x: NDArray[Any], scale: float, left_in: NDArray[Any] | None) -> None: ...
def softmax_backward(x: NDArray[Any], y: ArrayLike, scale: float, left_in: NDArray[Any] | None) -> None: ...
def add_rows(sums: NDArray[Any], indices: ArrayLike, rows: ArrayLike) -> None: ...
def sigmoid(x: ArrayLike, out: NDArray[Any] | None = None, /) -> NDArray[Any]: ...
def tanh(x: ArrayLike, out: NDArray[Any] | None = None, /) -> NDArray[Any]: ...
def optimizer_step(
    rule: str,
    parameters: NDArray[Any],
    gradients: NDArray[Any],
    slots: Sequence[NDArray[Any]],
    numbers: Sequence[float],
    scale: float = 1.0,
    limit: float = ...,
    decay: float = 0.0,
) -> None: ...
def sum_of_squares(x: ArrayLike) -> float: ...
def ctc_greedy(
    inputs: NDArray[Any], lengths: NDArray[Any], blank: int, kind: int, merge_repeated: bool
) -> tuple[list[list[int]], NDArray[Any]]: ...
def ctc_beam_search(
    inputs: NDArray[Any],
    lengths: NDArray[Any],
    blank: int,
    kind: int,
    beam_width: int,
    top_paths: int,
    cutoff: float,
    lm: Any,
    alpha: float,
    beta: float,
    labels: list[str],
    separator: int,
) -> tuple[list[list[list[int]]], NDArray[Any]]: ...

class NGramTable:
    """Log probabilities and backoffs of n-grams; immutable."""

    def __new__(
        cls,
        tokens: list[str],
        entries: list[tuple[list[int], float, float]],
        begin: int,
        end: int,
        unknown_token: int,
        unknown: float,
    ) -> NGramTable: ...
    def scores(self, tokens: list[str], begin: bool, end: bool) -> list[float]: ...

def edit_counts(a: NDArray[Any], a_first: NDArray[Any], b: NDArray[Any], b_first: NDArray[Any]) -> NDArray[Any]: ...
def ctc(
    inputs: ArrayLike,
    labels: ArrayLike,
    input_lengths: ArrayLike | None,
    label_lengths: ArrayLike | None,
    blank: int,
    from_logits: bool,
    zero_infinity: bool,
    gradient: bool,
    scale: ArrayLike | None = None,
) -> tuple[NDArray[Any], Any]: ...
def crf(
    emissions: ArrayLike,
    labels: ArrayLike | None,
    transitions: ArrayLike,
    start: ArrayLike,
    end: ArrayLike,
    lengths: ArrayLike | None,
    gradient: bool,
    scale: ArrayLike | None = None,
) -> tuple[NDArray[Any], Any]: ...
def crf_decode(
    emissions: ArrayLike, transitions: ArrayLike, start: ArrayLike, end: ArrayLike, lengths: ArrayLike | None
) -> tuple[NDArray[Any], NDArray[Any]]: ...
def config() -> Config: ...
def get_num_threads() -> int: ...
def cpu_quota(root: str = "") -> float: ...
def set_num_threads(num_threads: int, /) -> None: ...
def multiply_add_loop(rounds: int, float64: bool, /) -> float: ...
def read_loop(data: NDArray[Any], rounds: int, /) -> None: ...
