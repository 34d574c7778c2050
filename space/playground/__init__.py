"""The Space: see a log become language, and what it does to the recommendation."""
