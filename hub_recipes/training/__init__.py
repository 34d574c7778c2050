"""What a training run is made of: its arguments, rows, texts, oracle, adapter, folder and record."""
