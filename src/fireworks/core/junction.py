"""Several named inputs, and a rule of its own for making one output of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

from fireworks._internal.lazy import load
from fireworks.core.flow import Base, Flow
from fireworks.core.links import Link, require_no_cycle
from fireworks.core.outputs import add_output
from fireworks.core.pipe import Pipe

if TYPE_CHECKING:
    from fireworks.core.chunk import Chunk, Span
    from fireworks.core.cursor import Cursor
    from fireworks.core.origins import Origins
    from fireworks.core.run import Run
    from fireworks.message import Message


class Junction(Pipe):
    """A pipe with several named inputs, its *components*.

    To write one, subclass it and write `combine`, which gets the same rows of every component as one message each;
    order, random access, iteration, state and resume come from here. A junction that does something else with its
    components writes `make_flow`.

    A call for a method that the junction lacks does not travel up: with several inputs there is no one way up.
    Ask a component: ``junction.components["name"]``.

    Args:
        components: At least one pipe, by name; or a `link` to an attribute of another object.

    Raises:
        ValueError: there is no component; for `combine`: the components differ in length. When used: the junction is
            among its own inputs.
        TypeError: components come without names, or one is no pipe; the subclass writes neither method; for `combine`:
            some are batched and some are not.

    Example:
        >>> class Mean(fw.Junction):
        ...     def combine(self, messages):
        ...         columns = [message["x"] for message in messages.values()]
        ...         return fw.Message({"x": torch.stack(columns).mean(0)})
        >>> ones, zeros = fw.source({"x": torch.ones(4)}), fw.source({"x": torch.zeros(4)})
        >>> Mean({"ones": ones, "zeros": zeros}).shuffle(seed=0).batch(3)[1]["x"]
        tensor([0.5000])
    """

    on_grid: ClassVar[bool] = True
    """Whether what `combine` returns may depend, in its last bits, on how many rows come at a time."""
    length_needs_a_pass: ClassVar[bool] = False
    """Whether the number of items is known only after rows were read."""

    def __init__(self, components: Mapping[str, Pipe]) -> None:
        super().__init__(None)
        who = type(self).__name__
        combines = type(self).combine is not Junction.combine
        if not combines and type(self).make_flow is Junction.make_flow:
            raise TypeError(f"{who}: a junction writes combine(messages), or make_flow() for a rule of another kind.")
        if not isinstance(components, Mapping):
            raise TypeError(f"{who}: components need names: {{'name': pipe, …}}; got {type(components).__name__}.")
        if not components:
            raise ValueError(f"{who}: at least one component is needed.")
        for name, component in components.items():
            if not isinstance(name, str):
                raise TypeError(f"{who}: names of components are text; got {name!r} of type {type(name).__name__}.")
            if not isinstance(component, (Pipe, Link)):
                raise TypeError(
                    f"{who}: component {name!r} must be a pipe; got {type(component).__name__}. Wrap it: fw.source(…)."
                )
            if isinstance(component, Pipe):
                add_output(component, self)
        self._components: dict[str, Pipe | Link] = dict(components)
        if not self.is_linked:
            self.check_components()

    # --- components -----------------------------------------------------------------------------------------------

    @property
    def is_linked(self) -> bool:
        """Whether a component is a `link`."""
        return any(isinstance(component, Link) for component in self._components.values())

    @property
    def components(self) -> dict[str, Pipe]:
        """The inputs by name; a link is followed to what it holds now.

        Raises:
            TypeError: a link leads to no pipe.
            ValueError: the junction is among its own inputs.
        """
        if not self.is_linked:
            return cast("dict[str, Pipe]", dict(self._components))
        found = dict(zip(self._components, self.resolved(), strict=True))
        require_no_cycle(self)
        return found

    @property
    def computes(self) -> bool:
        """Whether it writes `combine`."""
        return type(self).combine is not Junction.combine

    def named_inputs(self) -> dict[str, Pipe]:
        """Return the components."""
        return self.components

    def resolved(self) -> list[Pipe]:
        """Return the inputs with links followed, without looking for a cycle."""
        return [
            component.resolve(who=f"{type(self).__name__}: component {name!r}")
            if isinstance(component, Link)
            else component
            for name, component in self._components.items()
        ]

    def check_components(self) -> None:
        """Check what can be seen of the components before anything runs; a subclass may add checks of its own."""
        if type(self).combine is not Junction.combine:
            load("junctions.side_by_side.check_aligned")(self)

    # --- what it runs ---------------------------------------------------------------------------------------------

    def combine(self, messages: dict[str, Message]) -> Message:
        """Return what becomes of the same rows of every component, with as many rows; each row must depend on itself alone.

        Args:
            messages: A message of each component, by its name; of equal length.
        """
        raise NotImplementedError

    def make_flow(self) -> Flow:
        """Return a flow that puts the components side by side and combines them."""
        return cast("Flow", load("junctions.side_by_side.aligned_flow")(self))

    def compute(self, chunk: Chunk, run: Run, block: int) -> Chunk:
        """Combine rows again that stand side by side already; what `Pipe.replay` asks for."""
        return (self.linked_flow if self.is_linked else self.flow).stages[-1].process(chunk, run, block)

    @cached_property
    def flow(self) -> Flow:
        """What this junction runs; behind a link, what it runs now."""
        return Flow(_Linked(self)) if self.is_linked else self.make_flow()

    @property
    def linked_flow(self) -> Flow:
        """The flow over the components as they are linked now; made anew only where one has changed."""
        components = list(self.components.values())
        known: tuple[list[Pipe], Flow] | None = self.__dict__.get("_linked_flow")
        if known is None or any(a is not b for a, b in zip(known[0], components, strict=True)):
            self.check_components()
            known = components, self.make_flow()
            self._linked_flow = known
        return known[1]

    @property
    def known_columns(self) -> list[str] | None:
        """Unknown: a rule may make any. A junction that knows better says so."""
        return None

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
        return f"{type(self).__name__}({inside}{self.options()})"

    def options(self) -> str:
        """Return what else changes the result, as text that begins with a comma: ``, seed=0``."""
        return ""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_linked_flow"}


class _Linked(Base):
    """What a junction with links runs, looked up each time it is used."""

    def __init__(self, junction: Junction) -> None:
        self._junction = junction

    @property
    def is_batched(self) -> bool:  # type: ignore[override]
        return self._junction.linked_flow.is_batched

    @property
    def is_indexable(self) -> bool:  # type: ignore[override]
        return self._junction.linked_flow.is_indexable

    @property
    def row_bytes(self) -> int:
        return self._junction.linked_flow.base.row_bytes

    def num_items(self) -> int:
        return self._junction.linked_flow.num_items()

    def num_rows(self, span: Span, epoch: int) -> int:
        return self._junction.linked_flow.num_rows_of(span, epoch)

    def rows_at(self, span: Span, epoch: int) -> Origins:
        return self._junction.linked_flow.rows_at(span, epoch)

    def num_source_rows(self) -> int | None:
        return self._junction.linked_flow.base.num_source_rows()

    def no_rows(self) -> Message:
        return self._junction.linked_flow.no_rows()

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:
        return self._junction.linked_flow.pieces(span, run)

    def open(self, run: Run) -> Cursor:
        return self._junction.linked_flow.open(run)
