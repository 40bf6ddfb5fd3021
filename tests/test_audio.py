"""Sound: WAV files and what is wrong with them, mel spectrograms and cepstra against their formulas, streams."""

import io
import math
import struct
import subprocess
import sys
import tracemalloc
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("scipy")

from lstmcore.audio import MelStream, mel_filters, mel_spectrogram, mfcc, pad_features, read_wav, write_wav

NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 4000).astype("float32")


def chunk(kind, content, size=None):
    return kind + struct.pack("<I", len(content) if size is None else size) + content + b"\0" * (len(content) % 2)


def fmt(kind=1, channels=1, rate=8000, bits=16, frame=None, more=b""):
    frame = channels * bits // 8 if frame is None else frame
    return chunk(b"fmt ", struct.pack("<HHIIHH", kind, channels, rate, rate * frame % 2**32, frame, bits) + more)


def extensible(kind):
    guid = struct.pack("<H", kind) + bytes.fromhex("000000001000800000aa00389b71")
    return struct.pack("<HHI", 22, 16, 4) + guid


def riff(*chunks):
    content = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def read(data, **options):
    return read_wav(io.BytesIO(data), **options)


SAMPLES = struct.pack("<4h", 0, 16384, -32768, 32767)
FOUR = [0, 0.5, -1, 32767 / 32768]


# --- WAV files ---


def test_a_file_of_the_standard_library_is_read(tmp_path):
    path = tmp_path / "four.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(SAMPLES)
    for given_as in (path, str(path)):
        samples, rate = read_wav(given_as)
        assert (samples.dtype, samples.tolist(), rate) == (np.float32, FOUR, 16000)
    with open(path, "rb") as file:
        assert read_wav(file)[0].tolist() == FOUR


def test_what_is_written_is_read_by_others_and_by_us(tmp_path):
    path = tmp_path / "noise.wav"
    write_wav(path, NOISE, 11025)
    with wave.open(str(path)) as file:
        assert file.getparams()[:4] == (1, 2, 11025, 4000)
    samples, rate = read_wav(path)
    assert rate == 11025
    np.testing.assert_allclose(samples, NOISE, atol=0.5 / 32768)
    write_wav(tmp_path / "again.wav", samples, rate)
    assert (tmp_path / "again.wav").read_bytes() == path.read_bytes()
    whole = np.arange(-32768, 32768, dtype=np.int16)
    write_wav(path, whole, 8000)
    np.testing.assert_array_equal(read_wav(path)[0] * 32768, whole)
    write_wav(path, [2.0, -2.0, 1.0], 8000)  # beyond full scale
    assert read_wav(path)[0].tolist() == [32767 / 32768, -1, 32767 / 32768]


def test_channels_are_averaged():
    stereo = struct.pack("<6h", 16384, 0, -16384, 16384, 32767, 32767)
    assert read(riff(fmt(channels=2), chunk(b"data", stereo)))[0].tolist() == [0.25, 0, 32767 / 32768]


def test_other_chunks_and_formats_of_the_same_samples():
    title = chunk(b"LIST", b"INFOodd")  # of 7 bytes and one that fills up
    for data in (
        riff(title, fmt(), title, chunk(b"data", SAMPLES), title),
        riff(fmt(more=b"\0\0"), chunk(b"data", SAMPLES)),
        riff(fmt(kind=0xFFFE, more=extensible(1)), chunk(b"data", SAMPLES)),
        riff(fmt(), chunk(b"data", SAMPLES), b"LIST\xff\xff\xff\xffshort"),  # what comes after the samples
    ):
        assert read(data)[0].tolist() == FOUR


