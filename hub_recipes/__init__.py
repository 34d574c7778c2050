"""Examples to text, text to a choice, choices to numbers."""
