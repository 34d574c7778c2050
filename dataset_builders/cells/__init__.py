"""What one cell of a log says: ids, numbers, times and text, as people and programs write them."""
