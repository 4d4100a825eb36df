"""table and show: what they hold, what they refuse, and that they load no framework."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from zoo_entry import NAME, Mirror

import keras_lmf as klmf
from keras_lmf import locate
from keras_lmf.cli import main
from keras_lmf.errors import LMFError
from keras_lmf.zoo import Entry, fetch


@pytest.fixture
def bundle(home: Path, entry_folder: Path, tmp_path: Path) -> Path:
    """Two bundled entries: the tiny one, and a larger early fusion of voice alone under another licence."""
    zoo = tmp_path / "package" / "keras_lmf" / "_zoo"
    shutil.copytree(entry_folder, zoo / NAME)
    entry = Entry.read(entry_folder)
    weights = entry.files["weights"].model_copy(update={"bytes": 3_000_000})
    fields = entry.model_dump() | {
        "name": "early-other-a",
        "fusion": "early",
        "corpus": "other",
        "modalities": ["audio"],
        "inputs": {"audio": entry.inputs["audio"]},
        "files": entry.files | {"weights": weights},
        "licences": {"code": "Apache-2.0", "weights": "CC-BY-NC-4.0", "data": "on request"},
    }
    (zoo / "early-other-a").mkdir()
    Entry(**fields).write(zoo / "early-other-a")
    (zoo / "not-trained-yet").mkdir()  # a recipe alone is no entry
    shutil.copy(entry_folder / "recipe.toml", zoo / "not-trained-yet")
    return zoo


def names(**filters) -> list[str]:
    return klmf.zoo.table(**filters)["name"].tolist()


def test_the_table_has_one_row_per_entry(bundle: Path) -> None:
    table = klmf.zoo.table()
    assert table["name"].tolist() == ["early-other-a", NAME]
    row = table.set_index("name").loc[NAME]
    assert row["modalities"] == "audio, video"
    assert row["mb"] == pytest.approx((bundle / NAME / "model.weights.h5").stat().st_size / 1e6)
    assert (row["metric"], row["value"], row["floor"]) == ("war", 0.75, 0.5)
    assert row["weights_licence"] == "CC0-1.0"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"fusion": "early"}, ["early-other-a"]),
        ({"fusion": "tensor"}, []),
        ({"fusion": "tfn"}, []),
        ({"fusion": "lmf"}, [NAME]),
        ({"corpus": "synthetic"}, [NAME]),
        ({"modality": "video"}, [NAME]),
        ({"modality": "audio"}, ["early-other-a", NAME]),
        ({"licence": "non-commercial"}, ["early-other-a"]),
        ({"licence": "cc0-1.0", "modality": "AUDIO", "corpus": "Synthetic", "fusion": "LMF"}, [NAME]),
        ({"takes": "Features"}, ["early-other-a", NAME]),
        ({"takes": "sound"}, []),
        ({"max_mb": 3}, ["early-other-a", NAME]),
        ({"max_mb": 2.9}, [NAME]),
        ({"modality": "audio", "corpus": "other", "max_mb": 1}, []),
    ],
)
def test_filters(bundle: Path, filters: dict, expected: list[str]) -> None:
    assert names(**filters) == expected


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ({"fusion": "lowrank"}, "Unknown fusion 'lowrank'. Did you mean 'low_rank'"),
        ({"corpus": "sinthetic"}, "Did you mean 'synthetic'"),
        ({"modality": "vidoe"}, "Did you mean 'video'"),
        ({"licence": "CC0"}, "Did you mean 'CC0-1.0'"),
        ({"max_mb": 0}, "above 0"),
        ({"max_mb": "5"}, "above 0"),
        ({"max_ms": -1}, "above 0"),
        ({"takes": "clips"}, "Did you mean 'clip'"),
    ],
)
def test_an_unknown_filter_value_is_named(bundle: Path, filters: dict, reason: str) -> None:
    with pytest.raises(LMFError, match=reason):
        klmf.zoo.table(**filters)


def test_what_was_fetched_is_in_the_table(mirror: Mirror, tmp_path: Path) -> None:
    assert names() == []
    fetch(NAME, files=[])
    assert names() == [NAME]
    assert names(cache_dir=tmp_path / "elsewhere") == []


def test_an_entry_in_the_wrong_folder_is_named(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    (bundle / NAME).rename(bundle / "moved")
    assert names() == ["early-other-a"]
    assert f"holds the entry '{NAME}'" in caplog.text


def test_show_explains_an_entry(bundle: Path, entry_folder: Path) -> None:
    text = klmf.zoo.show(NAME)
    for part in (
        f"{NAME}: Emotion (2 classes) from audio and video by low-rank fusion, trained on made-up data.",
        "75% right; always the same answer: 50% right",
        "95 % interval 0.700 to 0.800; 5 trainings of the Keras model 0.760 ± 0.010",
        "logits of calm, excited",
        "(8)",
        "standard deviations",
        "0.750 [0.700, 0.800]",
        "0.500",
        "200,000",
        "code Apache-2.0; weights CC0-1.0; training data none, the data are made up",
        f"keras_lmf.load('{NAME}')",
        "Random weights: the numbers here are made up.",
    ):
        assert part in text
    assert f"keras_lmf.load('{entry_folder}')" in klmf.zoo.show(entry_folder)
    with pytest.raises(LMFError, match=f"Unknown zoo entry 'tiny-sintetic-av'. Did you mean '{NAME}'"):
        klmf.zoo.show("tiny-sintetic-av")


def show_json(name: str) -> dict:
    """What `show NAME --json` prints, for a program."""
    done = CliRunner().invoke(main, ["show", name, "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_show_tells_a_program_all_fields(bundle: Path) -> None:
    facts = show_json(NAME)
    assert Path(facts.pop("folder")) == bundle / NAME
    assert facts.items() >= json.loads((bundle / NAME / "entry.json").read_text()).items()
    assert CliRunner().invoke(main, ["show", "no-such-entry", "--json"]).exit_code == 1


def test_a_bundled_name_means_the_bundled_entry(bundle: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "work" / NAME).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    assert f"in {bundle / NAME}" in klmf.zoo.show(NAME)
    with pytest.raises(LMFError, match="holds no entry"):
        klmf.zoo.show(f"./{NAME}")


def test_show_sends_files_to_inspect(home: Path, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").touch()
    with pytest.raises(LMFError, match=r"is a \.tflite file.*keras-lmf inspect"):
        klmf.zoo.show(tmp_path / "model.tflite")
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(LMFError, match=r"Can't tell what .* is"):
        klmf.zoo.show(tmp_path / "notes.json")


def test_table_and_show_load_no_framework(entry_folder: Path) -> None:
    code = (
        "import sys, keras_lmf as klmf\n"
        f"klmf.zoo.table(); klmf.zoo.show({str(entry_folder)!r})\n"
        "print(sorted({'keras', 'tensorflow', 'jax', 'torch', 'ai_edge_litert', 'pooch'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_where_entries_are_bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "keras_lmf"
    monkeypatch.setattr(locate, "PACKAGE", package)
    # An installed wheel without entries, beside someone else's package `zoo`.
    package.mkdir(parents=True)
    (package.parent / "zoo").mkdir()
    assert locate.bundled_folder() is None
    (package.parent / "pyproject.toml").touch()  # a clone
    assert locate.bundled_folder() == package.parent / "zoo"
    (package / "_zoo").mkdir()  # a wheel
    assert locate.bundled_folder() == package / "_zoo"


def test_the_clone_of_the_tests_is_found() -> None:
    root = Path(klmf.__file__).parents[1]
    if not (root / "pyproject.toml").is_file():
        pytest.skip("keras-lmf is not imported from a clone here")
    assert locate.bundled_folder() == root / "zoo"


def test_the_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(locate.HOME, "~/lmf")
    assert locate.cache_folder() == Path("~/lmf/zoo").expanduser()
    assert locate.cache_folder(tmp_path) == tmp_path
    monkeypatch.delenv(locate.HOME)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if os.name == "posix" and sys.platform != "darwin":
        assert locate.cache_folder() == tmp_path / "keras-lmf" / "zoo"
