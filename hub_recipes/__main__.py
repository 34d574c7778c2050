"""`python -m logs2lang` is the `logs2lang` command."""

from .commands.cli import main

main()
