"""A message in the memory of other libraries: Arrow, polars, tensordict, NumPy, plain Python."""
