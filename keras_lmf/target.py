"""What a model predicts: named classes, or a number in a range."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

# Names become layers' and folders' names.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class Target(BaseModel):
    """The label of a corpus and the output of a model. Give exactly one of `classes` and `range`.

    Args:
        name: the output's name in the model's dict of outputs, for example "emotion".
        classes: class names in the order of the label integers 0, 1, ….
        range: smallest and largest value of a regression label, for example (-3, 3).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Name
    classes: tuple[str, ...] | None = None
    range: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Target:
        if (self.classes is None) == (self.range is None):
            raise ValueError("give exactly one of 'classes' (class names) and 'range' (smallest, largest)")
        if self.classes is not None and (
            len(self.classes) < 2 or len(set(self.classes)) != len(self.classes)
        ):
            raise ValueError(f"'classes' needs two or more different names, received {list(self.classes)}")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError(f"'range' needs smallest < largest, received {list(self.range)}")
        return self

    @property
    def size(self) -> int:
        """Width of the model's output: the number of classes (logits), or 1."""
        return len(self.classes) if self.classes else 1
