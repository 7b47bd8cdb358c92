"""A model file that llama.cpp cannot load is refused with its path and the mending command, whatever is in it."""

import os
import struct
from pathlib import Path

import pytest

from neuralbridge.engine.probe import probe
from neuralbridge.errors import ModelUnusable
from tests.unprivileged import unprivileged

MODEL = Path(__file__).parents[2] / "models" / "smollm2-135m-instruct-q4_1.gguf"
MEND = "scripts/setup"


def refusal(path: Path) -> str:
    """What is said against the file, without its path and the command."""
    with pytest.raises(ModelUnusable) as refused:
        probe(path, MEND)
    said = str(refused.value)
    assert said.startswith(f"{path}: ")
    assert said.endswith(f". Run: {MEND}")
    assert len(said.splitlines()) == 1
    return said.removeprefix(f"{path}: ").removesuffix(f". Run: {MEND}")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.gguf") == "the model file is missing"


@pytest.mark.parametrize("content", [b"", b"G", b"GGU", b"hello " * 100, b"PK\x03\x04" + bytes(1000), b"gguf" * 100])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.gguf").write_bytes(content)
    assert refusal(tmp_path / "m.gguf") == "not a GGUF file"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "a folder or a device, not a model file"


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.gguf")
    assert refusal(tmp_path / "m.gguf") == "a folder or a device, not a model file"


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").symlink_to("m.gguf")
    assert refusal(tmp_path / "m.gguf") == "the model file cannot be read (Too many levels of symbolic links)"


@pytest.mark.parametrize("hidden", ["m.gguf", "."])
def test_a_file_that_may_not_be_read_is_refused(hidden: str) -> None:
    with unprivileged() as folder:
        (folder / "m.gguf").write_bytes(b"GGUF")
        (folder / hidden).chmod(0)
        assert refusal(folder / "m.gguf") == "the model file cannot be read (Permission denied)"
        (folder / hidden).chmod(0o700)


# Files that begin as models do: the child tries them with the real llama.cpp.


def header(tensors: int, settings: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, settings)


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


UINT32, FLOAT32, STRING, ARRAY, INT8 = 4, 6, 8, 9, 1


def setting(key: str, value: int | float | str) -> bytes:
    name = text(key.encode())
    match value:
        case str():
            return name + struct.pack("<I", STRING) + text(value.encode())
        case float():
            return name + struct.pack("<If", FLOAT32, value)
        case int():
            return name + struct.pack("<II", UINT32, value)


def vocabulary(scores: int, score_bytes: bytes) -> bytes:
    """A model of no layers up to its vocabulary, whose scores are of that type; llama.cpp would read them as floats."""
    pieces = [b"<unk>", b"<s>", b"</s>"]
    settings = {
        "general.architecture": "llama",
        "llama.context_length": 64,
        "llama.embedding_length": 8,
        "llama.block_count": 1,
        "llama.feed_forward_length": 8,
        "llama.attention.head_count": 1,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "llama",
    }
    tokens = text(b"tokenizer.ggml.tokens") + struct.pack("<IIQ", ARRAY, STRING, 3) + b"".join(map(text, pieces))
    scored = text(b"tokenizer.ggml.scores") + struct.pack("<IIQ", ARRAY, scores, 3) + score_bytes
    return header(0, len(settings) + 2) + b"".join(setting(*each) for each in settings.items()) + tokens + scored


DAMAGED = {
    "nothing behind the magic": b"GGUF",
    "no tensors": header(0, 0),
    "tensors beyond counting": header(2**63 - 1, 0),
    "settings beyond counting": header(0, 2**63 - 1),
    "settings beyond signed counting": header(0, 2**63),
    "more than 64 bits hold": header(2**64 - 1, 2**64 - 1),
    "a key beyond all memory": header(1, 1) + struct.pack("<Q", 2**62),
    "an array beyond all memory": header(0, 1) + text(b"a") + struct.pack("<IIQ", ARRAY, UINT32, 2**61),
    "texts beyond all memory": header(0, 1) + text(b"a") + struct.pack("<IIQ", ARRAY, STRING, 2**61),
    "an absurd alignment": header(0, 1) + text(b"general.alignment") + struct.pack("<II", UINT32, 0x80000000),
    "no alignment": header(0, 1) + text(b"general.alignment") + struct.pack("<II", UINT32, 0),
    "a tensor beyond all memory": header(1, 0) + text(b"t") + struct.pack("<IQQIQ", 2, 2**40, 2**40, 0, 0),
    "a tensor of too many dimensions": header(1, 0) + text(b"t") + struct.pack("<I", 2**31),
    "a tensor behind the end": header(1, 0) + text(b"t") + struct.pack("<IQIQ", 1, 32, 0, 2**40) + bytes(256),
    "a tensor at the end of all numbers": header(1, 0) + text(b"t") + struct.pack("<IQIQ", 1, 32, 0, 2**64 - 32),
    "scores that are bytes": vocabulary(INT8, bytes(3)),
    "an unknown version": b"GGUF" + struct.pack("<IQQ", 99, 0, 0),
    "the other byte order": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "no vocabulary": header(0, 1) + text(b"general.architecture") + struct.pack("<I", STRING) + text(b"llama"),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_model_is_refused_with_its_size(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.gguf").write_bytes(content)
    assert refusal(tmp_path / "m.gguf") == f"the model file is incomplete or damaged ({len(content)} bytes)"


@pytest.mark.model
@pytest.mark.skipif(not MODEL.exists(), reason=f"{MODEL} is missing")
def test_a_model_that_was_cut_short_is_refused_with_its_size(tmp_path: Path) -> None:
    with MODEL.open("rb") as whole:
        (tmp_path / "m.gguf").write_bytes(whole.read(1_000_000))
    assert refusal(tmp_path / "m.gguf") == "the model file is incomplete or damaged (1,000,000 bytes)"


@pytest.mark.model
@pytest.mark.skipif(not MODEL.exists(), reason=f"{MODEL} is missing")
def test_a_whole_model_passes_under_any_name(tmp_path: Path) -> None:
    link = tmp_path / "-modèle 💥\n.gguf"
    link.symlink_to(MODEL)
    probe(link, MEND)


@pytest.mark.parametrize(
    ("library", "said"),
    [
        ("import os; os.kill(os.getpid(), 9)", "the model file ended the loader (4 bytes)"),
        (
            "raise OSError('libllama.so: cannot open')",
            "the model file cannot be tried (OSError: libllama.so: cannot open)",
        ),
    ],
)
def test_a_library_that_dies_or_is_broken_is_told_from_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, said: str
) -> None:
    (tmp_path / "llama_cpp.py").write_text(library)
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert refusal(tmp_path / "m.gguf") == said
