"""The catalogue is read strictly, and a file is told apart from what it should be."""

from pathlib import Path

import pytest
import yaml

from neuralbridge.catalog.weights import Altered, CatalogInvalid, Incomplete, Missing, Present, check, read_catalog
from neuralbridge.errors import ModelUnusable
from tests.catalog.shelf import content, entry

ROOT = Path(__file__).parents[2]
MODEL = content(1000)
WEIGHTS = entry(MODEL, b"wheel")


def test_the_shipped_catalogue_brings_one_default_model() -> None:
    catalog = read_catalog(ROOT / "models" / "catalog.yaml")
    assert [weights.name for weights in catalog.defaults] == ["smollm2-135m-instruct-q4_1"]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelUnusable, match=r"'gpt-9'.*smollm2-135m-instruct-q4_1"):
        read_catalog(ROOT / "models" / "catalog.yaml").named("gpt-9")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": "1000"}, r"models\.0\.size: Input should be a valid integer"),
        ({"size": 0}, r"models\.0\.size: Input should be greater than 0"),
        ({"sha256": "beef"}, r"models\.0\.sha256"),
        ({"file": "../outside.gguf"}, r"models\.0\.file"),
        ({"file": ".hidden"}, r"models\.0\.file"),
        ({"kind": "oracle"}, r"models\.0\.kind"),
        ({"colour": "red"}, r"models\.0\.colour: Extra inputs"),
        ({"source": {"package": "tiny-model"}}, r"models\.0\.source\.package"),
    ],
)
def test_a_wrong_entry_is_named_by_file_and_place(tmp_path: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(CatalogInvalid, match=rf"catalog\.yaml: {said}"):
        read_catalog(written(tmp_path, [WEIGHTS.model_dump() | change]))


@pytest.mark.parametrize("key", ["name", "file"])
def test_two_models_do_not_share_a_name_or_a_file(tmp_path: Path, key: str) -> None:
    other = WEIGHTS.model_dump() | {"name": "other", "file": "other.gguf"} | {key: WEIGHTS.model_dump()[key]}
    with pytest.raises(CatalogInvalid, match=f"two models have the {key}"):
        read_catalog(written(tmp_path, [WEIGHTS.model_dump(), other]))


@pytest.mark.parametrize("text", ["models: [", "a: b: c", "\x00", "- 1\n- 2", "", "models: 3"])
def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(text)
    with pytest.raises(CatalogInvalid, match=r"catalog\.yaml"):
        read_catalog(path)


def test_a_missing_catalogue_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(CatalogInvalid, match=r"nowhere\.yaml.*No such file"):
        read_catalog(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("body", "quick", "thorough"),
    [
        (MODEL, Present(), Present()),
        (MODEL[:999], Incomplete(999), Incomplete(999)),
        (b"", Incomplete(0), Incomplete(0)),
        (MODEL + b"!", Altered("1,001 bytes instead of 1,000"), Altered("1,001 bytes instead of 1,000")),
    ],
)
def test_a_file_is_told_by_its_size(tmp_path: Path, body: bytes, quick: object, thorough: object) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(body)
    assert (check(file, WEIGHTS), check(file, WEIGHTS, thoroughly=True)) == (quick, thorough)


def test_only_a_thorough_look_sees_another_content_of_the_same_size(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(content(1000, seed=2))
    assert check(file, WEIGHTS) == Present()
    assert isinstance(check(file, WEIGHTS, thoroughly=True), Altered)


def test_neither_nothing_nor_a_folder_is_a_model(tmp_path: Path) -> None:
    assert (check(tmp_path / "none.gguf", WEIGHTS), check(tmp_path, WEIGHTS)) == (Missing(), Missing())


def written(folder: Path, models: list[dict[str, object]]) -> Path:
    path = folder / "catalog.yaml"
    path.write_text(yaml.safe_dump({"models": models}))
    return path
