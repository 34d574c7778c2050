"""A training run: its arguments, its folder, its record, how it resumes, what it writes."""
