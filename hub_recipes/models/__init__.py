"""A language model and its adapters: load, batch, generate, score."""
