"""Training programs as PyTorch's users write them: a model, its optimizer, a step; on synthetic data of usual sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import rnn

Step = Callable[[int], float]  # runs the training step of a number and returns its loss


class LanguageModel(nn.Module):
    """Words to scores of the next word, through two layers of LSTM."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, width, num_layers=2)
        self.head = nn.Linear(width, words)

    def forward(self, words: Tensor, states: Any) -> tuple[Tensor, Any]:
        """Return scores (steps * batch, words) and the last states."""
        outputs, states = self.lstm(self.embedding(words), states)
        return self.head(outputs.flatten(0, 1)), states


class Tagger(nn.Module):
    """Words of sentences of different lengths to tags, through a bidirectional LSTM."""

    def __init__(self, words: int, width: int, units: int, tags: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, units, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * units, tags)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        """Return scores (all words, tags), in the order of a packed sequence."""
        rows = rnn.pack_padded_sequence(self.embedding(words), lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.lstm(rows)[0].data)


class Forecaster(nn.Module):
    """The recent past of some series to their next values, through two layers of LSTM."""

    def __init__(self, series: int, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(series, units, num_layers=2, batch_first=True)
        self.head = nn.Linear(units, series)

    def forward(self, windows: Tensor) -> Tensor:
        """Return the next values (batch, series)."""
        return self.head(self.lstm(windows)[0][:, -1])


def language_model(accelerate: Callable[[nn.Module], Any], width: int = 200) -> Step:
    """Return the step of a word language model: 10,000 words, 20 rows of text, 35 words at a time, states carried."""
    torch.manual_seed(0)
    vocabulary, batch, steps = 10_000, 20, 35
    model = LanguageModel(vocabulary, width)
    accelerate(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    frequencies = 1 / torch.arange(1.0, vocabulary + 1)  # Zipf's law
    text = torch.multinomial(frequencies, 50 * steps * batch, replacement=True).view(-1, batch)
    states = [(torch.zeros(2, batch, width), torch.zeros(2, batch, width))]

    def step(number: int) -> float:
        first = number * steps % (len(text) - steps)
        scores, last = model(text[first : first + steps], states[0])
        states[0] = tuple(state.detach() for state in last)
        loss = functional.cross_entropy(scores, text[first + 1 : first + steps + 1].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        return loss.item()

    return step


def large_language_model(accelerate: Callable[[nn.Module], Any]) -> Step:
    """Return the step of the same with 650 units and as wide an embedding."""
    return language_model(accelerate, 650)


def tagger(accelerate: Callable[[nn.Module], Any]) -> Step:
    """Return the step of a tagger of 32 sentences of 5 to 50 words, packed; 17 tags."""
    torch.manual_seed(0)
    vocabulary, tags, batch = 5000, 17, 32
    model = Tagger(vocabulary, 100, 100, tags)
    accelerate(model)
    optimizer = torch.optim.Adam(model.parameters())
    words = torch.randint(vocabulary, (20, batch, 50))
    lengths = torch.randint(5, 51, (20, batch))
    lengths[:, 0] = 50

    def step(number: int) -> float:
        number %= len(words)
        wanted = rnn.pack_padded_sequence(
            words[number] % tags, lengths[number], batch_first=True, enforce_sorted=False
        ).data
        loss = functional.cross_entropy(model(words[number], lengths[number]), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def forecaster(accelerate: Callable[[nn.Module], Any]) -> Step:
    """Return the step of a forecaster of 7 series from windows of 96 steps, 32 at a time."""
    torch.manual_seed(0)
    series, batch, window = 7, 32, 96
    model = Forecaster(series, 64)
    accelerate(model)
    optimizer = torch.optim.Adam(model.parameters())
    times = torch.arange(3000.0)[:, None] / torch.linspace(3, 30, series)
    values = times.sin() + 0.1 * torch.randn(len(times), series)
    starts = torch.randint(len(values) - window, (100, batch))

    def step(number: int) -> float:
        rows = starts[number % len(starts), :, None] + torch.arange(window + 1)
        windows = values[rows]
        loss = functional.mse_loss(model(windows[:, :-1]), windows[:, -1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


PROGRAMS = {
    "word language model, 200 units": language_model,
    "word language model, 650 units": large_language_model,
    "tagger, packed sequences": tagger,
    "forecaster": forecaster,
}
