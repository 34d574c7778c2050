"""Texts in bulk: many examples written by actors on Ray, shard by shard."""
