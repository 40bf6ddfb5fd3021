"""Monthly totals of international airline passengers, 1949 to 1960, in thousands.

Box, G. E. P. & Jenkins, G. M. (1976), Time Series Analysis: Forecasting and Control, series G.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["load_data"]

# A year a line.
_THOUSANDS = """
112 118 132 129 121 135 148 148 136 119 104 118
115 126 141 135 125 149 170 170 158 133 114 140
145 150 178 163 172 178 199 199 184 162 146 166
171 180 193 181 183 218 230 242 209 191 172 194
196 196 236 235 229 243 264 272 237 211 180 201
204 188 235 227 234 264 302 293 259 229 203 229
242 233 267 269 270 315 364 347 312 274 237 278
284 277 317 313 318 374 413 405 355 306 271 306
315 301 356 348 355 422 465 467 404 347 305 336
340 318 362 348 363 435 491 505 404 359 310 337
360 342 406 396 420 472 548 559 463 407 362 405
417 391 419 461 472 535 622 606 508 461 390 432
"""


def load_data() -> tuple[NDArray[np.datetime64], NDArray[Any]]:
    """Return the 144 months as datetime64[M] and the passengers, in thousands, as float32.

    >>> from lstmcore.datasets import air_passengers
    >>> months, passengers = air_passengers.load_data()
    >>> print(months[0], passengers[0], months[-1], passengers[-1])
    1949-01 112.0 1960-12 432.0
    """
    months = np.arange("1949-01", "1961-01", dtype="datetime64[M]")
    return months, np.array(_THOUSANDS.split(), dtype=np.float32)
