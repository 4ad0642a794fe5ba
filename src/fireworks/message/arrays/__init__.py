"""The pandas extension array around a tensor, on which pandas' own suite of tests runs."""
