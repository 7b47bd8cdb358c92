"""A server whose model says a fixed text at a fixed pace, for measuring the page: python scripted_server.py DATA.

The text is 10,000 tokens of Markdown with everything in it that answers have; 100 tokens are said in a second.
"""

import asyncio
import sys
import time
from pathlib import Path

from aiohttp import web

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from neuralbridge.app import build_app  # noqa: E402
from neuralbridge.config import Config  # noqa: E402
from neuralbridge.protocol.handshake import Doors  # noqa: E402
from neuralbridge.web.keys import SERVICES  # noqa: E402
from tests.conftest import SETTINGS  # noqa: E402
from tests.fakes import START, FakeEmbedder, FakeRunner, FakeVocabulary  # noqa: E402

TOKENS = 10_000
PER_SECOND = 100
CELLS = 60_000
PART = """## Part {n}

The {n}. part has a paragraph of **some length**, with `code`, a [link](https://example.org/{n}), a formula $x_{n}^2$,
so that a page has something to lay out while the next words are on their way. It goes on for a while, as answers do.

- the first item, which is long enough to be broken over more than one line of the column
- the second item with *emphasis*
  1. and a list inside
  2. of two

| name | size | kind |
|---|---:|---|
| part {n} | {n} kB | text |
| another | 5 MB | document |

```python
def part_{n}(question: str) -> str:
    \"\"\"Say something about part {n}.\"\"\"
    return question.upper() + str({n})  # nothing of it runs
```

"""


def script() -> list[bytes]:
    """The text in tokens of four characters, which is what tokens of English have."""
    text = "".join(PART.format(n=n) for n in range(1, 100))[: TOKENS * 4]
    return [text[at : at + 4].encode() for at in range(0, len(text), 4)]


class Words(FakeVocabulary):
    """Bytes, and from 300 on the tokens of the script."""

    def __init__(self, script: list[bytes]) -> None:
        self.script = script
        self.size = 300 + len(script)

    def piece(self, token: int) -> bytes:
        return self.script[token - 300] if token >= 300 else super().piece(token)


class Steady(FakeRunner):
    """Says the script, whatever the question."""

    def __init__(self) -> None:
        super().__init__(slots=4, cells=CELLS)
        self.vocabulary = Words(script())

    def _next(self, tokens: list[int]) -> int:
        begin = max(at for at, token in enumerate(tokens) if token == START) + len(b"assistant\n") + 1
        said = len(tokens) - begin
        time.sleep(1 / PER_SECOND)
        return 300 + said if said < len(self.vocabulary.script) else 257


async def main(data: Path) -> None:
    settings = {**SETTINGS, "models": {"small": {"path": "models/small.gguf", "params": {"max_tokens": 20_000}}}}
    app = build_app(Config.model_validate(settings), data, lambda _: Steady(), open_embedder=FakeEmbedder)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    app[SERVICES].doors = Doors(port, "127.0.0.1", (), ())
    print(port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
