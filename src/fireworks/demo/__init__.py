"""Worked examples that run from the installed package; each file is made to be copied."""
