"""Arrows point down: what each part of the package may import, as one table. Read with `ast`, so nothing is run."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "neuralbridge"
NOUNS = {"types", "errors"}
CONFIG = {"config", "sections"}

# Of ours: a part (a folder, or a module beside them) and the parts it may import
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "types": set(),
    "errors": set(),
    "offline": set(),
    "words": set(),
    "logs": set(),
    "process": set(),
    "memory": set(),
    "machine": set(),
    "supervisor": set(),
    "data_folder": {"errors"},
    "database": {"errors"},
    "patterns": set(),
    "yaml_file": {"errors"},
    "sections": {"yaml_file", *NOUNS},
    "config": {"sections", "patterns", "yaml_file", *NOUNS},
    "listener": {"sections"},
    "certificate": {"sections", "machine", *NOUNS},
    "announce": {"sections", "machine", "offline", *NOUNS},
    "protocol": NOUNS,
    "engine": NOUNS,
    "grounding": {"words", *NOUNS},
    "store": {"database", "words", *NOUNS},
    "retrieval": {"database", "words", *NOUNS},
    "catalog": {*CONFIG, "patterns", "yaml_file", *NOUNS},
    "qr": set(),
    "access": {"sections", "settings", *NOUNS},
    "settings": {"catalog", *CONFIG, "yaml_file", *NOUNS},
    "exchange": {"protocol", "store", "database", *NOUNS},
    "assistant": {"engine", "retrieval", "grounding", "words", "store", "catalog", "sections", "settings", *NOUNS},
    "web": {
        "access",
        "machine",
        "protocol",
        "qr",
        "assistant",
        "retrieval",
        "exchange",
        "store",
        "catalog",
        *CONFIG,
        "settings",
        "data_folder",
        "memory",
        "offline",
        "__init__",
        *NOUNS,
    },
    "app": {
        "access",
        "web",
        "protocol",
        "assistant",
        "engine",
        "retrieval",
        "exchange",
        "store",
        "settings",
        "database",
        "data_folder",
        "config",
        *NOUNS,
    },
    "server": {
        "access",
        "announce",
        "app",
        "certificate",
        "listener",
        "logs",
        "machine",
        "web",
        "protocol",
        *CONFIG,
        "settings",
        *NOUNS,
        "data_folder",
    },
    "commands": {
        "access",
        "machine",
        "qr",
        "app",
        "web",
        "protocol",
        "engine",
        "catalog",
        "exchange",
        "retrieval",
        "store",
        "database",
        "data_folder",
        *CONFIG,
        "yaml_file",
        "__init__",
        *NOUNS,
    },
    "cli": {
        "access",
        "server",
        "commands",
        "engine",
        "catalog",
        *CONFIG,
        "settings",
        "yaml_file",
        "offline",
        "logs",
        "process",
        "__init__",
        *NOUNS,
        "data_folder",
    },
    "__main__": {"cli"},
}

# Of others: what acts on the world, or differs from call to call, and who may ask it to
ONLY_IN: dict[str, set[str]] = {
    "cryptography": {"certificate"},
    "segno": {"qr"},
    "zeroconf": {"announce"},
    "aiohttp": {"web", "listener", "app", "server", "commands", "cli"},
    "asyncio": {
        "access.gate",
        "commands",
        "exchange.transfer",
        "assistant",
        "database",
        "engine.engine",
        "settings",
        "web",
        "listener",
        "app",
        "server",
        "cli",
        "retrieval",
        "announce",
        "supervisor",
    },
    "click": {"cli", "commands.usage", "catalog.fetch"},
    "ctypes": {"engine.llama"},
    "datetime": {
        "commands.tokens",
        "web.sign_in",
        "store.conversations",
        "assistant.template",
        "assistant.template_child",
        "assistant.cache",
        "assistant.retention",
        "exchange.chatgpt",
        "store.cached_answers",
        "retrieval.documents",
        "retrieval.query",
        "retrieval.watcher",
        "web.knowledge",
        "commands.backup",
        "commands.restore",
        "certificate",
    },
    "fcntl": {"access.tokens", "data_folder", "catalog.fetch"},
    "http": {"catalog.download"},
    "faiss": {"retrieval.index", "retrieval.vectors"},
    "sentence_transformers": {"retrieval.embedder_child"},
    "semantic_text_splitter": {"retrieval.passages"},
    "prometheus_client": {"assistant.metrics"},
    "tokenizers": {"retrieval.embedder", "retrieval.passages", "retrieval.readers.child"},
    "torch": {"retrieval.embedder_child"},
    "ifaddr": {"machine"},
    "jwt": {"access.signed"},
    "limits": {"access.rates"},
    "jinja2": {"assistant.template_child"},
    "llama_cpp": {"engine.llama"},
    "jsonschema": {"engine.schema", "engine.conformance"},
    "llguidance": {"engine.grammar"},
    "numpy": {"engine.llama", "retrieval", "assistant.cache", "assistant.citations"},
    "queue": {"engine.worker", "retrieval.embedder_child"},
    "random": set(),
    "rich": {"commands.ingest", "commands.view", "catalog.fetch"},
    "secrets": {"access.tokens", "assistant.template", "engine.llama", "server", "web"},
    "socket": set(),
    "sqlite3": {"database", "store", "exchange.transfer", "commands", "retrieval"},
    "ssl": {"catalog.download", "certificate", "listener", "server", "commands.running"},
    "subprocess": {"engine.probe", "catalog.fetch", "retrieval.reading"},
    "threading": {"engine.worker", "commands.chat", "retrieval.embedder_child", "retrieval.reading"},
    "time": {
        "access",
        "assistant",
        "supervisor",
        "engine.engine",
        "engine.worker",
        "web",
        "catalog.download",
        "retrieval",
        "logs",
    },
    "urllib": {"catalog.fetch", "catalog.download", "protocol.handshake", "retrieval.readers", "web.v1.doors"},
    "uuid": {"store.conversations", "assistant.answers", "assistant.tools", "retrieval.jobs", "web", "commands.talk"},
    "yaml": {"config", "yaml_file", "catalog.weights", "catalog.import_config"},
}


def name_of(path: Path) -> str:
    """A module's name below the package: "engine.llama", "config", "engine" for a folder's own."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {name_of(path): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


