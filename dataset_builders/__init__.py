"""Raw interaction logs to examples: a folder that `load_dataset` reads. Imports neither torch nor trl."""
