"""Contracts: test classes that every component of a kind inherits, ours and other people's."""

from fireworks.testing.pipe_contract import PipeContract

__all__ = ["PipeContract"]
