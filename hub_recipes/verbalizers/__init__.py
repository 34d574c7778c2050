"""From a history to language: every way of writing the same log records as text."""
