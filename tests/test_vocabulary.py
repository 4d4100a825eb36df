"""One vocabulary across corpora, and several corpora in one dataset, against hand-written expectations."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from keras_lmf.data import Dataset, load
from keras_lmf.data.corpora import describe, joined
from keras_lmf.data.corpora.description import CorpusDescription, CorpusInput, join_descriptions
from keras_lmf.data.corpora.joined import join
from keras_lmf.data.corpora.vocabulary import emotions, emotions_of, meanings
from keras_lmf.errors import LMFError
from keras_lmf.lazy import LazyArray
from keras_lmf.target import Target

# What the corpora's own papers and pages call their classes, and what each is here; None: no basic emotion.
WORDS = {
    "ravdess": "neutral=neutral calm= happy=happy sad=sad angry=angry fearful=fearful disgust=disgust "
    "surprised=surprised",
    "emodb": "anger=angry boredom= disgust=disgust anxiety=fearful happiness=happy sadness=sad neutral=neutral",
    "nemo": "anger=angry fear=fearful happiness=happy neutral=neutral sadness=sad surprised=surprised",
    "fer2013": "angry=angry disgust=disgust fear=fearful happy=happy neutral=neutral sad=sad surprise=surprised",
    "ferplus": "neutral=neutral happiness=happy surprise=surprised sadness=sad anger=angry disgust=disgust "
    "fear=fearful contempt= unknown= NF=",
    "meld": "anger=angry disgust=disgust fear=fearful joy=happy neutral=neutral sadness=sad surprise=surprised",
    "iemocap": "anger=angry happiness=happy excitement= sadness=sad frustration= fear=fearful surprise=surprised "
    "neutral-state=neutral disgust=disgust other=",
    "tess": "angry=angry disgust=disgust fear=fearful happy=happy neutral=neutral sad=sad Pleasant-Surprise=surprised",
    "enterface05": "anger=angry disgust=disgust fear=fearful happiness=happy sadness=sad surprise=surprised",
}


def corpus(name: str, classes: str, groups: str = "ann ann bob cat", **changes) -> Dataset:
    """A corpus with four rows of each class, a number of `voice` in each row; of four speakers, if not said."""
    words, people = classes.split(), groups.split()
    count = 4 * len(words)
    return Dataset(
        **{
            "name": name,
            "target": Target(name="emotion", classes=tuple(words)),
            "inputs": {"voice": np.arange(count)[:, None] + 1.0},
            "labels": np.repeat(np.arange(len(words)), 4),
            "groups": np.array(people * len(words)),
            "ids": np.array([f"clip{row}" for row in range(count)]),
            "splits": np.array(["train", "train", "valid", "test"] * len(words)),
        }
        | changes
    )


@pytest.mark.parametrize("name", WORDS)
def test_each_corpus_s_words(name):
    pairs = [pair.rpartition("=")[::2] for pair in WORDS[name].split()]
    found = emotions_of([word for word, _ in pairs], meanings(), name)
    assert found == [meaning or None for _, meaning in pairs]


def test_the_seven_mean_themselves():
    assert emotions() == ("angry", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
    assert emotions_of(emotions(), meanings(), "any") == list(emotions())


def test_choices_change_what_is_dropped():
    assert [meanings()[word] for word in ("calm", "excited", "bored")] == ["dropped"] * 3
    merged = meanings(merge=["calm", "excited"], words={"bored": "neutral"})
    assert [merged[word] for word in ("calm", "excitement", "bored")] == ["neutral", "happy", "neutral"]
    for wrong, message in (
        ({"merge": ["bored"]}, "'bored'.*calm, excited"),
        ({"words": {"x": "hapy"}}, "Did you mean 'happy'"),
    ):
        with pytest.raises(LMFError, match=message):
            meanings(**wrong)


def test_joined_rows_are_those_of_all_whose_word_maps():
    first, second = (
        corpus("first", "calm joy sadness"),
        corpus("second", "sad angry happy", "ann bob cat dan"),
    )
    data = join({"first": first, "second": second})
    assert data.target == Target(name="emotion", classes=("angry", "happy", "sad"))
    assert Counter(data.corpora.tolist()) == {"first": 8, "second": 12}
    words = Counter((name, data.target.classes[label]) for name, label in zip(data.corpora, data.labels))
    assert words == {("first", "happy"): 4, ("first", "sad"): 4} | {
        ("second", word): 4 for word in ("sad", "angry", "happy")
    }
    # A number of `voice` tells the row that it came from.
    for row, own in enumerate(data.inputs["voice"][:, 0].astype(int) - 1):
        source = {"first": first, "second": second}[data.corpora[row]]
        assert data.ids[row] == f"{source.name} {source.ids[own]}"
        assert data.splits[row] == source.splits[own]
        assert data.groups[row] == f"{source.name} {source.groups[own]}"
    speakers = {name: set(data.groups[data.corpora == name]) for name in ("first", "second")}
    assert not speakers["first"] & speakers["second"]


def test_merged_words_stay_and_a_target_of_all_is_kept():
    first, second = corpus("first", "calm neutral"), corpus("second", "neutral sad")
    assert Counter(join({"a": first, "b": second}, merge=["calm"]).labels.tolist()) == {0: 12, 1: 4}
    same = join({"a": first, "b": first})
    assert same.target == first.target
    assert len(same) == 2 * len(first)
    assert join({"a": first, "b": first}, merge=["calm"], words={"neutral": "sad"}).target.classes == (
        "neutral",
        "sad",
    )


def test_numbers_are_joined_where_they_mean_the_same():
    target = Target(name="valence", range=(0, 1))
    first = corpus("first", "a b", target=target, labels=np.linspace(0, 1, 8))
    assert join({"a": first, "b": first}).labels.tolist() == [*first.labels, *first.labels]
    with pytest.raises(LMFError, match="labels of a are numbers"):
        join({"a": first, "b": corpus("second", "happy sad")})


def test_masks_and_soft_labels_are_there_for_all_rows():
    mask = np.arange(3) < np.array([1, 2, 3, 1, 2, 3, 1, 2])[:, None]
    steps = np.ones((8, 3, 2))
    shares = np.tile([0.75, 0.25], (8, 1))
    votes = np.tile([0.5, 0.3, 0.2], (12, 1))
    first = corpus(
        "first",
        "happy sad",
        inputs={"face": steps, "voice": steps},
        masks={"voice": mask},
        soft_labels=shares,
    )
    second = corpus("second", "joy calm anger", inputs={"voice": np.ones((12, 3, 2))}, soft_labels=votes)
    third = corpus("third", "sad angry", inputs={"voice": steps})
    data = join({"first": first, "second": second, "third": third})
    assert list(data.inputs) == ["voice"]
    assert data.masks["voice"].tolist() == [*mask.tolist(), *[[True] * 3] * 16]
    assert data.target.classes == ("angry", "happy", "sad")
    np.testing.assert_allclose(data.soft_labels[:8], np.tile([0, 0.75, 0.25], (8, 1)))
    # Of .5 happy, .3 calm and .2 angry, calm is dropped.
    np.testing.assert_allclose(data.soft_labels[8:16], np.tile([2 / 7, 5 / 7, 0], (8, 1)), rtol=1e-6)
    assert data.soft_labels[16:].tolist() == [[0, 0, 1]] * 4 + [[1, 0, 0]] * 4


def test_what_is_larger_than_memory_stays_where_it_is():
    numbers = np.arange(8, dtype=np.float32)[:, None]
    disk = corpus("disk", "calm sad", inputs={"voice": LazyArray([numbers], "eight")})
    data = join({"disk": disk, "other": corpus("other", "happy sad")})
    assert isinstance(data.inputs["voice"], LazyArray)
    assert np.asarray(data.inputs["voice"])[:, 0].tolist() == [4, 5, 6, 7, *range(1, 9)]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"classes": "happy furious"}, r"class 'furious' is no word.*furious"),
        ({"classes": "bored calm"}, "no row of it is one of"),
        (
            {"classes": "happy sad angry", "inputs": {"face": np.ones((12, 2))}},
            "no modality in common.*voice.*face",
        ),
        (
            {"classes": "happy angry", "inputs": {"voice": np.ones((8, 2))}},
            r"shape \(1,\) in first and \(2,\)",
        ),
    ],
)
def test_what_can_t_be_joined(second, message):
    with pytest.raises(LMFError, match=message):
        join({"first": corpus("first", "happy sad"), "second": corpus("second", **second)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two corpora of one's own."""
    corpus("one", "joy calm").save(tmp_path / "one.npz")
    corpus("two", "sad happy").save(tmp_path / "two.npz")
    return tmp_path


