"""Repositories of a release: what they hold, their cards, and what must not leave the machine."""