def test_another_rate_is_resampled():
    def tone(rate):
        return 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)

    file = io.BytesIO()
    write_wav(file, tone(44100), 44100)
    samples, rate = read(file.getvalue(), sample_rate=8000)
    assert (rate, samples.shape, samples.dtype) == (8000, (8000,), np.float32)
    # The filter lets 440 Hz pass to some thousandths, but reaches beyond the ends.
    np.testing.assert_allclose(samples[100:-100], tone(8000)[100:-100], atol=2e-3)
    assert read(file.getvalue())[1] == 44100


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected a WAV file, got an empty one"),
        (b"RIFF", "expected a WAV file, beginning with RIFF…WAVE, got b'RIFF'"),
        (b"ID3" + bytes(100), "expected a WAV file, beginning with RIFF…WAVE, got b'ID3"),
        (riff(), "expected a chunk b'data' with samples, got none"),
        (riff(fmt()), "expected a chunk b'data' with samples, got none"),
        (riff(chunk(b"data", SAMPLES)), "expected the chunk b'fmt ' before b'data', got none"),
        (riff(fmt(), chunk(b"data", b"")), "expected samples, got none"),
        (riff(fmt(), chunk(b"data", SAMPLES, 10)), "truncated: 2 of 10 bytes of the chunk b'data' are missing"),
        (riff(fmt(), chunk(b"data", SAMPLES, 2**32 - 1)), "truncated: 4294967287 of 4294967295 bytes"),
        (riff(chunk(b"fmt ", bytes(8), 2**31)), "truncated: 2147483640 of 2147483648 bytes of the chunk b'fmt '"),
        (riff(chunk(b"LIST", b"", 2**32 - 1), fmt(), chunk(b"data", SAMPLES)), "expected a chunk b'data'"),
        (riff(fmt(), chunk(b"data", SAMPLES[:7])), "expected whole frames of 2 bytes, got 7 bytes of samples"),
        (riff(chunk(b"fmt ", bytes(14))), "expected at least 16 bytes of the chunk b'fmt ', got 14"),
        (riff(fmt(bits=8), chunk(b"data", SAMPLES)), "expected 16 bits a sample, got 8"),
        (riff(fmt(bits=24), chunk(b"data", SAMPLES)), "expected 16 bits a sample, got 24"),
        (riff(fmt(kind=3, bits=32), chunk(b"data", SAMPLES)), r"got floating-point numbers \(format 3\)"),
        (riff(fmt(kind=7, bits=8), chunk(b"data", SAMPLES)), r"got mu-law \(format 7\)"),
        (riff(fmt(kind=0xFFFE), chunk(b"data", SAMPLES)), "got an extensible format without a known number"),
        (riff(fmt(kind=0xFFFE, more=extensible(3)), chunk(b"data", SAMPLES)), r"floating-point numbers \(format 3\)"),
        (riff(fmt(channels=0), chunk(b"data", SAMPLES)), "expected a channel or more of 2 bytes each, got 0 in 0"),
        (riff(fmt(frame=4), chunk(b"data", SAMPLES)), "expected a channel or more of 2 bytes each, got 1 in 4"),
        (riff(fmt(rate=0), chunk(b"data", SAMPLES)), "sample rate: expected 1000 to 384000 Hz, got 0"),
        (riff(fmt(rate=2**32 - 5), chunk(b"data", SAMPLES)), "sample rate: expected 1000 to 384000 Hz, got 4294967291"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(data, message, tmp_path):
    path = tmp_path / "bad.wav"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        read_wav(path, sample_rate=16000)
    assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(ValueError, match=r"^WAV file: "):
        read(data)


GOOD = riff(chunk(b"LIST", b"INFO"), fmt(kind=0xFFFE, channels=2, more=extensible(1)), chunk(b"data", SAMPLES * 5))


@given(st.data())
def test_any_bytes_are_read_or_refused(data):
    way = data.draw(st.sampled_from(["bytes", "cut", "changed", "chunks"]))
    if way == "bytes":
        content = data.draw(st.binary(max_size=100))
        content = data.draw(st.sampled_from([content, riff(content), riff(fmt(), content)]))
    elif way == "cut":
        content = GOOD[: data.draw(st.integers(0, len(GOOD) - 1))]
    elif way == "changed":
        changed = bytearray(GOOD)
        for _ in range(data.draw(st.integers(1, 6))):
            changed[data.draw(st.integers(0, len(GOOD) - 1))] = data.draw(st.integers(0, 255))
        content = bytes(changed)
    else:
        kinds = st.sampled_from([b"fmt ", b"data", b"LIST", b"\0\0\0\0"])
        sizes = st.sampled_from([None, 0, 1, 15, 16, 17, 2**31, 2**32 - 1])
        pieces = st.lists(st.builds(chunk, kinds, st.binary(max_size=50), sizes), max_size=5)
        content = riff(*data.draw(pieces))
    wanted = data.draw(st.sampled_from([None, 8000, 16000]))
    samples, refused = np.zeros(1), None
    tracemalloc.start()
    try:
        samples, rate = read(content, sample_rate=wanted)
    except ValueError as error:
        refused = str(error)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The filter of the worst rate, 20 * 384,000 taps, is made of a few arrays of float64.
    assert peak < 500e6
    assert refused is None or refused.startswith("WAV file: ")
    assert refused or 1000 <= rate <= 384_000
    assert samples.ndim == 1
    assert len(samples)
    assert np.isfinite(samples).all()


def test_arguments_of_files_are_checked(tmp_path):
    with pytest.raises(TypeError, match="path_or_file: expected a path or a file, got 3"):
        read_wav(3)
    with pytest.raises(TypeError, match="path_or_file: expected a file of bytes, got one of str"):
        read_wav(io.StringIO("RIFF"))
    with pytest.raises(FileNotFoundError, match=r"absent\.wav"):
        read_wav(tmp_path / "absent.wav")
    with pytest.raises(ValueError, match="sample_rate: expected 1000 to 384000 Hz, got 0"):
        read_wav(io.BytesIO(GOOD), sample_rate=0)
    with pytest.raises(TypeError, match=r"sample_rate: expected an integer, got 8000\.0"):
        write_wav(io.BytesIO(), NOISE, 8000.0)
    for samples, error, message in [
        (NOISE[None], ValueError, r"samples: expected one dimension, got shape \(1, 4000\)"),
        (np.array([np.nan]), ValueError, "samples: expected finite numbers, got NaN or infinity"),
        (np.array([1, 2]), TypeError, "samples: expected floats of full scale 1, or int16, got int64"),
    ]:
        with pytest.raises(error, match=message):
            write_wav(tmp_path / "never.wav", samples, 8000)
        with pytest.raises(error, match=message):
            mel_spectrogram(samples, 8000)
    assert not (tmp_path / "never.wav").exists()


# --- features ---


def by_hand(samples, rate, window, step, bands, low, high, emphasis):
    """The definition, in float64, frame by frame and frequency by frequency."""
    x = np.concatenate([[samples[0] * (1 - emphasis)], samples[1:] - emphasis * samples[:-1]])
    size = 2 ** math.ceil(math.log2(window))
    hann = np.array([0.5 - 0.5 * math.cos(2 * math.pi * n / window) for n in range(window)])
    hann /= hann.sum()
    k = np.arange(size // 2 + 1)
    dft = np.exp(-2j * np.pi * np.outer(np.arange(window), k) / size)
    mels = np.linspace(2595 * math.log10(1 + low / 700), 2595 * math.log10(1 + high / 700), bands + 2)
    points = [700 * (10 ** (m / 2595) - 1) for m in mels]
    filters = np.stack([np.interp(k * rate / size, points[b : b + 3], [0, 1, 0]) for b in range(bands)], 1)
    frames = [x[t : t + window] * hann for t in range(0, len(x) - window + 1, step)]
    return np.abs(np.array(frames) @ dft) ** 2 @ filters


@pytest.mark.parametrize(
    ("rate", "window", "step", "bands", "low", "high", "emphasis"),
    [(8000, 200, 80, 40, 20, 4000, 0.97), (16000, 400, 160, 64, 0, 7600, 0.0), (8000, 256, 100, 13, 300, 3000, 0.5)],
)
def test_the_spectrogram_is_its_formula(rate, window, step, bands, low, high, emphasis):
    want = by_hand(NOISE.astype("float64"), rate, window, step, bands, low, high, emphasis)
    options = {"window_seconds": window / rate, "step_seconds": step / rate, "bands": bands, "low": low, "high": high}
    options["pre_emphasis"] = emphasis
    got = mel_spectrogram(NOISE, rate, log=False, **options)
    assert got.dtype == np.float32
    # Rounding of float32: 6e-8 times the largest of sums of some hundred.
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5 * want.max())
    np.testing.assert_allclose(mel_spectrogram(NOISE, rate, **options), np.log(got), rtol=1e-5)


def test_the_spectrum_is_that_of_scipy():
    from scipy.signal import stft

    _, _, z = stft(NOISE, 8000, "hann", 200, 120, 256, boundary=None, padded=False)  # divided by the window's sum too
    want = (np.abs(z.T) ** 2) @ mel_filters(8000, 256)
    got = mel_spectrogram(NOISE, 8000, log=False, pre_emphasis=0)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5 * want.max())


