"""Put a GRU into a grid search of scikit-learn, and draw what was found: handwritten digits, read row by row.

The digits are those that scikit-learn brings along (E. Alpaydin and C. Kaynak 1998, UCI): images of 8 by 8 pixels, here
sequences of 8 rows. A pipeline scales the pixels and tells the digit; how wide the layer is and how fast it learns is
chosen by cross-validation on three quarters of the digits, two models at a time. Beside the accuracy on the rest
stands that of logistic regression, which sees all pixels at once, and of the most frequent digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import common
import numpy as np
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lstmcore.sklearn import GRUClassifier, SequenceScaler


def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    """Search, print the accuracies, save the picture; return that of the best model."""
    parser = common.parser(__doc__, "grid_search.png", epochs=30, data=False, verbose=0)
    parser.add_argument("--units", type=int, nargs="+", default=[8, 16, 32, 64], help="widths to try")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.003, 0.01], help="learning rates to try")
    parser.add_argument("--folds", type=int, default=3, help="parts that the digits trained on are cut into")
    options = parser.parse_args(argv)

    images, digits = load_digits(return_X_y=True)
    train, test, digits_train, digits_test = train_test_split(
        images.reshape(-1, 8, 8), digits, stratify=digits, random_state=options.seed
    )
    network = GRUClassifier(max_iter=options.epochs, random_state=options.seed, verbose=options.verbose)
    grid = {"gruclassifier__units": options.units, "gruclassifier__learning_rate_init": options.rates}
    search = GridSearchCV(make_pipeline(SequenceScaler(), network), grid, cv=options.folds, n_jobs=2)
    search.fit(train, digits_train)

    found = search.cv_results_
    tried = [(p["gruclassifier__units"], p["gruclassifier__learning_rate_init"]) for p in found["params"]]
    scores = dict(zip(tried, zip(found["mean_test_score"], found["std_test_score"], strict=True), strict=True))
    rows = {f"{units} units, rate {rate:g}": list(score) for (units, rate), score in scores.items()}
    common.print_table("cross-validation", ["accuracy", "± folds"], rows, 4)

    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    others = {"logistic regression": linear, "the most frequent digit": DummyClassifier()}
    rows = {"best of the grid": [float(search.score(test, digits_test))]}
    for name, other in others.items():
        rows[name] = [float(other.fit(train.reshape(-1, 64), digits_train).score(test.reshape(-1, 64), digits_test))]
    common.print_table(f"{len(test)} digits of the test", ["accuracy"], rows, 4)
    if options.picture:
        draw(options.picture, scores, rows, test, digits_test, search.predict(test))
    return {"accuracy": rows["best of the grid"][0]}


def draw(
    path: str,
    scores: dict[Any, tuple[float, float]],
    rows: dict[str, list[float]],
    images: np.ndarray,
    digits: np.ndarray,
    predicted: np.ndarray,
) -> None:
    """Save a picture of the accuracies of the grid, and of digits that the best model took for others."""
    figure, axes = common.canvas("A grid search: digits read row by row", "units of the GRU", "accuracy")
    rates = sorted({rate for _, rate in scores})
    for rate, color in zip(rates, (common.BLUE, common.ORANGE, common.GREY, common.INK), strict=False):
        widths = sorted(units for units, r in scores if r == rate)
        mean, deviation = np.array([scores[units, rate] for units in widths]).T
        axes.errorbar(
            widths, mean, deviation, color=color, marker="o", lw=2, capsize=3, label=f"learning rate {rate:g}"
        )
    linear = rows["logistic regression"][0]
    axes.axhline(linear, color=common.INK, ls=":", lw=1.2, label="logistic regression, on the test")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted({units for units, _ in scores}), sorted({units for units, _ in scores}))
    axes.minorticks_off()
    axes.legend(loc="center right")
    wrong = np.flatnonzero(digits != predicted)[:6]
    for place, k in enumerate(wrong):
        inset = axes.inset_axes((0.2 + 0.09 * place, 0.05, 0.08, 0.2))
        inset.imshow(images[k], cmap="Greys")
        inset.set_axis_off()
        inset.set_title(f"{digits[k]}, not {predicted[k]}", fontsize=8, pad=3)
    common.save(figure, path)


if __name__ == "__main__":
    main()
