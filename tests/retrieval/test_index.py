"""The vector index: what is in it is found, what is no index of ours is never parsed, lists find what exact does."""

import numpy as np
import pytest

from neuralbridge.retrieval.arrays import Matrix
from neuralbridge.retrieval.index import RECALL, VectorIndex, as_ids

ABOUT = {"model": "m"}


def unit(count: int, dimensions: int = 32, seed: int = 0, centres: int = 40) -> Matrix:
    """Vectors in clusters, as texts are."""
    rng = np.random.default_rng(seed)
    middle = np.random.default_rng(99).normal(size=(centres, dimensions))
    vectors = middle[rng.integers(0, centres, count)] + rng.normal(size=(count, dimensions)) * 0.5
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def filled(count: int) -> tuple[VectorIndex, Matrix]:
    index, vectors = VectorIndex(32), unit(count)
    index.add(as_ids(range(1000, 1000 + count)), vectors)
    return index, vectors


def test_the_nearest_come_first_with_their_cosines() -> None:
    index, vectors = filled(50)
    ids, cosines = index.search(vectors[7], 5)
    assert ids[0] == 1007
    assert cosines[0] == pytest.approx(1, abs=1e-5)
    assert [*cosines] == sorted(cosines, reverse=True)


def test_an_empty_index_and_an_empty_choice_find_nothing() -> None:
    index, vectors = filled(5)
    assert len(VectorIndex(32).search(vectors[0], 5)[0]) == 0
    assert len(index.search(vectors[0], 5, as_ids([]))[0]) == 0


def test_only_what_is_allowed_is_found() -> None:
    index, vectors = filled(50)
    assert {*index.search(vectors[7], 50, as_ids([1003, 1009]))[0]} == {1003, 1009}


def test_what_is_removed_or_replaced_is_gone() -> None:
    index, vectors = filled(10)
    index.remove(as_ids([1003]))
    index.add(as_ids([1004]), vectors[3:4])
    assert index.search(vectors[3], 1)[0][0] == 1004
    assert sorted(index.ids) == [1000, 1001, 1002, 1004, 1005, 1006, 1007, 1008, 1009]
    assert len(index) == 9


def test_a_dump_is_loaded_as_it_was() -> None:
    index, vectors = filled(30)
    again = VectorIndex.load(b"".join(index.dump(ABOUT)), ABOUT)
    assert [*again.search(vectors[3], 9)[0]] == [*index.search(vectors[3], 9)[0]]
    assert again.exact


def test_what_is_damaged_cut_or_of_another_model_is_refused() -> None:
    raw = b"".join(filled(30)[0].dump(ABOUT))
    flipped = raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:]
    for wrong in (b"", b"{}", b"\n", raw[:-1], raw + b"x", flipped, b"not ours\n" + raw):
        with pytest.raises(ValueError):  # noqa: PT011  # what counts is that FAISS never sees it
            VectorIndex.load(wrong, ABOUT)
    with pytest.raises(ValueError, match="another model"):
        VectorIndex.load(raw, {"model": "other"})


def test_lists_find_what_exact_search_finds_also_after_changes() -> None:
    index, _ = filled(6_000)
    made = index.inverted()
    assert made is not None
    lists, recall = made
    assert recall >= RECALL
    assert not lists.exact
    fresh = unit(50, seed=5)
    lists.add(as_ids(range(90_000, 90_050)), fresh)
    lists.remove(as_ids(range(1000, 1500)))
    assert len(lists) == len(lists.ids) == 6_000 - 500 + 50
    assert lists.search(fresh[0], 1)[0][0] == 90_000
    assert {*lists.search(fresh[0], 9, as_ids([2000, 90_003]))[0]} == {2000, 90_003}
    again = VectorIndex.load(b"".join(lists.dump(ABOUT)), ABOUT)
    assert not again.exact
    assert again.search(fresh[0], 1)[0][0] == 90_000
