"""YAML as people write settings in it: read with care, each mistake told as `file:line:column: what is wrong`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from neuralbridge.errors import ConfigInvalid

MAX_BYTES = 256 * 1024
TEXT = "tag:yaml.org,2002:str"
STAR = "a name that begins with * has to stand in quotes"
Where = tuple[str | int, ...]  # the path of a setting


def read_text(path: Path) -> str:
    """A file of settings as it stands. Raises ConfigInvalid for one that cannot be read, or is too large."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigInvalid(f"{path}: cannot be read ({error.strerror}); expected a configuration file") from error
    if len(raw) > MAX_BYTES:
        raise ConfigInvalid(f"{path}: too large; expected at most {MAX_BYTES:,} bytes")
    return decode(raw, path)


def parse(text: str, path: Path) -> tuple[yaml.MappingNode, dict[str, Any]]:
    """The settings of a YAML file, and the nodes that say where each of them stands. Raises ConfigInvalid."""
    try:
        loader = Loader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise ConfigInvalid(f"{path}:1:1: expected settings such as 'version: 1'")
        check_keys(root, path)
        return root, loader.construct_document(root)
    except (yaml.YAMLError, RecursionError) as error:
        place, problem = trouble(error, text)
        raise ConfigInvalid(f"{path}:{place}: {problem}; expected settings such as 'port: 4000'") from error


class Loader(yaml.SafeLoader):
    """YAML without the parts settings have no use for.

    With aliases and tags, a few lines grow beyond all memory or stand for what no setting is.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # types-PyYAML has no signature for it
        if getattr(event, "anchor", None) is not None or getattr(event, "tag", None) is not None:
            mark = event.start_mark
            problem = STAR if isinstance(event, yaml.AliasEvent) else "found an anchor or tag"
            raise yaml.composer.ComposerError(problem=problem, problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:  # a date with a 13th month, a number of thousands of digits
            problem = f"{shorten(node.value)} cannot be read"
            raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark) from error


def decode(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = after(raw[: error.start].decode("utf-8-sig"))
        raise ConfigInvalid(f"{path}:{place}: byte 0x{raw[error.start]:02x}; expected UTF-8 text") from error


def check_keys(root: yaml.Node, path: Path) -> None:
    """YAML takes anything for a key, and the last of two equal keys in silence; a person should hear of it."""
    for node in nodes(root):
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key, _ in node.value:
                line, place = key.start_mark.line + 1, marked(key.start_mark)
                if key.tag != TEXT:
                    held = shorten(key.value) if isinstance(key, yaml.ScalarNode) else f"a {key.id}"
                    raise ConfigInvalid(f"{path}:{place}: {held}; expected the name of a setting")
                if key.value in seen:
                    again = f"stands here again after line {seen[key.value]}"
                    raise ConfigInvalid(f"{path}:{place}: {legible(key.value)} {again}; expected it once")
                seen[key.value] = line


def nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    """A node and all below it, in the order of the file."""
    left = [root]
    while left:
        node = left.pop()
        yield node
        if isinstance(node, yaml.MappingNode):
            left += reversed([part for pair in node.value for part in pair])
        elif isinstance(node, yaml.SequenceNode):
            left += reversed(node.value)


def place_of(root: yaml.Node, where: Where) -> str:
    """Line and column (from 1) of the deepest part of `where` that the file has."""
    node, mark = root, root.start_mark
    for part in where:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if pair is None:
                break
            mark, node = pair[0].start_mark, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            mark = node.start_mark
    return marked(mark)


def marked(mark: yaml.Mark) -> str:
    return f"{mark.line + 1}:{mark.column + 1}"


def trouble(error: Exception, text: str) -> tuple[str, str]:
    """The place, and what is wrong with it as YAML."""
    match error:
        case yaml.MarkedYAMLError(context="while scanning an alias", context_mark=yaml.Mark() as mark):
            return marked(mark), f"not YAML that is understood here ({STAR})"
        case yaml.MarkedYAMLError(problem=str(problem), problem_mark=yaml.Mark() as mark):
            return marked(mark), f"not YAML that is understood here ({problem})"
        case yaml.reader.ReaderError(position=position, character=int(character)):
            return after(text[:position]), f"character U+{character:04X}, which YAML forbids"
        case _:
            return "1:1", "nested too deeply"


def after(text: str) -> str:
    """Line and column (from 1) of what follows `text`."""
    return f"{1 + text.count(chr(10))}:{len(text) - text.rfind(chr(10))}"


def legible(name: str) -> str:
    """A name as it stands, unless it is too long for a line or more than one."""
    return name if name.isprintable() and len(name) <= 60 else shorten(name)


def shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
