"""Recipe: TOML in and out, what it refuses and what it suggests, and that it loads no backend."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest
from pydantic import ValidationError
from toy_recipe import TEXT, sections

from keras_lmf.errors import LMFError
from keras_lmf.models import build
from keras_lmf.recipe import Recipe
from keras_lmf.target import Target


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(**sections())


def test_read_gives_what_the_file_says_and_the_defaults(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(TEXT)
    recipe = Recipe.read(path)
    assert (recipe.name, recipe.seed, recipe.corpus.options) == ("lmf-toy-av", 3, {"samples": 40})
    assert list(recipe.inputs) == ["audio", "video"]
    assert recipe.inputs["audio"].shape == (6, 4)
    assert (recipe.inputs["audio"].backbone.units, recipe.inputs["video"].backbone.units) == (8, (16, 8))
    assert (recipe.fusion.rank, recipe.fusion.initialization) == (3, "variance_preserving")
    assert (recipe.training.epochs, recipe.training.batch_size) == (7, 32)
    assert recipe.target.size == 3


@pytest.mark.parametrize("regression", [False, True])
def test_toml_round_trip(recipe, tmp_path, regression):
    if regression:
        target, training = {"name": "sentiment", "range": [-3, 3]}, {"loss": "mae"}
        recipe = Recipe(**sections() | {"target": target, "training": training})
    path = recipe.write(tmp_path / "again.toml")
    again = Recipe.read(path)
    assert again == recipe
    assert again.fingerprint == recipe.fingerprint
    assert tomllib.loads(path.read_text())["target"]["name"] == recipe.target.name
    assert list(again.inputs) == ["audio", "video"]


def test_classes_are_balanced_once():
    both = sections()
    both["training"] |= {"prior_correction": 0.5, "class_weights": "balanced"}
    with pytest.raises(LMFError, match=r"take one of them"):
        Recipe(**both)


@pytest.mark.parametrize("setting", [{"monitor": "pearson"}, {"output_bias": "label_mean"}])
def test_settings_for_numbers_are_refused_for_classes(recipe, setting):
    with pytest.raises(LMFError, match=r"needs a range; target 'emotion' has classes"):
        recipe.replace(training=setting)


def test_a_recipe_is_frozen(recipe):
    with pytest.raises(ValidationError, match="frozen"):
        recipe.seed = 4


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("sede",), 1, "Unknown field 'sede'.*Did you mean 'seed'"),
        (
            ("training", "learning_rat"),
            1,
            "training: Unknown field 'learning_rat'. Did you mean 'learning_rate'",
        ),
        (("fusion", "ranks"), 1, "Did you mean 'rank'"),
        (("head", "dropuot"), 0.1, "Did you mean 'dropout'"),
        (("corpus", "option"), {}, "Did you mean 'options'"),
        (("target", "clases"), ["a"], "Did you mean 'classes'"),
        (("inputs", "audio", "shap"), [1], "Did you mean 'shape'"),
        (("inputs", "audio", "backbone", "unit"), 3, "Did you mean 'units'"),
        (("inputs", "video", "backbone", "kernel_size"), 3, "Allowed: name, .*units"),
        (("fusion", "name"), "lowrank", "'lowrank'. Did you mean 'low_rank'. Allowed: .*early"),
        (("inputs", "audio", "backbone", "name"), "bilstn", "'bilstn'. Did you mean 'bilstm'"),
        (("training", "loss"), "mea", "training.loss.*'mea'.*mae"),
        (("fusion", "rank"), 0, "fusion.*rank.*greater than or equal to 1.*received 0"),
        (("head", "dropout"), 1.0, "head.dropout.*less than 1.*received 1.0"),
        (("inputs", "audio", "shape"), ["x"], "inputs.audio.shape.*received 'x'"),
        (("seed",), -1, "seed.*received -1"),
        (("inputs",), {}, "inputs"),
        (("fusion",), {"units": 3}, "fusion: it needs a 'name'"),
        (("target", "range"), [0, 1], "exactly one of 'classes'"),
        (("target", "classes"), ["a", "a"], "different names"),
    ],
)
def test_mistakes_are_named_and_mended(path, value, message):
    broken = sections()
    section = broken
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value
    with pytest.raises(LMFError, match=message):
        Recipe(**broken)


CLASSES = Target(name="emotion", classes=("awake", "tired"))
RANGE = Target(name="arousal", range=(0, 1))


@pytest.mark.parametrize(("target", "loss"), [(CLASSES, "cross_entropy"), (RANGE, "mae")])
def test_a_recipe_without_a_target_takes_the_corpus_s(target, loss):
    left_open = sections()
    del left_open["target"], left_open["training"]["loss"]
    recipe = Recipe(**left_open)
    assert recipe.target is None
    closed = recipe.for_target(target)
    assert (closed.target, closed.training.loss) == (target, loss)
    assert closed.for_target(CLASSES) == closed  # what a recipe says stands
    with pytest.raises(LMFError, match="target"):
        build(recipe)


@pytest.mark.parametrize("key", ["name", "corpus", "inputs", "fusion", "training"])
def test_a_missing_section_is_named(key):
    broken = sections()
    del broken[key]
    with pytest.raises(LMFError, match=f"'{key}' is missing"):
        Recipe(**broken)


@pytest.mark.parametrize(
    ("target", "loss", "fits"),
    [
        ({"name": "y", "classes": ["a", "b"]}, "cross_entropy", True),
        ({"name": "y", "classes": ["a", "b"]}, "mae", False),
        ({"name": "y", "range": [0, 1]}, "cross_entropy", False),
        ({"name": "y", "range": [0, 1]}, "mse", True),
        ({"name": "y", "range": [0, 1]}, "huber", True),
    ],
)
def test_the_loss_must_fit_the_target(target, loss, fits):
    changed = sections() | {"target": target, "training": {"loss": loss}}
    if fits:
        assert Recipe(**changed).training.loss == loss
    else:
        with pytest.raises(LMFError, match=f"loss '{loss}' does not fit target 'y'"):
            Recipe(**changed)


def test_replace_merges_sections_and_leaves_the_original(recipe):
    changed = recipe.replace(seed=9, fusion={"rank": 8}, inputs={"video": {"backbone": {"dropout": 0.5}}})
    assert (changed.seed, changed.fusion.rank, changed.fusion.units) == (9, 8, 12)
    assert changed.inputs["video"].backbone.dropout == 0.5
    assert changed.inputs["video"].backbone.units == (16, 8)
    assert changed.inputs["audio"] == recipe.inputs["audio"]
    assert (recipe.seed, recipe.fusion.rank) == (3, 3)


def test_replace_with_another_word_replaces_the_whole_section(recipe):
    assert recipe.replace(fusion={"name": "tensor"}).fusion.model_dump() == {"name": "tensor"}
    changed = recipe.replace(inputs={"audio": {"backbone": {"name": "temporal_convolution"}}})
    assert changed.inputs["audio"].backbone.filters == (64, 64)
    assert changed.inputs["audio"].shape == (6, 4)
    assert recipe.replace(fusion={"name": "low_rank", "rank": 8}).fusion.units == 12


def test_replace_can_turn_classes_into_a_range(recipe):
    changed = recipe.replace(target={"name": "arousal", "range": [0, 1]}, training={"loss": "mse"})
    assert (changed.target.classes, changed.target.range) == (None, (0, 1))


def test_replace_refuses_what_the_recipe_would_refuse(recipe):
    with pytest.raises(LMFError, match="Did you mean 'rank'"):
        recipe.replace(fusion={"rnak": 2})


def test_select_keeps_these_modalities_in_this_order(recipe):
    assert list(recipe.select(["video", "audio"]).inputs) == ["video", "audio"]
    assert list(recipe.select(["audio"]).inputs) == ["audio"]
    assert recipe.select(["audio"]).inputs["audio"] == recipe.inputs["audio"]
    with pytest.raises(LMFError, match=r"Unknown modality 'vidoe'\. Did you mean 'video'"):
        recipe.select(["vidoe"])
    with pytest.raises(LMFError, match="inputs"):
        recipe.select([])


def test_unreadable_files_are_named(tmp_path):
    path = tmp_path / "recipe.toml"
    with pytest.raises(LMFError, match=r"recipe\.toml: no such file"):
        Recipe.read(path)
    for content in (b"name = ", b"\xff\xfe\x00"):
        path.write_bytes(content)
        with pytest.raises(LMFError, match=r"recipe\.toml is not a readable TOML file"):
            Recipe.read(path)
    path.write_text(TEXT.replace("rank = 3", "rnak = 3"))
    with pytest.raises(LMFError, match=r"recipe\.toml: .*Did you mean 'rank'"):
        Recipe.read(path)
    with pytest.raises(LMFError, match="a folder"):
        Recipe.read(tmp_path)


def test_presence_needs_several_inputs(recipe):
    sections = recipe.model_dump()
    sections["inputs"] = {"audio": sections["inputs"]["audio"]}
    sections |= {"fusion": {"name": "none"}, "presence": {}}
    with pytest.raises(
        LMFError, match="presence tells which of several inputs are there, received audio alone"
    ):
        Recipe(**sections)


def test_reading_a_recipe_loads_no_keras(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(TEXT)
    script = (
        "import sys; from keras_lmf.recipe import Recipe; Recipe.read(sys.argv[1]);"
        "print(sorted({'keras', 'tensorflow', 'jax', 'torch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "my first"),
        ("name", "../../elsewhere"),
        ("name", ""),
        ("target.name", "fusion"),
        ("target.name", "head_0"),
        ("target.name", "audio"),
        ("training.learning_rate", float("inf")),
    ],
)
def test_what_can_be_no_layer_folder_or_number_is_refused(recipe, path, value):
    first, _, rest = path.partition(".")
    with pytest.raises(LMFError):
        recipe.replace(**{first: {rest: value} if rest else value})
