"""Files of PyTorch and safetensors are read without PyTorch, and hostile ones are refused by name."""

import collections
import contextlib
import os
import pathlib
import pickle
import struct
import subprocess
import sys
import tempfile
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmcore
from lstmcore.interop.torch_models import state_dicts

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.once


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "bfloat16", "int64", "int8", "bool"])
def test_a_file_of_torch_is_read_as_it_was_saved(tmp_path, kind):
    base = torch.arange(24).reshape(2, 3, 4).to(getattr(torch, kind))
    saved = collections.OrderedDict(a=base, b=base[:, 1:, ::2].transpose(0, 2), c=base[1, 2, 3], d=base[:0])
    saved["e"] = torch.nn.Parameter(base.float())
    torch.save(saved, tmp_path / "a.pt")
    read = state_dicts.read(tmp_path / "a.pt")
    assert list(read) == list("abcde")
    for name, tensor in saved.items():
        expected = tensor.detach().float() if kind == "bfloat16" else tensor.detach()
        np.testing.assert_array_equal(read[name], expected.numpy(), strict=True)


@pytest.mark.peer
def test_neither_file_needs_torch(tmp_path):
    from safetensors.numpy import save_file

    module = torch.nn.LSTM(3, 4)
    torch.save(module.state_dict(), tmp_path / "a.pth")
    save_file({"x": np.arange(3.0)}, tmp_path / "a.safetensors")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from lstmcore.interop.torch_models import state_dicts\n"
        "print(len(state_dicts.read('a.pth')), state_dicts.read('a.safetensors')['x'].sum())"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}  # whose parts may be relative to here
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["4", "3.0"]


@pytest.mark.peer
def test_a_safetensors_file_of_torch_is_read_as_it_was_saved(tmp_path):
    from safetensors.torch import save_file

    kinds = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
    saved = {kind: torch.arange(6).reshape(2, 3).to(getattr(torch, kind)) for kind in kinds}
    save_file(saved, tmp_path / "a.safetensors")
    read = state_dicts.read(tmp_path / "a.safetensors")
    assert sorted(read) == sorted(kinds)
    for kind, tensor in saved.items():
        expected = tensor.float() if kind == "bfloat16" else tensor
        np.testing.assert_array_equal(read[kind], expected.numpy(), strict=True)
    save_file({"x": torch.ones(2).to(torch.float8_e5m2)}, tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match="tensors of F8_E5M2, which NumPy does not have"):
        state_dicts.read(tmp_path / "b.safetensors")


def test_a_damaged_safetensors_file_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"x": np.arange(3.0)}, tmp_path / "a.safetensors")
    whole = (tmp_path / "a.safetensors").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "b.safetensors").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"b\.safetensors: not a sound safetensors file"):
            state_dicts.read(tmp_path / "b.safetensors")
    bomb = b'{"x": {"dtype": "F32", "shape": [1000000000000], "data_offsets": [0, 4]}}'
    (tmp_path / "b.safetensors").write_bytes(struct.pack("<Q", len(bomb)) + bomb + b"1234")
    with pytest.raises(ValueError, match="not a sound"):
        state_dicts.read(tmp_path / "b.safetensors")


def test_without_torch_the_error_names_the_extra():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import lstmcore\n"
        "model = lstmcore.Sequential([lstmcore.Input((2,)), lstmcore.layers.Dense(1)])\n"
        "try: lstmcore.to_torch(model)\n"
        "except ImportError as error: print(error)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "lstmcore.to_torch needs PyTorch: pip install 'lstmcore[torch]'"


def archive(path, data, *, storage=b"\0" * 16, compression=zipfile.ZIP_STORED, key="0"):
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", data)
        file.writestr(f"archive/data/{key}", storage)
    return path


def tensor_pickle(*, size=4, offset=0, shape=(2, 2), strides=(2, 1), key="0", kind=b"FloatStorage"):
    """A state dict of one tensor in protocol 2, by hand."""

    def value(x):
        if isinstance(x, tuple):
            return b"(" + b"".join(map(value, x)) + b"t"
        if isinstance(x, str):
            return b"X" + struct.pack("<I", len(x)) + x.encode()
        return pickle.dumps(x, 2)[2:-1]

    storage = b"(" + value("storage") + b"ctorch\n" + kind + b"\n" + value(key) + value("cpu") + value(size) + b"tQ"
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + value(offset) + value(shape) + value(strides)
    return b"\x80\x02}" + value("w") + rebuild + b"\x89N" + b"tRs."


