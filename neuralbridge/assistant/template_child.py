"""The child process of `template.py`: a line of JSON in, a line of JSON out, until its input ends."""

import json
import signal
import sys
from datetime import datetime
from typing import Any, NoReturn

from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

MEMORY_BYTES = 512 * 1024 * 1024


def limit_memory() -> None:
    if sys.platform != "win32":
        import resource  # POSIX only

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def raise_exception(message: str) -> NoReturn:
    """What templates call when they are given roles they do not support."""
    raise TemplateError(message)


def as_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """What templates know as `tojson`, with the parameters of transformers."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def render(request: dict[str, Any]) -> str:
    # The environment that the authors of chat templates write for (transformers' apply_chat_template)
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = raise_exception
    environment.filters["tojson"] = as_json  # jinja's own is for HTML, and escapes what models were not trained on
    environment.globals["strftime_now"] = lambda form: datetime.now().astimezone().strftime(form)
    source = request.pop("template")
    return environment.from_string(source).render(add_generation_prompt=True, **request)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at a terminal is meant for the server, which ends us
    limit_memory()
    print("{}", flush=True)
    for line in sys.stdin:
        try:
            reply = {"text": render(json.loads(line))}
        except Exception as error:  # noqa: BLE001  # whatever a template does wrong is an answer to the parent
            reply = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
