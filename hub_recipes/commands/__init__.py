"""The `logs2lang` command, one file per family of commands."""