def test_filters_are_triangles_of_height_one_that_add_up_to_one():
    filters = mel_filters(16000, 4096, bands=20, low=100, high=7000)
    assert filters.shape == (2049, 20)
    hertz = np.arange(2049) * 16000 / 4096
    centres = hertz[filters.argmax(0)]
    # Between the first middle and the last, a frequency belongs to two bands, together one.
    between = (hertz > centres[0] + 4) & (hertz < centres[-1] - 4)
    np.testing.assert_allclose(filters[between].sum(1), 1, rtol=1e-6)
    assert not filters[(hertz < 100) | (hertz > 7000)].any()
    assert (filters.max(0) > 0.9).all()
    # Published points of the scale: 1000 mel is 1000 Hz.
    assert 2595 * math.log10(1 + 1000 / 700) == pytest.approx(1000, abs=0.1)
    assert (np.diff(centres) > 0).all()
    assert np.diff(2595 * np.log10(1 + centres / 700)).std() < 2


@pytest.mark.parametrize("hertz", [150, 440, 1000, 2500, 3600])
@pytest.mark.parametrize("amplitude", [1.0, 0.01])
def test_a_pure_tone_is_loudest_in_its_band_with_its_power(hertz, amplitude):
    tone = amplitude * np.sin(2 * np.pi * hertz * np.arange(8000) / 8000)
    power = mel_spectrogram(tone, 8000, log=False, pre_emphasis=0, window_seconds=0.064).mean(0)
    filters = mel_filters(8000, 512)
    assert power.argmax() == filters[round(hertz / 8000 * 512)].argmax()
    # Hann's main lobe: squares 1, 1/4 and 1/4 of neighbouring frequencies.
    peak = mel_spectrogram(tone, 8000, log=False, pre_emphasis=0, window_seconds=0.064, bands=8, low=0)
    assert amplitude**2 / 4 * 0.5 < peak.sum(1).mean() < amplitude**2 / 4 * 1.55


