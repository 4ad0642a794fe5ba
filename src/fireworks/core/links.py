"""A component that lives elsewhere: an attribute of another object, looked up each time it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from fireworks.core.pipe import Pipe
from fireworks.errors import did_you_mean

if TYPE_CHECKING:
    from fireworks.core.junction import Junction


@final
class Link:
    """Another object's attribute, as a component of a junction; made by `link`."""

    def __init__(self, owner: Any, attribute: str) -> None:
        if not isinstance(attribute, str):
            raise TypeError(f"link: the attribute is a name; got {attribute!r:.60} of type {type(attribute).__name__}.")
        self.owner, self.attribute = owner, attribute

    def __repr__(self) -> str:
        return f"{type(self.owner).__name__}.{self.attribute}"

    def resolve(self, *, who: str) -> Pipe:
        """Return the pipe that the attribute holds now.

        Raises:
            TypeError: the object lacks the attribute, or it holds no pipe.
        """
        try:
            found = getattr(self.owner, self.attribute)
        except AttributeError as error:
            hint = did_you_mean(self.attribute, (name for name in dir(self.owner) if not name.startswith("_")))
            raise TypeError(f"{who} is linked to {self!r}, which is not there.{hint}") from error
        if not isinstance(found, Pipe):
            raise TypeError(
                f"{who} is linked to {self!r}, which must hold a pipe; it holds {found!r:.60} of type "
                f"{type(found).__name__}. Wrap it: fw.source(…)."
            )
        return found


def link(owner: Any, attribute: str) -> Any:
    """Return a component that is another object's attribute, and stays in step with it.

    The attribute is looked up when the junction is used: assign another pipe to it, and the next pass, and everything
    built on the junction, reads the new one. A pass that is under way goes on as it began. Behind a link rows are
    computed before they are ordered, so put ``shuffle`` into the linked pipe where maps are costly.

    Args:
        owner: Any object; to pickle the junction it must pickle too.
        attribute: The name of an attribute that holds a pipe when the junction is used.

    Raises:
        TypeError: ``attribute`` is no text; when used: the object lacks it, or it holds no pipe.

    Example:
        >>> class Settings: data = fw.source({"x": torch.arange(2)})
        >>> junction = fw.Zip({"rows": fw.link(Settings, "data")})
        >>> Settings.data = fw.source({"x": torch.arange(4)})
        >>> junction.to_message()["x"].tolist()
        [0, 1, 2, 3]
    """
    return Link(owner, attribute)


def require_no_cycle(junction: Junction) -> None:
    """Raise a ValueError that shows the way round if a junction is among its own inputs."""
    way = _way_to(junction, junction, set())
    if way:
        shown = " → ".join(_label(pipe) for pipe in reversed([junction, *way]))
        raise ValueError(
            f"{type(junction).__name__}: a pipe can't be its own input; here {shown}. To bring something back from "
            "downstream use fw.Feedback, which hands it out from the next epoch on."
        )


def _way_to(goal: Pipe, pipe: Pipe, seen: set[int]) -> list[Pipe]:
    """Return the pipes from an input of ``pipe`` up to ``goal``; empty if it is not upstream."""
    for reads in inputs_of(pipe):
        if reads is goal:
            return [reads]
        if id(reads) not in seen:
            seen.add(id(reads))
            if way := _way_to(goal, reads, seen):
                return [reads, *way]
    return []


def inputs_of(pipe: Pipe) -> list[Pipe]:
    """Return what a pipe reads from: its input, and the components of a junction as they are linked now."""
    from fireworks.core.junction import Junction

    return [pipe.input] if pipe.input is not None else pipe.resolved() if isinstance(pipe, Junction) else []


def _label(pipe: Pipe) -> str:
    from fireworks.core.junction import Junction

    return type(pipe).__name__ if isinstance(pipe, Junction) else pipe.describe()
