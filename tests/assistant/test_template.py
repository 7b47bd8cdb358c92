"""A model's own template gives the layout its authors meant, and whatever it does wrong, only its rendering fails."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, timedelta
from pathlib import Path

import pytest

from neuralbridge.assistant.template import (
    CHATML,
    RENDER_SECONDS,
    RENDERINGS_KEPT,
    ChatTemplate,
    Layout,
    TemplateFailed,
)
from neuralbridge.engine.engine import Engine
from neuralbridge.types import Role
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
