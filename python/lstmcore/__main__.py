"""``python -m lstmcore`` prints what this installation runs on."""

from ._config import show_config

show_config()
