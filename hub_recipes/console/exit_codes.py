"""Exit codes that mean more than success (0) and wrong input (2)."""

UNFINISHED = 75
"""A time limit came before the end: `EX_TEMPFAIL`, try again. The same command goes on."""