def test_the_pickle_by_hand_is_sound(tmp_path):
    assert state_dicts.read(archive(tmp_path / "a.pt", tensor_pickle()))["w"].shape == (2, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (2, 3)}, "more elements than its storage"),
        ({"shape": (4,), "strides": (2,)}, "element 6 of a storage of 4"),
        ({"offset": 1}, "element 4 of a storage of 4"),
        ({"offset": -1}, "offset"),
        ({"strides": (-1, 1)}, "strides"),
        ({"strides": (1,)}, "2 sizes and 1 strides"),
        ({"shape": (10**9,), "strides": (0,)}, "more elements than its storage"),
        ({"size": 5}, "5 elements by the pickle, 4 in the file"),
        ({"size": "x"}, "a number of elements"),
        ({"key": "1"}, "no member"),
        ({"key": "../0"}, "number of a storage"),
        ({"kind": b"QInt8Storage"}, "torch.QInt8Storage has no place"),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        state_dicts.read(archive(tmp_path / "a.pt", tensor_pickle(**change)))


class Runs:
    def __init__(self, call, *arguments):
        self.reduced = call, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_code_in_a_pickle_is_not_run(tmp_path, protocol):
    hostile = pickle.dumps({"w": Runs(os.mkdir, str(tmp_path / "made"))}, protocol)
    with pytest.raises(ValueError, match=r"mkdir has no place|instruction \w+ has no place"):
        state_dicts.read(archive(tmp_path / "a.pt", hostile))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x80\x02cbuiltins\neval\nX\x01\0\0\x001\x85R.", "builtins.eval has no place"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", "_rebuild_tensor_v2 has no place"),
        (b"\x80\x02}X\x01\0\0\0w]s.", "something else under 'w'"),
        (b"\x80\x02].", "expected a dict"),
        (b"\x80\x02}", "data.pkl"),
        (b"\x80\x02R.", "without its operands"),
        (b"\x80\x02t.", "no mark"),
        (b"\x80\x02h\x05.", "damaged"),
        (b"\x80\x02X\xff\xff\xff\x7fab.", "data.pkl|expected"),
        (b"", "data.pkl|exhausted"),
        (b"\x80\x02}r\xff\xff\xff\xff]]s.", "keys of a dict"),
    ],
)
def test_a_pickle_that_is_damaged_or_hostile_is_refused(tmp_path, data, message):
    with pytest.raises(ValueError, match=message):
        state_dicts.read(archive(tmp_path / "a.pt", data))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = archive(tmp_path / "a.pt", tensor_pickle(), storage=b"\0" * 10**7, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="compressed"):
        state_dicts.read(path)


def test_every_file_that_is_cut_short_is_refused(tmp_path):
    whole = archive(tmp_path / "a.pt", tensor_pickle()).read_bytes()
    for length in range(len(whole)):
        (tmp_path / "b.pt").write_bytes(whole[:length])
        with pytest.raises(ValueError):
            state_dicts.read(tmp_path / "b.pt")


def test_every_file_with_a_changed_byte_is_read_or_refused(tmp_path):
    """Of what the checksums of the members cover, no change is missed."""
    whole = archive(tmp_path / "a.pt", tensor_pickle(), storage=bytes(range(16))).read_bytes()
    expected = np.frombuffer(bytes(range(16)), "<f4").reshape(2, 2)
    for place in range(len(whole)):
        for bits in (0xFF, 1):
            changed = bytearray(whole)
            changed[place] ^= bits
            (tmp_path / "b.pt").write_bytes(changed)
            try:
                read = state_dicts.read(tmp_path / "b.pt")
            except ValueError:
                continue
            np.testing.assert_array_equal(read["w"], expected)


@given(st.data())
def test_every_pickle_with_changes_is_read_or_refused(data):
    pickled = bytearray(tensor_pickle())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(pickled) - 1))
        end = place + data.draw(st.integers(0, 3))
        pickled[place:end] = data.draw(st.sampled_from([b"", b"\0", b"}", b"t", b"q\0", pickled[end : end + 9]]))
    with tempfile.TemporaryDirectory() as folder:
        path = archive(pathlib.Path(folder) / "a.pt", bytes(pickled))
        with contextlib.suppress(ValueError):
            assert state_dicts.read(path) is not None


