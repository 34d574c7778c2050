"""The results table: its rows, what is measured of them, and how it is shown."""
