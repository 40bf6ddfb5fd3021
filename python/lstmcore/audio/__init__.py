"""Sound for recognisers: WAV files, mel spectrograms and cepstra. Needs SciPy: ``pip install "lstmcore[audio]"``.

Samples are one-dimensional arrays of float32, full scale 1; rates are in Hz, times in seconds, and features have the
shape (frames, bands).
"""

from .features import MelStream, mel_filters, mel_spectrogram, mfcc, pad_features
from .wav import read_wav, write_wav

__all__ = ["MelStream", "mel_filters", "mel_spectrogram", "mfcc", "pad_features", "read_wav", "write_wav"]
