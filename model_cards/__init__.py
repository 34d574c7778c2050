"""Model cards: their template, what fills it, and one folder per released adapter."""