def test_several_are_loaded_by_their_names(folder):
    data = load(["one.npz", "two.npz"], folder)
    assert (data.name, Counter(data.corpora.tolist())) == ("one+two", {"one": 4, "two": 8})
    assert len(load(["one.npz", "two.npz"], folder, merge=["calm"])) == 16
    for options, message in (
        ({"merge": ["clam"]}, "Did you mean 'calm'"),
        ({"merge": "calm"}, "merge.*valid list"),
        ({"words": {"hapy": "sad"}}, "'hapy'. Did you mean 'happy'"),
        ({"one": 3}, "takes a table"),
        ({"one": {"fold": 1}}, "takes no options, received fold"),
    ):
        with pytest.raises(LMFError, match=message):
            load(["one.npz", "two.npz"], folder, **options)
    with pytest.raises(LMFError, match="different names"):
        load(["one.npz", "one.npz"], folder)


@pytest.mark.parametrize(
    ("names", "shared"),
    [
        (["fer2013", "ferplus"], "fer2013"),
        (["voices_and_faces", "ravdess"], "ravdess"),
        (["ferplus", "emodb", "voices_and_faces"], "fer2013 and ferplus"),
        (["fer2013", "voices_and_faces"], "fer2013"),
        (["enterface05", "enterface05_landmarks"], "enterface05"),
    ],
)
def test_corpora_of_the_same_recordings_are_refused(names: list[str], shared: str, tmp_path: Path):
    with pytest.raises(LMFError, match=f"can't be joined: both hold {shared},"):
        load(names, tmp_path)