def test_frames_are_whole_windows():
    for samples, frames in [(1, 1), (199, 1), (200, 1), (279, 1), (280, 2), (360, 3), (200_000, 2498)]:
        assert mel_spectrogram(np.zeros(samples), 8000).shape == (frames, 40)
    # 100 ms windows, 50 ms apart, of 1.05 s.
    assert len(mel_spectrogram(np.zeros(8400), 8000, window_seconds=0.1, step_seconds=0.05)) == 20
    np.testing.assert_allclose(mel_spectrogram(np.zeros(200), 8000), np.log(1e-10), rtol=1e-6)
    short = NOISE[:100]
    np.testing.assert_array_equal(
        mel_spectrogram(short, 8000, pre_emphasis=0),
        mel_spectrogram(np.pad(short, (0, 100)), 8000, pre_emphasis=0),
    )


def test_cepstra_are_cosines_of_the_log_spectrum():
    spectrogram = mel_spectrogram(NOISE, 8000, bands=26).astype("float64")
    b, k = np.arange(26), np.arange(13)
    cosines = math.sqrt(2 / 26) * np.cos(np.pi * np.outer(b + 0.5, k) / 26)
    cosines[:, 0] *= math.sqrt(0.5)
    got = mfcc(NOISE, 8000, bands=26)
    assert (got.shape, got.dtype) == ((len(spectrogram), 13), np.float32)
    np.testing.assert_allclose(got, spectrogram @ cosines, rtol=1e-4, atol=1e-4)
    # All of them are an orthonormal transform: lengths stay.
    whole = mfcc(NOISE, 8000, 26, bands=26)
    np.testing.assert_allclose((whole**2).sum(1), (spectrogram**2).sum(1), rtol=1e-5)


@given(
    st.lists(st.integers(0, 500), max_size=12),
    st.sampled_from([0.01, 0.025, 0.03]),
    st.sampled_from([0.0, 0.97]),
)
def test_a_stream_gives_the_bits_of_the_whole(pieces, step, emphasis):
    options = {"step_seconds": step, "pre_emphasis": emphasis, "bands": 20}
    stream = MelStream(8000, **options)
    for _ in range(2):
        begin, frames = 0, []
        for piece in pieces:
            frames.append(stream(NOISE[begin : begin + piece]))
            begin = min(begin + piece, len(NOISE))
            state, kept = stream.state, stream
            stream = MelStream(8000, **options)  # which goes on from there, whatever becomes of that
            stream.state = state
            kept(NOISE[:99])
            state[0][...] = 9
        got = np.concatenate([np.empty((0, 20), "float32"), *frames])
        want = mel_spectrogram(NOISE[:begin], 8000, **options) if begin >= 200 else got[:0]
        np.testing.assert_array_equal(got, want)
        stream.reset()


