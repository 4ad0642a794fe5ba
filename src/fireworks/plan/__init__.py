"""What a pipeline will do: explained, optimised, drawn, tried on a few rows."""
