"""Rows by their numbers, a bounded part of all of them, in memory and on disk."""