def test_an_option_may_be_one_corpus_s_own():
    given = {}

    def one(name: str, options: dict) -> Dataset:
        given[name] = options
        return corpus(name, "happy sad")

    options = {"seconds": 3.0, "fold": 1, "second": {"fold": 2}, "words": {"sad": "angry"}}
    joined.load(["first", "folder/second.npz"], options, one)
    assert given == {"first": {"seconds": 3.0, "fold": 1}, "folder/second.npz": {"seconds": 3.0, "fold": 2}}


def description(**changes) -> CorpusDescription:
    return CorpusDescription(
        **{
            "licence": "ours",
            "weights_licence": "CC BY 4.0",
            "inputs": {"voice": CorpusInput("full scale = 1", "sound", 16000)},
            "citation": "We, 2026",
        }
        | changes
    )


@pytest.mark.parametrize(
    ("licences", "strictest"),
    [
        # Of the two corpora of voices and one of faces, as it was written by hand for `voices_and_faces`.
        (
            ["CC BY-NC-SA 4.0", "free, with attribution", "research only"],
            "CC BY-NC-SA 4.0, and research only",
        ),
        (["CC BY 4.0", "CC BY-SA 4.0"], "CC BY-SA 4.0"),
        (["research only", "CC BY-NC 4.0"], "research only, and CC BY-NC 4.0"),
        (["Apache-2.0", "CC BY-NC-SA 4.0"], "CC BY-NC-SA 4.0"),
        (["Apache-2.0", "ask the authors"], "ask the authors"),
        (["Apache-2.0", "Apache-2.0"], "Apache-2.0"),
    ],
)
def test_the_strictest_licence_is_that_of_the_weights(licences, strictest):
    members = {f"corpus{i}": description(weights_licence=text) for i, text in enumerate(licences)}
    assert join_descriptions(members).weights_licence == strictest


def test_what_is_said_of_one_is_said_with_its_name():
    told = describe(["ravdess", "emodb"], Path(), ["voice"])
    assert list(told.inputs) == ["voice"]
    assert told.inputs["voice"].rate == 16000
    assert any(note.startswith("EmoDB: 10 actors") for note in told.notes)
    for what in ("Livingstone", "Burkhardt"):
        assert what in told.citation
    assert told.licence == "RAVDESS: CC BY-NC-SA 4.0; EmoDB: free, with attribution"
    both = join_descriptions({"one": description(warning="Drawn."), "two": description()})
    assert (both.warning, both.citation) == ("one: Drawn.", "We, 2026")
