"""The page of the documentation against the real server. Only its port and the address of its library are changed."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import expect

from tests.browser.conftest import ROOT, ServerProcess, Visit, Visits

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.asyncio(loop_scope="session")]

PAGE = Path(__file__).parent / "documented_page.html"
LIBRARY = ROOT / "node_modules" / "phoenix-1.7.0" / "priv" / "static" / "phoenix.js"
DOCUMENTED_SOCKET = "localhost:4000"
DOCUMENTED_LIBRARY = "https://cdn.jsdelivr.net/npm/phoenix@1.7.0/priv/static/phoenix.js"
ANSWER_MS = 60_000


@pytest_asyncio.fixture(loop_scope="session")
async def front_end(server: ServerProcess) -> AsyncIterator[str]:
    """A front-end developer's own server, on another loopback port than ours. Its address."""
    document = PAGE.read_text(encoding="utf-8")
    assert document.count(DOCUMENTED_SOCKET) == 1
    assert document.count(DOCUMENTED_LIBRARY) == 1
    document = document.replace(DOCUMENTED_SOCKET, server.url.removeprefix("http://"))
    document = document.replace(DOCUMENTED_LIBRARY, "/phoenix.js")

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=document, content_type="text/html")

    async def library(_: web.Request) -> web.FileResponse:
        return web.FileResponse(LIBRARY)

    async def icon(_: web.Request) -> web.Response:
        return web.Response(status=204)

    app = web.Application()
    app.add_routes([web.get("/", page), web.get("/phoenix.js", library), web.get("/favicon.ico", icon)])
    async with TestServer(app) as developed:
        yield str(developed.make_url("")).rstrip("/")


async def connect(visit: Visits, front_end: str, server: ServerProcess) -> Visit:
    page = await visit(front_end, server.url)
    await page.page.goto(front_end)
    await expect(page.page.locator("#status")).to_have_text("Conectado")
    return page


async def send(page: Visit, question: str) -> None:
    await page.page.fill("#message-input", question)
    await page.page.click("#send-button")


async def test_it_connects_and_shows_an_answer_with_its_metadata(
    visit: Visits, front_end: str, server: ServerProcess
) -> None:
    page = await connect(visit, front_end, server)
    await send(page, "What is the capital of France?")
    await expect(page.page.locator("#send-button")).to_be_disabled()
    answer = page.page.locator(".message.assistant")
    await expect(answer).to_have_text(
        re.compile(r"Paris.*Fonte: llm \|\s+Confiança: \d+\.\d% \|\s+Tempo: \d+ms", re.DOTALL), timeout=ANSWER_MS
    )
    await expect(page.page.locator("#send-button")).to_be_enabled()
    await expect(page.page.locator("#error")).to_be_empty()


async def test_it_streams_after_the_toggle(visit: Visits, front_end: str, server: ServerProcess) -> None:
    page = await connect(visit, front_end, server)
    await page.page.click("text=Stream: OFF")
    await expect(page.page.locator("#streaming-mode")).to_have_text("Stream: ON")
    await send(page, "Explain what rain is.")
    # Looked at in every frame: a short answer is gone from this element soon.
    await page.page.wait_for_function(
        "document.querySelector('#streaming-message')?.textContent.trim() > ''", timeout=ANSWER_MS
    )
    await expect(page.page.locator(".message.assistant:not(.streaming)")).to_have_text(
        re.compile(r"\w+"), timeout=ANSWER_MS
    )
    await expect(page.page.locator("#send-button")).to_be_enabled()


async def test_both_ways_of_asking_leave_their_messages_in_order(
    visit: Visits, front_end: str, server: ServerProcess
) -> None:
    page = await connect(visit, front_end, server)
    await send(page, "What is the capital of France?")
    await expect(page.page.locator(".message.assistant")).to_have_count(1, timeout=ANSWER_MS)
    await page.page.click("text=Stream: OFF")
    await send(page, "And of Spain?")
    await expect(page.page.locator(".message.assistant:not(.streaming)")).to_have_count(2, timeout=ANSWER_MS)
    await expect(page.page.locator("#send-button")).to_be_enabled(timeout=ANSWER_MS)
    roles = await page.page.locator(".message").evaluate_all("(all) => all.map((one) => one.classList[1])")
    assert roles == ["user", "assistant", "user", "assistant"]
    questions = await page.page.locator(".message.user").all_inner_texts()
    assert [question.strip() for question in questions] == ["What is the capital of France?", "And of Spain?"]


async def test_an_empty_answer_box_is_not_left_after_a_refusal(
    visit: Visits, front_end: str, server: ServerProcess
) -> None:
    page = await connect(visit, front_end, server)
    await page.page.click("text=Stream: OFF")
    await send(page, "long " * 6_500)
    await expect(page.page.locator("#error")).to_contain_text("32,000")
    await expect(page.page.locator("#send-button")).to_be_enabled()
    await expect(page.page.locator(".message.assistant")).to_have_count(0)