def test_features_are_padded_behind():
    a, b = np.ones((3, 2)), np.full((4, 2), 2.0)
    batch, lengths = pad_features([a, b], value=-1, multiple=3)
    assert (batch.dtype, batch.shape, lengths.tolist()) == (np.float32, (2, 6, 2), [3, 4])
    np.testing.assert_array_equal(batch[0, :3], a)
    np.testing.assert_array_equal(batch[1, :4], b)
    assert (batch[0, 3:] == -1).all()
    assert (batch[1, 4:] == -1).all()
    assert pad_features([a, b])[0].shape == (2, 4, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mel_spectrogram([], 8000), "samples: expected one or more, got none"),
        (lambda: setattr(MelStream(8000), "state", [[0.0]]), "state: expected 3 arrays, got 1"),
        (
            lambda: setattr(MelStream(8000), "state", [[0.0], [1.0, 2.0], [0]]),
            r"state\[1\]: expected one sample, or none",
        ),
        (lambda: setattr(MelStream(8000), "state", [[0.0], [1.0], [-1]]), r"state\[2\]: expected an integer from 0 on"),
        (lambda: mel_spectrogram(NOISE, 0), "sample_rate: expected 1000 to 384000 Hz, got 0"),
        (lambda: mel_spectrogram(NOISE, 8000, window_seconds=0), r"window_seconds: expected a number in \(0, 10\]"),
        (lambda: mel_spectrogram(NOISE, 8000, step_seconds=1e-9), "step_seconds: expected a sample or more at 8000 Hz"),
        (lambda: mel_spectrogram(NOISE, 8000, bands=0), "bands: expected a positive integer, got 0"),
        (lambda: mel_spectrogram(NOISE, 8000, bands=10**9), "bands: expected at most the 256 samples"),
        (lambda: mel_spectrogram(NOISE, 8000, bands=120), "number 1 of 120 from 20 to 4000 Hz has none; use fewer"),
        (lambda: mel_spectrogram(NOISE, 8000, low=4000), r"low: expected a number in \[0, 4000.0\), got 4000"),
        (lambda: mel_spectrogram(NOISE, 8000, high=5000), r"high: expected a number in \(20.0, 4000.0\], got 5000"),
        (lambda: mel_spectrogram(NOISE, 8000, pre_emphasis=2), r"pre_emphasis: expected a number in \[0, 1\], got 2"),
        (lambda: mel_spectrogram(NOISE, 8000, floor=0), r"floor: expected a number in \(0, 1\], got 0"),
        (lambda: mfcc(NOISE, 8000, 41), "coefficients: expected at most the 40 bands, got 41"),
        (lambda: pad_features([]), "features: expected one or more, got none"),
        (lambda: pad_features([NOISE]), r"features\[0\]: expected shape \(frames, bands\), got \(4000,\)"),
        (lambda: pad_features([np.ones((2, 3)), np.ones((2, 4))]), r"features\[1\]: expected shape \(frames, 3\)"),
        (lambda: pad_features([np.ones((0, 3))]), r"features\[0\]: expected shape \(frames, 3\), got \(0, 3\)"),
        (lambda: pad_features([np.ones((1, 3))], multiple=0), "multiple: expected a positive integer, got 0"),
    ],
)
def test_arguments_of_features_are_checked(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_without_scipy_files_are_read_and_the_rest_says_what_to_install(tmp_path):
    path = tmp_path / "four.wav"
    path.write_bytes(riff(fmt(), chunk(b"data", SAMPLES)))
    program = f"""
import sys
sys.modules["scipy"] = None
from lstmcore import audio
print(audio.read_wav({str(path)!r})[1])
for call in (
    lambda: audio.read_wav({str(path)!r}, sample_rate=16000),
    lambda: audio.mel_spectrogram([0.0], 8000),
    lambda: audio.MelStream(8000),
):
    try:
        call()
    except ImportError as error:
        print(error)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.splitlines() == ["8000"] + 3 * ['lstmcore.audio needs SciPy: pip install "lstmcore[audio]"']


def test_scipy_is_not_loaded_before_it_is_needed():
    program = "import sys, lstmcore, lstmcore.audio; print('scipy' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", program], text=True, timeout=60).strip() == "False"