@pytest.mark.parametrize("unit", [b"]", b"}", b"N\x85", b"NNt", b")", b"]NNN", b"K\x01"])
def test_a_pickle_of_containers_takes_a_small_multiple_of_its_size(tmp_path, unit):
    path = archive(tmp_path / "a.pt", b"\x80\x02" + unit * (10**5 // len(unit)) + b".")
    tracemalloc.start()
    try:
        with pytest.raises(ValueError):
            state_dicts.read(path)
        assert tracemalloc.get_traced_memory()[1] < 30 * os.path.getsize(path)
    finally:
        tracemalloc.stop()


@pytest.mark.peer
def test_a_whole_module_is_refused_with_advice(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"modules\.linear\.Linear has no place.*save model\.state_dict\(\)"):
        state_dicts.read(tmp_path / "a.pt")


def test_a_file_that_is_not_there_and_one_of_another_kind(tmp_path):
    with pytest.raises(FileNotFoundError):
        state_dicts.read(tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"expected the name of a \.pt.*got .*a\.npz"):
        state_dicts.read(tmp_path / "a.npz")


@pytest.mark.peer
def test_the_old_format_is_refused_by_name(tmp_path):
    torch.save({"w": torch.ones(2)}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=r"before version 1\.6"):
        state_dicts.read(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("end", "message"), [(b"Q.", "expected a storage"), (b"NR.", "call of a tuple"), (b"Ns.", "keys")]
)
def test_tuples_within_tuples_cost_no_time(tmp_path, end, message):
    doubled = (
        b"}" + b"N" + b"".join(b"r" + struct.pack("<I", k) + b"j" + struct.pack("<I", k) + b"\x86" for k in range(60))
    )
    with pytest.raises(ValueError, match=message):
        state_dicts.read(archive(tmp_path / "a.pt", b"\x80\x02" + doubled + end))


def odd_tensors():
    w = torch.arange(12.0).reshape(3, 4) - 5
    return {
        "transposed": w.reshape(4, 3).T,
        "strided": torch.arange(48.0).reshape(6, 8)[::2, ::2],
        "a part of a storage": torch.arange(40.0)[5:17].view(3, 4),
        "half": w.half(),
        "bfloat16": w.bfloat16(),
        "double": w.double(),
        "parameter": torch.nn.Parameter(w),
        "negated, lazily": torch._neg_view(w),
        "no numbers": torch.zeros(0, 4),
    }


@pytest.mark.parametrize(
    "what",
    [
        "transposed",
        "strided",
        "a part of a storage",
        "half",
        "bfloat16",
        "double",
        "parameter",
        "negated, lazily",
        "no numbers",
    ],
)
def test_tensors_of_any_kind_have_their_numbers(tmp_path, what):
    tensor = odd_tensors()[what]
    torch.save({"w": tensor, "again": tensor}, tmp_path / "a.pt")
    for value in state_dicts.read(str(tmp_path / "a.pt")).values():
        np.testing.assert_array_equal(value, tensor.detach().resolve_neg().float().numpy())


def test_tensors_that_are_not_what_they_hold_are_refused(tmp_path):
    w = torch.ones(3, 4)
    for tensor, message in (
        (w.to(torch.complex64).conj(), "ComplexFloatStorage"),
        (w.to_sparse(), "_rebuild_sparse_tensor"),
        (w.to("meta"), "_rebuild_meta_tensor"),
        (w.to(torch.float8_e4m3fn), "_rebuild_tensor_v3"),
        (torch.zeros(1).expand(10**6, 10**6), "as an expanded one has: save it with .contiguous"),
    ):
        torch.save({"w": tensor}, tmp_path / "a.pt")
        with pytest.raises(ValueError, match=message):
            state_dicts.read(str(tmp_path / "a.pt"))


@pytest.mark.parametrize("before", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_what_wrappers_put_before_names_is_left_out(before):
    def head():
        layer = lstmcore.layers.Dense(2)
        layer.build((None, 3))
        return layer

    state = {"head.weight": np.ones((2, 3), "f"), "head.bias": np.zeros(2, "f"), "tail.weight": np.ones((2, 3), "f")}
    state["tail.bias"] = np.ones(2, "f")
    wrapped = {before + name: value for name, value in state.items()}
    one, two = head(), head()
    lstmcore.from_state_dict(wrapped, {"head": one, "tail": two})
    assert two.get_weights()[1].tolist() == [1, 1]
    lstmcore.from_state_dict(wrapped, {f"{before}head": head(), f"{before}tail": head()})  # as they stand there
    within = {name.replace("tail.", "tail._orig_mod."): value for name, value in state.items()}
    lstmcore.from_state_dict(within, {"head": one, "tail": two})
    with pytest.raises(ValueError, match="nothing in names takes"):  # one that no wrapper is around
        lstmcore.from_state_dict(wrapped | {"x.weight": state["head.bias"]}, {"head": head(), "tail": head()})
