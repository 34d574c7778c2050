"""Reasoners: from a context and candidates to a ranking."""
