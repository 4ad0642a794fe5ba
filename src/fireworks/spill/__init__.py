"""Rows on disk that the memory has no room for."""