def imported(module: str) -> set[str]:
    """Everything a module imports, anywhere in it, by full name."""
    names: set[str] = set()
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def of_ours(module: str) -> set[str]:
    """The modules of the package that a module imports."""
    found = set()
    for name in imported(module):
        top, _, inner = name.partition(".")
        if top == "neuralbridge":
            while inner and inner not in MODULES:
                inner = inner.rpartition(".")[0]
            found.add(inner or "__init__")
    return found


def part(module: str) -> str:
    return module.partition(".")[0]


def within(module: str, places: set[str]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def test_every_part_of_the_package_stands_in_the_table() -> None:
    assert {part(module) for module in MODULES} == MAY_IMPORT.keys()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_layer_may(module: str) -> None:
    allowed = MAY_IMPORT[part(module)] | {part(module)}
    assert {other for other in of_ours(module) if part(other) not in allowed} == set()


def test_nothing_imports_itself_in_a_circle() -> None:
    assert {*TopologicalSorter({module: of_ours(module) for module in MODULES}).static_order()} == MODULES.keys()


def test_the_table_allows_no_circle_and_nothing_that_is_not_there() -> None:
    assert {*TopologicalSorter(MAY_IMPORT).static_order()} == MAY_IMPORT.keys()


def test_the_table_allows_nothing_that_nobody_does() -> None:
    used = {(part(module), part(other)) for module in MODULES for other in of_ours(module)}
    spare = {(name, other) for name, others in MAY_IMPORT.items() for other in others - NOUNS}
    assert spare - used == set()


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    importing = {module for module in MODULES if any(name.partition(".")[0] == library for name in imported(module))}
    assert {module for module in importing if not within(module, ONLY_IN[library])} == set()


def test_the_server_imports_nothing_that_downloads() -> None:
    reached, left = set(), {"cli"}
    while left:
        module = left.pop()
        reached.add(module)
        left |= of_ours(module) - reached
    assert reached & {"catalog.fetch", "catalog.download"} == set()
    assert "engine.llama" in reached
