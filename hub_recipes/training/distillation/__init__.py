"""From an adapter that takes seconds per user to something that takes microseconds, or to a smaller model."""
