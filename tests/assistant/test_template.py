"""A model's own template gives the layout its authors meant, and whatever it does wrong, only its rendering fails."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from neuralbridge.assistant.template import (
    CHATML,
    RENDER_SECONDS,
    RENDERINGS_KEPT,
    ChatTemplate,
    Layout,
    TemplateFailed,
    as_shown,
)
from neuralbridge.assistant.tools import as_object
from neuralbridge.engine.engine import Engine
from neuralbridge.types import Call, ChatMessage, Role
from tests.assistant import templates
from tests.fakes import FakeRunner

Templated = Callable[..., Awaitable[ChatTemplate]]
TALK: tuple[Role, ...] = ("system", "user", "assistant", "user")
SAID = ["Be brief.", "Hi", "Hello", "Why?"]
ASKED: tuple[Role, ...] = ("user", "assistant", "user")


@pytest.fixture
async def templated() -> AsyncIterator[Templated]:
    """`await templated(source)`: the chat template of a model that brings this one."""
    begun: list[tuple[ChatTemplate, Engine]] = []

    async def begin(source: str | None, bos: str = "<s>", today: Callable[[], date] = date.today) -> ChatTemplate:
        runner = FakeRunner()
        runner.chat_template = source
        runner.template_tokens = {"bos_token": bos, "eos_token": "</s>"}
        engine = Engine(lambda: runner, max_waiting=1)
        engine.start()
        await engine.ready()
        template = ChatTemplate(engine, today)
        begun.append((template, engine))
        return template

    yield begin
    for template, engine in begun:
        await template.stop()
        await engine.stop()


def shown(layout: Layout, contents: list[str]) -> str:
    """What the model would read."""
    return "".join(part if isinstance(part, str) else contents[part] for part in layout.parts)


# As the families write them, shortened to what concerns a plain conversation

CHATML_LIKE = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA_3_LIKE = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
GEMMA_LIKE = """\
{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for message in messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
    {%- endif %}
    {%- set role = 'model' if message['role'] == 'assistant' else message['role'] %}
    {{- '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}
"""
MISTRAL_LIKE = """\
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message['role'] == 'user' %}
        {%- if loop.last and system_message is defined %}
            {{- '[INST] ' + system_message + '\\n\\n' + message['content'] + '[/INST]' }}
        {%- else %}
            {{- '[INST] ' + message['content'] + '[/INST]' }}
        {%- endif %}
    {%- elif message['role'] == 'assistant' %}
        {{- ' ' + message['content'] + eos_token }}
    {%- else %}
        {{- raise_exception('Only user and assistant roles are supported!') }}
    {%- endif %}
{%- endfor %}
"""

AS_CHATML = """\
<|im_start|>system
Be brief.<|im_end|>
<|im_start|>user
Hi<|im_end|>
<|im_start|>assistant
Hello<|im_end|>
<|im_start|>user
Why?<|im_end|>
<|im_start|>assistant
"""
AS_LLAMA_3 = """\
<s><|start_header_id|>system<|end_header_id|>

Be brief.<|eot_id|><|start_header_id|>user<|end_header_id|>

Hi<|eot_id|><|start_header_id|>assistant<|end_header_id|>

Hello<|eot_id|><|start_header_id|>user<|end_header_id|>

Why?<|eot_id|><|start_header_id|>assistant<|end_header_id|>

"""
AS_GEMMA = """\
<s><start_of_turn>user
Hi<end_of_turn>
<start_of_turn>model
Hello<end_of_turn>
<start_of_turn>user
Why?<end_of_turn>
<start_of_turn>model
"""
AS_MISTRAL = "<s>[INST] Hi[/INST] Hello</s>[INST] Be brief.\n\nWhy?[/INST]"

FAMILIES: dict[str, tuple[str | None, tuple[Role, ...], str]] = {
    "none": (None, TALK, AS_CHATML),
    "empty": ("", TALK, AS_CHATML),
    "ChatML": (CHATML_LIKE, TALK, AS_CHATML),
    "Llama 3": (LLAMA_3_LIKE, TALK, AS_LLAMA_3),
    "Gemma": (GEMMA_LIKE, ASKED, AS_GEMMA),
    "Mistral": (MISTRAL_LIKE, TALK, AS_MISTRAL),
}


@pytest.mark.parametrize(("source", "roles", "expected"), FAMILIES.values(), ids=FAMILIES.keys())
async def test_a_family_of_models_is_shown_a_conversation_as_it_was_taught(
    templated: Templated, source: str | None, roles: tuple[Role, ...], expected: str
) -> None:
    template = await templated(source)
    assert shown(await template.layout(roles), SAID[-len(roles) :]) == expected


async def test_a_message_may_stand_anywhere_and_more_than_once(templated: Templated) -> None:
    template = await templated(
        "{{ messages[2].content }}, {{ messages[0].content }}: {{ messages[2].content }}{{ messages[1].content }}"
    )
    assert (await template.layout(ASKED)).parts == (2, ", ", 0, ": ", 2, 1)


async def test_a_system_prompt_may_be_left_out(templated: Templated) -> None:
    template = await templated("{% for m in messages if m.role != 'system' %}{{ m.content }}.{% endfor %}")
    assert (await template.layout(TALK)).parts == (1, ".", 2, ".", 3, ".")


FAILING = {
    "an unknown tag": ("{% explode %}", "TemplateSyntaxError: Encountered unknown tag 'explode'"),
    "not a template": ("{{", "TemplateSyntaxError"),
    "an unknown filter": ("{{ 1 | explode }}", "TemplateAssertionError: No filter named 'explode'"),
    "an unknown name": ("{{ nothing.at_all }}", "UndefinedError: 'nothing' is undefined"),
    "a role refused": (GEMMA_LIKE, "TemplateError: System role not supported"),
    "a long complaint": ("{{ raise_exception('x' * 100000) }}", "TemplateError: xxx"),
    "a complaint of two lines": ("{{ raise_exception('a\\nb') }}", "TemplateError: a"),
    "nested too deeply": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "RecursionError"),
    "a file": ("{% include '/etc/passwd' %}", "no loader"),
    "all memory at once": ("{{ 'a' * 10 ** 12 }}", "MemoryError"),
    "all memory by doubling": (
        "{% set all = namespace(x='a') %}{% for _ in range(9999) %}{% set all.x = all.x + all.x %}{% endfor %}",
        "MemoryError",
    ),
    "more than a line may have": ("{{ 'a' * 50000000 }}", "could not be rendered"),
    "a class": ("{{ ''.__class__.__mro__ }}", "SecurityError"),
    "the modules of a method": ("{{ cycler.__init__.__globals__.os.popen('id').read() }}", "SecurityError"),
    "the modules of a function": ("{{ lipsum.__globals__['os'].system('id') }}", "SecurityError"),
    "the modules of ours": ("{{ raise_exception.__globals__['sys'].exit() }}", "SecurityError"),
    "a class by its name": ("{{ ('' | attr('__class__')).mro() }}", "SecurityError"),
    "a class in a format": ("{{ '{0.__class__.__mro__[1].__subclasses__}'.format('') + 1 }}", "SecurityError"),
    "a change of what it is given": ("{{ messages.append(1) }}", "SecurityError"),
    "a last question left out": (
        "{% for m in messages[:-1] %}{{ m.content }}{% endfor %}",
        "leaves out message 4, of the user",
    ),
    "an answer left out": (
        "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}",
        "message 3, of the assistant",
    ),
    "nothing": ("{# #}", "leaves out message 2, of the user"),
    "contents in capitals": ("{% for m in messages %}{{ m.content | upper }}{% endfor %}", "leaves out message 2"),
    "contents cut short": ("{% for m in messages %}{{ m.content[:30] }}{% endfor %}", "leaves out message 2"),
}


@pytest.mark.parametrize(("source", "said"), FAILING.values(), ids=FAILING.keys())
async def test_a_template_that_fails_says_why_in_few_words(templated: Templated, source: str, said: str) -> None:
    template = await templated(source)
    with pytest.raises(TemplateFailed) as failed:
        await template.layout(TALK)
    assert said in str(failed.value)
    assert len(str(failed.value)) < 600


ESCAPES = (
    "{{ cycler.__init__.__globals__.os.system('touch M') }}",
    "{{ lipsum.__globals__['os'].system('touch M') }}",
    "{{ namespace.__init__.__globals__['__builtins__']['open']('M', 'w') }}",
    "{{ self.__init__.__globals__.__builtins__.__import__('os').system('touch M') }}",
    "{{ ''.__class__.__base__.__subclasses__()[0] }}{{ os.system('touch M') }}",
    "{{ raise_exception.__globals__['os'].system('touch M') }}",
    "{{ strftime_now.__globals__['os'].system('touch M') }}",
    "{% import 'os' as os %}{{ os.system('touch M') }}",
    "{{ joiner.__init__|attr('__globals__') }}{{ messages.__class__.__init__.__globals__['os'].system('touch M') }}",
    "{{ '%c' | format(1) }}{{ ''|attr('format_map')({}).__class__.mro()[1].__subclasses__() }}{{ touch('M') }}",
)


@pytest.mark.parametrize("source", ESCAPES)
async def test_a_template_runs_nothing(
    templated: Templated, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    )
    monkeypatch.chdir(tmp_path)  # where the child would leave M
    template = await templated(source + CHATML)
    with pytest.raises(TemplateFailed):
        await template.layout(TALK)
    assert not [*await asyncio.to_thread(tmp_path.iterdir)]


CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children")
ENDLESS = "{% for _ in range(99999) %}{% for _ in range(99999) %}{% endfor %}{% endfor %}"
ENDLESS_FOR_FOUR = "{% if messages | length == 4 %}" + ENDLESS + "{% endif %}" + CHATML


async def test_a_template_without_end_is_given_up_and_the_next_rendering_works(templated: Templated) -> None:
    template = await templated(ENDLESS_FOR_FOUR)
    with pytest.raises(TemplateFailed, match=f"took more than {RENDER_SECONDS:.0f} s"):
        await template.layout(TALK)
    assert 0 in (await template.layout(("user",))).parts


async def test_a_cancelled_rendering_leaves_no_answer_for_the_next_one(templated: Templated) -> None:
    template = await templated(ENDLESS_FOR_FOUR)
    await template.layout(("user",))  # the child runs
    endless = asyncio.create_task(template.layout(TALK))
    behind = asyncio.create_task(template.layout(ASKED))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await endless
    assert [part for part in (await behind).parts if isinstance(part, int)] == [0, 1, 2]


def children() -> set[int]:
    if not CHILDREN.exists():
        pytest.skip("only Linux tells which children a process has")
    return set(map(int, CHILDREN.read_text().split()))


async def child_of(template: ChatTemplate) -> int:
    """The process that renders, which starts with the first rendering."""
    before = children()
    await template.layout(("user",))
    (child,) = children() - before
    return child


async def test_a_child_that_was_killed_between_two_renderings_is_started_anew(templated: Templated) -> None:
    template = await templated(None)
    os.kill(await child_of(template), signal.SIGKILL)
    assert 0 in (await template.layout(("system", "user"))).parts


async def test_the_child_leaves_an_interruption_to_the_server(templated: Templated) -> None:
    template = await templated(None)
    os.kill(await child_of(template), signal.SIGINT)
    assert 0 in (await template.layout(("system", "user"))).parts


async def test_the_child_ends_with_the_template(templated: Templated) -> None:
    template = await templated(None)
    child = await child_of(template)
    await template.stop()
    await template.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


CLOCK = "{{ strftime_now('%Y %H%M%S%f') }}{% for m in messages %}{{ m.content }}{% endfor %}"


async def test_a_layout_is_rendered_once_for_the_same_roles(templated: Templated) -> None:
    template = await templated(CLOCK)
    first = await template.layout(ASKED)
    assert (await template.layout(("user",))) != first
    assert (await template.layout(ASKED)) == first


async def test_those_who_ask_at_the_same_time_get_the_same_layout(templated: Templated) -> None:
    template = await templated(CLOCK)
    layouts = await asyncio.gather(*(template.layout(ASKED) for _ in range(5)))
    assert len(set(layouts)) == 1


async def test_a_template_that_tells_the_date_is_rendered_again_the_next_day(templated: Templated) -> None:
    days = iter(date(2026, 12, 31) + timedelta(days=day) for day in (0, 0, 1))
    template = await templated(CLOCK, today=lambda: next(days))
    first, again, next_day = [await template.layout(ASKED) for _ in range(3)]
    assert (first == again, first == next_day) == (True, False)


async def test_only_so_many_layouts_are_kept(templated: Templated) -> None:
    template = await templated(CLOCK)
    first = await template.layout(("user",))
    for amount in range(2, RENDERINGS_KEPT + 2):
        await template.layout(("user",) * amount)
    assert await template.layout(("user",)) != first


# With functions

FUNCTION: dict[str, Any] = {"name": "get_weather", "description": "d", "parameters": {"type": "object"}}
TOOL = {"type": "function", "function": FUNCTION}
USED = [
    ChatMessage("system", "Be brief."),
    ChatMessage("user", "How warm?"),
    ChatMessage("assistant", "", (Call("get_weather", '{"town": "Köln & <co>"}', "call_1"),)),
    ChatMessage("tool", "12", answers="call_1"),
]
AS_HERMES = """\
<|im_start|>system
Be brief.

# Tools
<tools>
{"type": "function", "function": {"name": "get_weather", "description": "d", "parameters": {"type": "object"}}}
</tools>
Call one as <tool_call>
{"name": NAME, "arguments": OBJECT}
</tool_call><|im_end|>
<|im_start|>user
How warm?<|im_end|>
<|im_start|>assistant
<tool_call>
{"name": "get_weather", "arguments": {"town": "Köln & <co>"}}
</tool_call><|im_end|>
<|im_start|>user
<tool_response>
12
</tool_response><|im_end|>
<|im_start|>assistant
"""
AS_LLAMA = """\
<|im_start|>system
Be brief.
Give a JSON of a function with its arguments.
{
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "d",
        "parameters": {
            "type": "object"
        }
    }
}
<|im_end|>
<|im_start|>user
How warm?<|im_end|>
<|im_start|>assistant
{"name": "get_weather", "parameters": {"town": "Köln & <co>"}}<|im_end|>
<|im_start|>ipython
12<|im_end|>
<|im_start|>assistant
"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [(templates.HERMES_LIKE, AS_HERMES), (templates.LLAMA_3_LIKE, AS_LLAMA)],
    ids=["Hermes", "Llama 3"],
)
async def test_a_family_of_models_is_shown_functions_and_calls_as_it_was_taught(
    templated: Templated, source: str, expected: str
) -> None:
    layout = await (await templated(source)).layout_with_tools(USED, [TOOL])
    assert shown(layout, [message.content for message in USED]) == expected
    assert [part for part in layout.parts if isinstance(part, int)] == [0, 1, 3]


