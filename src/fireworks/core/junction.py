"""Several named inputs, and a rule of its own for making one output of them."""

from __future__ import annotations

from collections.abc import Mapping

from fireworks.core.pipe import Pipe


class Junction(Pipe):
    """A pipe with several named inputs, its *components*.

    A call for a method that the junction lacks does not travel up: with several inputs there is no one way up.
    Ask a component: ``junction.components["name"]``.

    Args:
        components: At least one pipe, by name.

    Raises:
        ValueError: there is no component.
        TypeError: they come without names, or one is no pipe.
    """

    def __init__(self, components: Mapping[str, Pipe]) -> None:
        super().__init__(None)
        if not isinstance(components, Mapping):
            raise TypeError(
                f"{type(self).__name__}: components need names: {{'name': pipe, …}}; got {type(components).__name__}."
            )
        if not components:
            raise ValueError(f"{type(self).__name__}: at least one component is needed.")
        for name, component in components.items():
            if not isinstance(component, Pipe):
                raise TypeError(
                    f"{type(self).__name__}: component {name!r} must be a pipe; got {type(component).__name__}. "
                    "Wrap it: fw.source(…)."
                )
        self.components = dict(components)

    @property
    def order_varies(self) -> bool:
        """Whether rows, or their order, differ from epoch to epoch in any component."""
        return any(component.order_varies for component in self.components.values())

    @property
    def values_vary(self) -> bool:
        """Whether the values of a row differ from epoch to epoch in any component."""
        return any(component.values_vary for component in self.components.values())

    def describe(self) -> str:
        """Return the junction with its components as text."""
        inside = ", ".join(f"{name}=({component!r})" for name, component in self.components.items())
        return f"{type(self).__name__}({inside})"
