"""What a model predicts: named classes, or one or several numbers in a range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_serializer, model_validator

# Names become layers' and folders' names.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
# One line without control characters (a terminal obeys those), not blank.
Text = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\p{Cc}]*[^\p{Cc}\s][^\p{Cc}]*$")]
EMBEDDING = "embedding"  # an output beside the target's: the vector of which the answer is made


class Target(BaseModel):
    """The label of a corpus and the output of a model. Give exactly one of `classes` and `range`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Name = Field(description="The output's name in the model's answers, for example \"emotion\".")
    classes: tuple[str, ...] | None = Field(None, description="Class names in the order of labels 0, 1, ….")
    range: tuple[float, float] | None = Field(None, description="Of a number: smallest, largest; as (-3, 3).")
    dimensions: tuple[Name, ...] | None = Field(
        None, description='Names of the numbers where a label holds several, as ("arousal", "valence").'
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Target:
        if (self.classes is None) == (self.range is None):
            raise ValueError("give exactly one of 'classes' (class names) and 'range' (smallest, largest)")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError(f"'range' needs smallest < largest, received {list(self.range)}")
        if self.dimensions is not None and self.range is None:
            raise ValueError("'dimensions' name the numbers of a regression label: give them with 'range'")
        for field in ("classes", "dimensions"):
            names = getattr(self, field)
            if names is not None and (len(names) < 2 or len(set(names)) != len(names)):
                raise ValueError(f"{field!r} needs two or more different names, received {list(names)}")
        return self

    @model_serializer(mode="wrap")
    def _without_absent_dimensions(self, serialize: Callable[[Target], dict[str, Any]]) -> dict[str, Any]:
        # Files and fingerprints of targets without dimensions are what they were before dimensions existed.
        fields = serialize(self)
        if self.dimensions is None:
            fields.pop("dimensions", None)
        return fields

    @property
    def size(self) -> int:
        """Width of the model's output: the number of classes (logits), of dimensions, or 1."""
        return len(self.classes or self.dimensions or "1")

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of one label: (number of dimensions,), or () for a class index or a single number."""
        return () if self.dimensions is None else (len(self.dimensions),)
