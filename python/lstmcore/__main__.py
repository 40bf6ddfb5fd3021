"""``python -m lstmcore``: see ``--help``. Without arguments it prints what this installation runs on."""

import sys

from .cli.main import main

sys.exit(main())
