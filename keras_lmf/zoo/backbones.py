"""Published weights of backbones: a folder of the zoo with a backbone.json instead of an entry.json."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from keras_lmf.errors import LMFError, unknown_name
from keras_lmf.files import write_text
from keras_lmf.locate import BACKBONE, known_backbones
from keras_lmf.spec import MAX_TEXT_BYTES, EntryName, Spec
from keras_lmf.target import Text
from keras_lmf.zoo.entry import MAX_PARAMETERS, File, Licences, Width
from keras_lmf.zoo.filling import weight_shapes
from keras_lmf.zoo.loading import require_answers, with_weights

if TYPE_CHECKING:
    import keras


class Backbone(Spec):
    """Published weights of a backbone.

    Attributes:
        schema_version: of this layout.
        name: the folder's.
        summary: one sentence.
        front_end: the word of the recipe, and the function that makes it.
        shape: of its input in the test vectors, without the batch axis.
        parameters: numbers in all weights together.
        files: "weights" and "testvectors".
        weights: (path, shape) of every weight, in the order of `model.weights`.
        source: where the weights come from, with the SHA-256 of the file that was converted.
        licences: of code, weights and data.
        citations: what to cite.
        keras_lmf_version: that wrote the folder.
    """

    schema_version: Literal[1] = 1
    name: EntryName
    summary: Text
    front_end: Literal["ge2e", "mini_xception"]
    shape: Annotated[tuple[Annotated[int, Field(ge=1, le=2**20)], ...], Field(min_length=1, max_length=4)]
    parameters: Annotated[int, Field(ge=1, le=MAX_PARAMETERS)]
    files: dict[Literal["weights", "testvectors"], File]
    weights: Annotated[tuple[tuple[Text, tuple[Width, ...]], ...], Field(min_length=1)]
    source: Text
    licences: Licences
    citations: tuple[Text, ...] = ()
    keras_lmf_version: Text

    @model_validator(mode="after")
    def _has_both_files(self) -> Backbone:
        if missing := {"weights", "testvectors"} - set(self.files):
            raise ValueError(f"'files' lacks {', '.join(sorted(missing))}")
        return self

    @classmethod
    def read(cls, folder: Path) -> Backbone:
        """The backbone in `folder`.

        Raises:
            LMFError: no backbone.json, a large one, no JSON, or a field that is missing, unknown or wrong.
        """
        path = Path(folder) / BACKBONE
        if not path.is_file() or path.stat().st_size > MAX_TEXT_BYTES:
            raise LMFError(
                f"{str(folder)!r} is no backbone of the zoo: no {path} of at most {MAX_TEXT_BYTES} bytes."
            )
        try:
            return cls.model_validate_json(path.read_bytes(), strict=True)
        except ValidationError as error:
            problem = error.errors()[0]
            raise LMFError(f"{path}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}.") from None

    def write(self, folder: Path) -> Path:
        """Writes backbone.json, atomically."""
        fields = self.model_dump(mode="json")
        return write_text(Path(folder) / BACKBONE, json.dumps(fields, indent=1, ensure_ascii=False) + "\n")


def published_model(front_end: str, shape: Sequence[int]) -> keras.Model:
    """The front end of that word with all of its taps, {waveform or frames} → {embedding}, random weights."""
    import keras

    from keras_lmf.backbones import frames, front_ends

    makers = {
        "ge2e": functools.partial(front_ends.ge2e, layers=range(1, front_ends.GE2E_LAYERS + 1)),
        "mini_xception": functools.partial(frames.mini_xception, taps=tuple(frames.TAPS)),
    }
    body = makers[front_end](shape)
    inputs = keras.Input(tuple(shape), name=body.input.name)
    return keras.Model({body.input.name: inputs}, {"embedding": body(inputs)}, name=front_end)


def load_backbone(name: str | Path, shape: Sequence[int] | None = None) -> keras.Model:
    """The front end with its published weights, all layers of it: its input → all taps beside one another.

    >>> load_backbone("ge2e").get_layer("lstm_2").units             # doctest: +SKIP
    256

    Args:
        name: of a backbone in the zoo, or a folder that holds one.
        shape: of the model's input, without the batch axis; None: of the test vectors.

    Raises:
        LMFError: an unknown name; a file that is missing or has another sha256; weights of other shapes, or that
            don't answer the test vectors.
    """
    known = known_backbones()
    folder = Path(name) if isinstance(name, Path) or str(name) not in known else known[str(name)]
    if not folder.is_dir():
        raise unknown_name("backbone", str(name), known)
    backbone = Backbone.read(folder)
    for record in backbone.files.values():
        if problem := record.problem(folder / record.name):
            raise LMFError(f"{folder / record.name} {problem}. Nothing was read from it.")
    model = published_model(backbone.front_end, backbone.shape)
    if weight_shapes(model) != backbone.weights:
        raise LMFError(
            f"The weights of {backbone.name!r} are not those of the front end {backbone.front_end!r}."
        )
    with_weights(model, folder / backbone.files["weights"].name)
    require_answers(model, folder / backbone.files["testvectors"].name, backbone.name)
    if shape is None:
        return model.layers[-1]
    longer = published_model(backbone.front_end, shape)
    longer.set_weights(model.get_weights())
    return longer.layers[-1]
