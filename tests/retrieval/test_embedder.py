"""The real embedding model in its own process: the same vectors however batched, and a death of it is survived."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from neuralbridge.errors import DocumentsUnavailable
from neuralbridge.retrieval.embedder import Embedder, check_inert

pytestmark = pytest.mark.model
FOLDER = Path(__file__).parents[2] / "models" / "all-minilm-l6-v2"
TEXTS = ["The cat sat on the mat.", "A feline rested on a rug.", "Interest rates rose again. " * 30, "x", "猫"]


@pytest.fixture
async def embedder() -> AsyncIterator[Embedder]:
    embedder = Embedder(FOLDER, lambda: False)
    yield embedder
    await embedder.stop()


async def test_vectors_are_the_same_however_they_are_batched_and_mean_something(embedder: Embedder) -> None:
    together = await embedder.embed(TEXTS)
    alone = np.array([await embedder.embed_query(text) for text in TEXTS])
    assert together.shape == (len(TEXTS), embedder.dimensions)
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert together[0] @ together[1] > 0.5 > together[0] @ together[2]


async def test_after_its_process_is_killed_the_next_request_is_answered(embedder: Embedder) -> None:
    before = await embedder.embed_query("again")
    assert embedder._child is not None
    waiting = asyncio.create_task(embedder.embed(["long " * 200] * 400))
    await asyncio.sleep(0)  # the request is on its way
    os.kill(embedder._child.pid, signal.SIGKILL)
    with pytest.raises(DocumentsUnavailable, match="ended"):
        await waiting
    assert np.allclose(await embedder.embed_query("again"), before, atol=1e-6)


async def test_without_the_model_it_says_what_brings_it(tmp_path: Path) -> None:
    missing = Embedder(tmp_path / "none", lambda: False)
    with pytest.raises(DocumentsUnavailable, match="scripts/setup"):
        await missing.embed_query("x")


# A folder that came from elsewhere

MODULES = '[{"type": "sentence_transformers.models.Transformer"}]'
PROGRAM = "open('touched', 'w').write('')"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model whose weights are nothing."""
    folder = tmp_path / "model"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "modules.json").write_text(MODULES)
    return folder


def test_a_folder_of_numbers_and_text_is_read(folder: Path) -> None:
    for name in ("README.md", "vocab.txt", "1_Pooling/config.json", ".gitattributes"):
        (folder / name).write_text("")
    check_inert(folder)
    check_inert(FOLDER)


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pt", "x.pkl", "modeling_x.py", "1_Pooling/pytorch_model.bin", "x.PY", "x"]
)
async def test_a_file_that_may_run_programs_is_refused_by_its_name(folder: Path, name: str) -> None:
    (folder / name).write_text(PROGRAM)
    with pytest.raises(DocumentsUnavailable, match=rf"^{folder}/{name}: may run programs when it is read; "):
        await Embedder(folder, lambda: False).embed_query("x")


@pytest.mark.parametrize("kind", ["os.system", "modeling_x.Model", "sentence_transformersx.Model"])
async def test_a_module_that_is_not_the_librarys_is_refused(folder: Path, kind: str) -> None:
    (folder / "modules.json").write_text(MODULES.replace("sentence_transformers.models.Transformer", kind))
    with pytest.raises(DocumentsUnavailable, match=rf"modules\.json: '{kind}' is a program; expected "):
        await Embedder(folder, lambda: False).embed_query("x")


@pytest.mark.parametrize("text", ["", '{"type": 1}', "1", "[1]", '[{"name": "x"}]', "[{]"])
def test_a_list_of_modules_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "modules.json").write_text(text)
    with pytest.raises(DocumentsUnavailable, match="not a list of modules"):
        check_inert(folder)
