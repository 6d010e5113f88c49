"""Readers of single texts, by what these say: each returns the text as the model wants it, or raises `Fault`."""
