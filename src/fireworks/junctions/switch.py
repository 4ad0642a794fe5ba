"""One of several inputs, chosen by name while running."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import final

from fireworks.core.chunk import Chunk, Span
from fireworks.core.cursor import Cursor, State
from fireworks.core.flow import Base, Flow
from fireworks.core.junction import Junction
from fireworks.core.pipe import Pipe
from fireworks.core.run import Run
from fireworks.errors import NoRandomAccessError, StateError, UnknownLengthError, did_you_mean
from fireworks.junctions.one_of_many import check_alike, known_columns
from fireworks.message import Message


@final
class Switch(Junction):
    """Hand out the items of the component that is active; which one that is may change at any time, also within a pass.

    Each component keeps its own place in a pass: switching back goes on where it was left. A change counts from the next
    item on that a pass reads; a stage behind that reads ahead, such as a map over rows, has read up to a block already, so
    switch behind ``batch`` where the very next item matters. When the active component is at its end, the pass ends,
    whatever is left in the others. A switch is a stream, because only the future says what is chosen.

    What was active, and the place in each component, are part of an iterator's state. The switch itself has a state too,
    for the passes to come: save both, and load the switch last.

    Args:
        components: Pipes by name, with the same columns; all over rows, or all over batches.
        active: The name of the component to begin with; the first if not given.

    Raises:
        ValueError: there is no component of that name.
        TypeError: some are batched and some are not.
        SchemaMismatchError: a component is known to have other columns or types.

    Example:
        >>> easy, hard = fw.source({"x": torch.arange(4)}), fw.source({"x": torch.arange(10, 14)})
        >>> switch = Switch({"easy": easy, "hard": hard})
        >>> rows = iter(switch); seen = [next(rows), next(rows)]
        >>> switch.to("hard"); seen.append(next(rows))
        >>> switch.to("easy"); seen.append(next(rows))
        >>> fw.concat(seen)["x"].tolist()
        [0, 1, 10, 2]
    """

    def __init__(self, components: Mapping[str, Pipe], *, active: str | None = None) -> None:
        super().__init__(components)
        first = next(iter(self._components))
        self._active = first if active is None else self._known(active)
        self._changes = 0

    def _known(self, name: object) -> str:
        if name not in self._components:
            raise ValueError(
                f"Switch: no component {name!r}; there are {list(self._components)}."
                f"{did_you_mean(str(name), self._components)}"
            )
        return str(name)

    @property
    def active(self) -> str:
        """The name of the component that new items come from; assign another name to change it."""
        return self._active

    @active.setter
    def active(self, name: str) -> None:
        self.to(name)

    def to(self, name: str) -> None:
        """Take items from the component of that name, from the next item on, in the passes under way and those to come.

        Raises:
            ValueError: there is no component of that name.
        """
        self._active = self._known(name)
        self._changes += 1

    def state_dict(self) -> dict[str, str]:
        """Return which component is active."""
        return {"active": self._active}

    def load_state_dict(self, state: Mapping[str, str]) -> None:
        """Make the component active that was so.

        Raises:
            StateError: there is no such component.
        """
        if state.get("active") not in self._components:
            raise StateError(f"Switch: the state names {state.get('active')!r}; there are {list(self._components)}.")
        self.to(state["active"])

    def check_components(self) -> None:
        check_alike(self)

    @property
    def known_columns(self) -> list[str] | None:
        return known_columns(self)

    def make_flow(self) -> Flow:
        return Flow(_Switched(self, {name: component.flow for name, component in self.components.items()}))


class _Switched(Base):
    """The items of whichever component is active."""

    is_indexable = False

    def __init__(self, switch: Switch, flows: dict[str, Flow]) -> None:
        self._switch, self._flows = switch, flows
        self.is_batched = next(iter(flows.values())).is_batched

    @property
    def row_bytes(self) -> int:
        return max(flow.base.row_bytes for flow in self._flows.values())

    def num_items(self) -> int:
        raise UnknownLengthError("Switch: which component is active may change, so the length is not known in advance.")

    def pieces(self, span: Span, run: Run) -> Iterator[Chunk]:  # noqa: ARG002
        raise NoRandomAccessError("Switch: which component is active may change, so it is a stream.")

    def no_rows(self) -> Message:
        return self._flows[self._switch.active].no_rows()

    def open(self, run: Run) -> Cursor:
        return _SwitchCursor(self._switch, self._flows, run)


class _SwitchCursor(Cursor):
    """A place in each component, and which one is active for this pass."""

    def __init__(self, switch: Switch, flows: Mapping[str, Flow], run: Run) -> None:
        self._switch = switch
        self._inputs = {name: flow.open(run) for name, flow in flows.items()}
        self._follow()
        self._has_ended = False

    def _follow(self) -> None:
        self._active, self._changes = self._switch.active, self._switch._changes

    def read(self, num_rows: int) -> Chunk | None:
        if self._has_ended:
            return None
        if self._changes != self._switch._changes:
            self._follow()
        chunk = self._inputs[self._active].read(num_rows)
        self._has_ended = chunk is None
        return chunk

    def state_dict(self) -> State:
        return {
            "active": self._active,
            "ended": self._has_ended,
            "components": {name: cursor.state_dict() for name, cursor in self._inputs.items()},
        }

    def load_state_dict(self, state: State) -> None:
        self._active, self._has_ended = str(state["active"]), bool(state["ended"])
        self._changes = self._switch._changes  # only what is chosen from now on counts
        for name, cursor in self._inputs.items():
            cursor.load_state_dict(state["components"][name])