@pytest.mark.parametrize("source", [templates.HERMES_LIKE, templates.LLAMA_3_LIKE], ids=["Hermes", "Llama 3"])
async def test_without_functions_a_template_is_told_that_there_are_none(templated: Templated, source: str) -> None:
    template = await templated(source)
    without = shown(await template.layout_with_tools(USED, []), [message.content for message in USED])
    assert "tools>" not in without and "JSON of a function" not in without
    assert '{"town": "Köln & <co>"}' in without
    plain = await template.layout(TALK)
    assert plain == await template.layout_with_tools([ChatMessage(role, "x") for role in TALK], [])


async def test_what_is_said_stands_apart_from_what_the_template_says(templated: Templated) -> None:
    template = await templated(templates.HERMES_LIKE)
    said = [ChatMessage("user", "{{ 1 }}"), ChatMessage("assistant", "I look", USED[2].calls), USED[3]]
    layout = await template.layout_with_tools(said, [TOOL])
    assert [part for part in layout.parts if isinstance(part, int)] == [0, 1, 2]
    assert not any(isinstance(part, str) and ("I look" in part or "{{ 1 }}" in part) for part in layout.parts)


async def test_several_calls_and_answers_stand_in_their_order(templated: Templated) -> None:
    calls = tuple(Call("get_weather", f'{{"town": "{town}"}}', town) for town in ("Oslo", "Rome"))
    said = [
        ChatMessage("user", "?"),
        ChatMessage("assistant", "", calls),
        *(ChatMessage("tool", c.id, (), c.id) for c in calls),
    ]
    text = shown(await (await templated(templates.HERMES_LIKE)).layout_with_tools(said, []), [m.content for m in said])
    assert (text.count("<tool_call>"), text.count("<tool_response>"), text.count("<|im_start|>user")) == (2, 2, 2)
    assert text.index('"Oslo"') < text.index('"Rome"') < text.index("\nOslo\n") < text.index("\nRome\n")


