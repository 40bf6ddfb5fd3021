from typing import Any, TypedDict

from numpy.typing import ArrayLike, NDArray

__version__: str

class LSTMWeights:
    """Weights of an LSTM, arranged for the kernels; immutable."""

    @property
    def inputs(self) -> int: ...
    @property
    def units(self) -> int: ...
    @property
    def has_bias(self) -> bool: ...
    @property
    def training(self) -> bool: ...
    @property
    def dtype(self) -> str: ...

class LSTMCache:
    """What the backward pass needs of a forward pass."""

    @property
    def has_bias(self) -> bool: ...
    @property
    def nbytes(self) -> int: ...

class Config(TypedDict):
    compiler: str
    instruction_set: str
    available_instruction_sets: list[str]
    vector_bytes: int
    threads: int
    threading: str

def lstm_pack(
    kernel: ArrayLike, recurrent_kernel: ArrayLike, bias: ArrayLike | None, training: bool, /
) -> LSTMWeights: ...
def lstm(
    weights: LSTMWeights,
    inputs: ArrayLike,
    h: ArrayLike | None,
    c: ArrayLike | None,
    return_sequences: bool,
    training: bool,
    out: NDArray[Any] | None,
    /,
) -> tuple[Any, ...]: ...
def lstm_backward(
    cache: LSTMCache,
    d_outputs: ArrayLike | None,
    d_h: ArrayLike | None,
    d_c: ArrayLike | None,
    need_d_inputs: bool,
    d_kernel: NDArray[Any] | None,
    d_recurrent_kernel: NDArray[Any] | None,
    d_bias: NDArray[Any] | None,
    /,
) -> tuple[Any, ...]: ...
def matmul(
    a: ArrayLike,
    b: ArrayLike,
    bias: ArrayLike | None = None,
    out: NDArray[Any] | None = None,
    accumulate: bool = False,
) -> NDArray[Any]: ...
def sigmoid(x: ArrayLike, /) -> NDArray[Any]: ...
def tanh(x: ArrayLike, /) -> NDArray[Any]: ...
def adam(
    parameters: NDArray[Any],
    gradients: NDArray[Any],
    m: NDArray[Any],
    v: NDArray[Any],
    alpha: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    /,
) -> None: ...
def config() -> Config: ...
def get_num_threads() -> int: ...
def set_num_threads(num_threads: int, /) -> None: ...
def multiply_add_loop(rounds: int, float64: bool, /) -> float: ...
def read_loop(data: NDArray[Any], rounds: int, /) -> None: ...
