"""The command line, ``python -m lstmcore``: a module for each subcommand, with ``add`` and ``run``."""
