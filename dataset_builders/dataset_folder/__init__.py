"""The dataset folder: writing it with its card, and opening it again."""