async def test_a_template_that_takes_one_call_says_so_of_two(templated: Templated) -> None:
    two = [ChatMessage("user", "?"), ChatMessage("assistant", "", USED[2].calls * 2)]
    with pytest.raises(TemplateFailed, match="single tool-calls"):
        await (await templated(templates.LLAMA_3_LIKE)).layout_with_tools(two, [])


async def test_a_template_that_leaves_out_what_a_function_answered_fails(templated: Templated) -> None:
    template = await templated("{% for m in messages if m.role != 'tool' %}{{ m.content }}{% endfor %}{{ tools }}")
    with pytest.raises(TemplateFailed, match="leaves out message 4, of the tool"):
        await template.layout_with_tools(USED, [TOOL])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ('{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
        ("", {}),
        (" \n", {}),
        ("not JSON", "not JSON"),
        ("{", "{"),
        ("5", 5),
        ('"text"', "text"),
        ('{"a": "\\ud83d"}', {"a": "\ud83d"}),
        ("9" * 5_000, "9" * 5_000),
        ("[" * 50_000, "[" * 50_000),
    ],
    ids=lambda value: str(value)[:20].encode("ascii", "replace").decode(),
)
def test_arguments_are_what_their_json_says(arguments: str, expected: object) -> None:
    assert as_object(arguments) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (ChatMessage("user", "Hi"), {"role": "user", "content": "MARK"}),
        (ChatMessage("user", ""), {"role": "user", "content": "MARK"}),
        (ChatMessage("tool", "12", answers="c"), {"role": "tool", "content": "MARK", "tool_call_id": "c"}),
        (
            ChatMessage("assistant", "", (Call("f", '{"a": 1}', "c"),)),
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}],
            },
        ),
    ],
)
def test_templates_are_shown_messages_as_transformers_shows_them(message: ChatMessage, expected: object) -> None:
    assert as_shown(message, "MARK") == expected
    if message.calls:
        assert as_shown(replace(message, content="I look"), "MARK")["content"] == "MARK"


