"""Training: the only place that imports PyTorch-Ignite."""
