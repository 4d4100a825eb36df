"""What the sections of a recipe are made of."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from keras_lmf.spec import Media, Spec

Rate = Annotated[float, Field(ge=0, lt=1)]
Noise = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
# What an honest recipe stays far below. A recipe may be a stranger's: `zoo.load` builds what it says.
Count = Annotated[int, Field(ge=1, le=2**20)]
Counts = Annotated[tuple[Count, ...], Field(max_length=32)]
Width = Annotated[int, Field(ge=0, le=4096)]
Side = Annotated[int, Field(ge=1, le=1024)]  # of a picture that is made larger, so that it takes no gigabytes
Bands = Annotated[int, Field(ge=1, le=256)]


class Part(Spec):
    """A frozen section of a recipe; an unknown key is an error."""


class Network(Part):
    """A front end or a backbone.

    Attributes:
        name: its word.
        media: what of a media file it takes; None: features.
    """

    name: str
    media: ClassVar[Media | None] = None
