"""`python -m logs2lang` is the `logs2lang` command."""

from logs2lang.commands.cli import main

main()
