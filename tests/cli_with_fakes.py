"""The command line with a fake model and a fake embedder, for commands that find no server and start one themselves."""

from neuralbridge import app
from neuralbridge.cli import main
from neuralbridge.commands import ingest
from neuralbridge.engine import probe
from tests.fakes import FakeEmbedder, FakeRunner

app.llama_runners = lambda config, home: lambda name: FakeRunner()
app.build_app.__defaults__ = (app.ROOT, FakeEmbedder, None)
ingest.Embedder = FakeEmbedder  # type: ignore[misc,assignment]
probe.probe = lambda path, mend: None

if __name__ == "__main__":
    main()
