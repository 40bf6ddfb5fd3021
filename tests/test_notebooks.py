"""What notebooks and terminals are shown: tables, pictures, bars."""

import io
import re
import sys
import time
import types
from xml.etree import ElementTree

import numpy as np
import pytest

from lstmcore import Input, Model, Sequential, _screen, layers
from lstmcore.callbacks import History
from lstmcore.datasets import _files

X, Y = np.zeros((40, 5, 3), np.float32), np.ones((40, 1), np.float32)


def cells(html):
    """The texts of the rows of a table, and the lines under it; everything has been closed, and escaped."""
    root = ElementTree.fromstring(html)
    rows = [["\n".join(cell.itertext()) for cell in row] for row in root.iter("tr")]
    return rows, [line.text for line in root.findall("div")]


@pytest.fixture(scope="module")
def history():
    """Validated in every second epoch."""
    model = Sequential([layers.Flatten(input_shape=(5, 3)), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model.fit(X, Y, epochs=4, validation_data=(X, Y), validation_freq=2, verbose=0)


# --- tables ---


def test_a_model_is_a_table():
    model = Sequential([Input((5, 3)), layers.LSTM(4, name="<b>&"), layers.Dense(2)])
    rows, below = cells(model._repr_html_())
    assert rows == [
        ["Layer (type)", "Output Shape", "Param #"],
        ["<b>& (LSTM)", "(None, 4)", "128"],
        ["dense (Dense)" if "dense (Dense)" in rows[2] else rows[2][0], "(None, 2)", "10"],
    ]
    assert below == ["Total params: 138 (552.00 B)", *below[1:]]
    assert "summary" not in model._repr_html_()


def test_a_graph_and_models_without_weights_are_tables_too():
    a, b = Input((3,), name="a"), Input((3,), name="b")
    rows, _ = cells(Model([a, b], layers.add([a, b]))._repr_html_())
    assert rows[0][3] == "Connected to"
    assert rows[-1][3].split() == ["a[0][0],", "b[0][0]"]
    assert cells(Sequential([layers.Dense(2)])._repr_html_())[0][1][1:] == ["?", "0 (unbuilt)"]
    assert len(cells(Sequential()._repr_html_())[0]) == 1


def test_a_summary_is_aligned_whatever_letters_names_have():
    lines = []
    model = Sequential([layers.Dense(2, name="記憶", input_shape=(3,)), layers.Dense(2, name="e\u0301")])
    model.summary(print_fn=lines.append)
    table = [line for line in lines if line[0] in "┌│├└"]
    # Two columns for each of 記 and 憶, none for the accent that stands for itself.
    assert {len(line) + 2 * ("記" in line) - ("\u0301" in line) for line in table} == {len(table[0])}


def test_a_history_is_a_table(history):
    rows, _ = cells(history._repr_html_())
    assert rows[0] == ["epoch", "loss", "mae", "val_loss", "val_mae"]
    assert [row[0] for row in rows[1:]] == ["1", "2", "3", "4"]
    assert [row[3] != "" for row in rows[1:]] == [False, True, False, True]
    assert rows[4][3] == f"{history.history['val_loss'][1]:.4g}"
    assert cells(History()._repr_html_())[0] == [["epoch"]]


def test_a_long_history_is_shown_in_part():
    history = History()
    for epoch in range(50):
        history.on_epoch_end(epoch, {"loss": epoch})
    assert [row[0] for row in cells(history._repr_html_())[0][1:]] == ["1", "2", "…", *map(str, range(43, 51))]


def test_a_tuner_is_a_table_of_its_best_trials(tmp_path):
    pytest.importorskip("optuna")
    from lstmcore.tuner import RandomSearch

    class Own(RandomSearch):
        def run_trial(self, trial, **_):
            units = trial.hyperparameters.Int("units", 1, 100)
            return float(units)

    tuner = Own(max_trials=4, directory=tmp_path, project_name="<p>", seed=0)
    assert cells(tuner._repr_html_())[0] == [["trial", tuner.oracle.objective.name]]
    tuner.search(verbose=0)
    rows, below = cells(tuner._repr_html_())
    assert rows[0][2] == "units"
    scores = [float(row[1]) for row in rows[1:]]
    assert scores == sorted(scores)
    assert [float(row[2]) for row in rows[1:]] == scores
    assert below == ["the best 4 of 4 trials"]


# --- histories ---


def test_a_frame_has_a_row_an_epoch(history):
    pytest.importorskip("pandas")
    frame = history.to_frame()
    assert list(frame.index) == [0, 1, 2, 3]
    assert frame["loss"].tolist() == history.history["loss"]
    assert frame["val_mae"].isna().tolist() == [True, False, True, False]
    assert frame["val_mae"].dropna().tolist() == history.history["val_mae"]
    assert History().to_frame().empty


def test_packages_that_are_missing_are_named(history, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="to_frame needs pandas: pip install pandas"):
        history.to_frame()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'plot needs matplotlib: pip install "lstmcore\[plot\]"'):
        history.plot()


@pytest.fixture
def pyplot(monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def test_a_plot_has_the_numbers_at_their_epochs(history, pyplot):
    axes = history.plot()
    assert [axis.get_title() for axis in axes] == ["loss", "mae"]
    training, validation = axes[1].get_lines()
    assert list(training.get_xdata()) == [1, 2, 3, 4]
    assert list(validation.get_xdata()) == [2, 4]
    assert list(validation.get_ydata()) == history.history["val_mae"]
    assert history.plot("loss", yscale="log")[0].get_yscale() == "log"


def test_a_plot_refuses_what_there_is_not(history):
    with pytest.raises(ValueError, match="names: expected some of 'loss', 'mae', got 'acc'"):
        history.plot(["loss", "acc"])
    with pytest.raises(ValueError, match="names: expected at least one"):
        history.plot([])
    with pytest.raises(ValueError, match="yscale: expected one of 'linear', 'log'"):
        history.plot(yscale="cubic")
    with pytest.raises(ValueError, match="no epochs yet"):
        History().plot()


def test_a_history_that_was_altered_is_not_drawn_at_wrong_epochs():
    history = History()
    history.on_epoch_end(0, {"loss": 1.0})
    history.history["loss"].append(2.0)
    with pytest.raises(ValueError, match="loss: expected 1 values, one for each epoch it was recorded in, got 2"):
        history._repr_html_()


def test_a_history_that_goes_on_knows_its_epochs(history):
    again = History()
    again.set_state(history.get_state())
    assert again._repr_html_() == history._repr_html_()


# --- bars ---


class Screen(io.StringIO):
    """A terminal, as far as anybody asks."""

    def isatty(self):
        return True


def kernel(monkeypatch, config, widgets=False):
    ipython = types.SimpleNamespace(
        get_ipython=lambda: None if config is None else types.SimpleNamespace(config=config)
    )
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "ipywidgets", types.ModuleType("ipywidgets") if widgets else None)


def test_a_notebook_is_told_from_a_terminal_and_a_script(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not _screen.in_notebook()
    kernel(monkeypatch, None)
    assert not _screen.in_notebook()
    kernel(monkeypatch, {"TerminalIPythonApp": {}})
    assert not _screen.in_notebook()
    kernel(monkeypatch, {"IPKernelApp": {}})
    assert _screen.in_notebook()
    assert _screen.is_watched()
    assert not _screen.has_widgets()
    kernel(monkeypatch, {"IPKernelApp": {}}, widgets=True)
    assert _screen.has_widgets()


def test_a_notebook_without_widgets_gets_bars_of_text(monkeypatch):
    kernel(monkeypatch, {"IPKernelApp": {}})
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    model = Sequential([layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse")
    batches = [(np.zeros((2, 3)), np.zeros((2, 1)))] * 3

    def slow():
        for batch in batches:
            time.sleep(0.15)
            yield batch

    model.fit(slow(), steps_per_epoch=3, epochs=1)
    assert "2/3 ━━━" in sys.stdout.getvalue()
    model.evaluate(iter(batches))
    assert sys.stdout.getvalue().rstrip().split("\n")[-1].startswith("3/3 ━━━")


def test_a_bar_tells_the_time_since_it_began(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Screen())
    bar = _screen.bar(10, since=time.perf_counter() - 65)
    bar.update(5)
    bar.close()
    assert "5/10 ━━━" in sys.stdout.getvalue()
    assert "01:05" in sys.stdout.getvalue()


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (200, 50)])
def test_terminals_of_any_width_get_a_bar(monkeypatch, size):
    import os

    monkeypatch.setattr(sys, "stdout", Screen())
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size(size))
    for name in ("COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    bar = _screen.bar(10)
    bar.update(5)
    bar.close()
    shown = sys.stdout.getvalue()
    assert "more hidden" not in shown
    assert "5/10" in shown if size[0] != 1 else max(map(len, shown.split("\r"))) <= 1


class Bytes(io.TextIOWrapper):
    """A terminal with few letters, and what it was sent."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, newline="")

    def isatty(self):
        return True

    def sent(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


def of_all_kinds(monkeypatch, stdout):
    """What a model prints that is built, trained with a bar and asked, on a standard output of some kind."""
    monkeypatch.setattr(_screen.time, "perf_counter", lambda clock=time.perf_counter: 1000 * clock())  # bars at once
    monkeypatch.setattr(sys, "stdout", stdout)
    model = Sequential([layers.Dense(1, name="größe", input_shape=(3,))], name="model")
    model.compile("sgd", "mse")
    model.summary()
    x = np.zeros((200, 3), np.float32)
    model.fit(x, x[:, :1], batch_size=1, epochs=1, verbose=1)
    model.evaluate(x, x[:, :1], verbose=2)
    model.predict(x)


@pytest.mark.once
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_is_shown_fits_the_letters_that_standard_output_has(monkeypatch, encoding):
    stdout = Bytes(encoding)
    of_all_kinds(monkeypatch, stdout)
    shown = stdout.sent()
    many = encoding == "utf-8"
    assert ("┌───" if many else "+---") in shown
    assert (f"│ {'größe'}" if many else "| größe" if encoding == "latin-1" else "| gr??e") in shown
    assert 30 * ("━" if many else "=") + " - " in shown  # the line that is left
    assert re.search(r"\d+/200 [━= ]{30} \d\d:\d\d", shown)  # and the bar before


@pytest.mark.once
def test_without_standard_output_nothing_is_shown(monkeypatch, capsys):
    of_all_kinds(monkeypatch, None)  # as where it is closed, or in a program with windows
    bar = _screen.bar(10, since=0.0)
    bar.update(5)
    bar.close()
    assert capsys.readouterr().err == ""


@pytest.mark.once
def test_a_standard_output_of_somebodys_own_needs_no_more_than_write(monkeypatch):
    lines = []
    of_all_kinds(monkeypatch, types.SimpleNamespace(write=lines.append, flush=lambda: None))
    assert "┌───" in "".join(lines)


def test_a_search_shows_a_bar_where_it_has_a_place_of_its_own(monkeypatch, tmp_path):
    pytest.importorskip("optuna")
    from lstmcore.tuner import RandomSearch

    made = []

    class Bar:
        n, closed = 0, False

        def __init__(self, total, **options):
            self.total = total
            made.append(self)

        def set_postfix_str(self, text, refresh):
            self.text = text

        def update(self, by):
            self.n += by

        def close(self):
            self.closed = True

    class Own(RandomSearch):
        def run_trial(self, trial, **_):
            return float(trial.hyperparameters.Int("units", 1, 100))

    monkeypatch.setattr(_screen, "bar", Bar)
    tuner = Own(max_trials=3, directory=tmp_path, seed=0)
    tuner.search(verbose=1)
    assert not made  # a terminal has one place for all
    monkeypatch.setattr(_screen, "has_widgets", lambda: True)
    again = Own(max_trials=3, directory=tmp_path, project_name="other", seed=0)
    again.search(verbose=1)
    [bar] = made
    assert (bar.total, bar.n, bar.closed) == (3, 3, True)
    assert bar.text.startswith("best ")


def test_a_download_shows_a_bar_to_whoever_is_watching(monkeypatch, tmp_path):
    given = []
    pooch = types.SimpleNamespace(retrieve=lambda *_, progressbar, **__: given.append(progressbar) or "file")
    monkeypatch.setitem(sys.modules, "pooch", pooch)
    monkeypatch.setenv("LSTMCORE_CACHE", str(tmp_path))
    _files.fetch("https://example.org/f", "f", "md5:0", "find it elsewhere")
    monkeypatch.setattr(sys, "stdout", Screen())
    _files.fetch("https://example.org/f", "f", "md5:0", "find it elsewhere")
    silent, bar = given
    assert silent is False
    assert bar  # what pooch asks; a bar without a total is an error there
    bar.total = 2048
    bar.update(1024)
    bar.refresh()
    assert "1.02k/2.05k" in sys.stdout.getvalue()
