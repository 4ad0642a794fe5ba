"""A message at home in PyTorch: trees, the DataLoader, devices, other processes."""