WRITTEN = {"ä": ['<b>"', {"c": None}], "a": 1.5}


@pytest.mark.parametrize(
    ("filtered", "expected"),
    [
        ("tojson", '{"ä": ["<b>\\"", {"c": null}], "a": 1.5}'),
        ("tojson(ensure_ascii=True)", '{"\\u00e4": ["<b>\\"", {"c": null}], "a": 1.5}'),
        ("tojson(separators=(',', ':'))", '{"ä":["<b>\\"",{"c":null}],"a":1.5}'),
        ("tojson(sort_keys=True)", '{"a": 1.5, "ä": ["<b>\\"", {"c": null}]}'),
        ("tojson(indent=1)", '{\n "ä": [\n  "<b>\\"",\n  {\n   "c": null\n  }\n ],\n "a": 1.5\n}'),
    ],
)
async def test_templates_write_json_as_transformers_lets_them(
    templated: Templated, filtered: str, expected: str
) -> None:
    template = await templated("{{ messages[0].content }}{{ tools[0] | " + filtered + " }}")
    assert (await template.layout_with_tools([ChatMessage("user", "")], [WRITTEN])).parts == (0, expected)


HOSTILE = {
    "what is not there": "{{ nothing | tojson }}",
    "a method": "{{ messages.append | tojson }}",
    "an endless object": "{% set n = namespace() %}{% set n.n = n %}{{ n | tojson }}",
    "a change of the functions": "{{ tools.append(1) }}",
    "a change of a function": "{{ tools[0].update({'a': 1}) }}",
    "a change of a call": "{{ messages[2].tool_calls.clear() }}",
    "the modules of the filter": "{{ ''.__class__ | tojson }}",
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_template_can_do_nothing_with_functions_but_write_them(templated: Templated, source: str) -> None:
    template = await templated(source + templates.HERMES_LIKE)
    with pytest.raises(TemplateFailed):
        await template.layout_with_tools(USED, [TOOL])


async def test_layouts_with_functions_are_not_kept(templated: Templated) -> None:
    template = await templated(CLOCK)
    said = [ChatMessage("user", "")]
    assert await template.layout_with_tools(said, [TOOL]) != await template.layout_with_tools(said, [TOOL])
    assert await template.layout(("user",)) == await template.layout(("user",))
