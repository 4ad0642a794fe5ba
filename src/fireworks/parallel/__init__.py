"""Work in other threads and processes: the same rows in the same order, only sooner."""
