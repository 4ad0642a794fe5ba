"""What is captured at the start of a trial: one file and one frozen dataclass per kind of fact."""
