"""The page while its server is away: what its service worker keeps, and what it must not keep."""

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import expect

from tests.browser.conftest import ROOT, ScriptedServer, Visit, Visits

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

KEPT = """
    async (name) => {
        const names = (await caches.keys()).filter((each) => each.startsWith(name));
        const cached = await Promise.all(names.map(async (each) => (await caches.open(each)).keys()));
        return cached.flat().map(({ url }) => new URL(url).pathname);
    }
"""
KEEPS = f"async ([name, path, wanted]) => (await ({KEPT})(name)).includes(path) === wanted"
LISTS_NONE = "async () => (await (await caches.match('/api/conversations?limit=50')).json()).total === 0"
NEWER = ("js/view/page.js", "css/tokens.css")
REPLACED = """
    async (before) => {
        const now = await caches.keys();
        return now.length === before.length && now.some((name) => !before.includes(name));
    }
"""
IS_NEWER = "async (path) => (await (await caches.match(path)).text()).endsWith('/* newer */')"
LOADED = """
    async () => {
        const { active } = await navigator.serviceWorker.ready;
        active.postMessage({ type: "loaded", urls: ["/", "/static/js/main.js"] });
    }
"""
TEXTS = """
    async () => {
        const opened = await Promise.all((await caches.keys()).map((name) => caches.open(name)));
        const kept = (await Promise.all(opened.map((cache) => cache.matchAll()))).flat();
        return Promise.all(kept.map(async (each) => [each.url, await each.text()]));
    }
"""
OTHER = "<h1>another program</h1>"
READ_MANY = "async (paths) => { for (const path of paths) await fetch(path); }"
COUNTS = (
    f"async ([session, count]) => (await ({KEPT})('conv')).filter((path) => path.endsWith(session)).length === count"
)
NO_WORKER = "Object.defineProperty(Navigator.prototype, 'serviceWorker', { get: () => undefined })"


async def until(page: Visit, condition: str, argument: Any = None) -> None:
    """Wait for something that only an asynchronous function of the page can tell."""
    look = f"""
        async (argument) => {{
            const end = Date.now() + 20_000;
            while (!(await ({condition})(argument))) {{
                if (Date.now() > end) return false;
                await new Promise((resolve) => setTimeout(resolve, 50));
            }}
            return true;
        }}
    """
    assert await page.page.evaluate(look, argument), f"never came true: {condition}({argument})"


async def keeps(page: Visit, cache: str, path: str, *, wanted: bool = True) -> None:
    """Wait until it does, or no longer does."""
    await until(page, KEEPS, [cache, path, wanted])


async def with_copy(visit: Visits, scripted: ScriptedServer, question: str = "is it kept") -> tuple[Visit, str]:
    """A visit whose browser has a copy of the page and of a conversation; the conversation's id."""
    page = await visit(scripted.url, service_workers="allow")
    await page.open()
    await keeps(page, "files-", "/static/js/main.js")
    await page.ask(question)
    await page.sees_answer(f"You asked: {question}")
    session = await page.page.evaluate("localStorage.getItem('neuralbridge.session')")
    await keeps(page, "conversations", history_of(session))
    return page, session


async def left_alone(visit: Visits, scripted: ScriptedServer) -> Visit:
    """One whose browser has copies, and whose server is away."""
    page, _ = await with_copy(visit, scripted)
    page.expects_lost_connection = True
    await scripted.stop()
    return page


def history_of(session: str) -> str:
    return f"/api/conversations/{session}/history"


async def test_with_the_server_away_the_page_opens_with_its_history_and_sends_later(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await left_alone(visit, scripted)
    await page.page.reload()
    await page.sees_answer("You asked: is it kept")
    await expect(page.page.locator("#as-of")).to_have_text(
        re.compile(r"^The server is away\. Shown as of \d+:\d\d [AP]M\.$")
    )
    await expect(page.page.locator("#connection-words")).to_contain_text("reconnecting")
    await page.ask("are you there")
    await expect(page.turn().locator(".state")).to_have_text("Will be sent as soon as the page is connected.")
    await scripted.start()
    await page.sees_answer("You asked: are you there")
    await expect(page.page.locator("#as-of")).to_be_hidden()


async def test_every_file_of_the_page_comes_from_the_copy_while_the_server_is_away(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await left_alone(visit, scripted)
    failed: list[str] = []
    page.page.on("requestfailed", lambda request: failed.append(request.url))
    await page.page.reload()
    await page.sees_answer("You asked: is it kept")
    await page.page.click("#to-settings")
    assert [url for url in failed if "/static/" in url] == []


async def test_a_server_that_takes_the_connection_and_says_nothing_is_not_waited_for(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await left_alone(visit, scripted)
    with socket.create_server(("127.0.0.1", scripted.port), backlog=100):  # nobody reads what comes in
        await page.page.reload(wait_until="commit")
        await page.sees_answer("You asked: is it kept")
        await expect(page.page.locator("#as-of")).to_be_visible()


async def test_what_was_asked_and_not_sent_outlasts_the_page(visit: Visits, scripted: ScriptedServer) -> None:
    page = await left_alone(visit, scripted)
    await page.ask("asked in vain")
    await expect(page.turn().locator(".state")).to_have_text("Will be sent as soon as the page is connected.")
    await page.page.reload()
    await expect(page.page.locator("#query")).to_have_value("asked in vain")


async def test_a_new_version_of_the_page_takes_the_place_of_the_old_copy_whole(
    visit: Visits, scripted: ScriptedServer, tmp_path: Path
) -> None:
    page, _ = await with_copy(visit, scripted)
    before = await page.page.evaluate("caches.keys()")
    newer = tmp_path / "static"
    copy_page(newer)
    for name in NEWER:
        with (newer / name).open("a", encoding="utf-8") as file:
            file.write("/* newer */")
    page.expects_lost_connection = True
    await scripted.stop()
    await scripted.start(newer)
    await page.page.reload()
    await page.is_connected()
    await until(page, REPLACED, before)
    assert [await page.page.evaluate(IS_NEWER, f"/static/{name}") for name in NEWER] == [True, True]


async def test_a_deleted_conversation_leaves_no_copy(visit: Visits, scripted: ScriptedServer) -> None:
    page, session = await with_copy(visit, scripted)
    await page.page.evaluate("fetch('/api/conversations?limit=50')")
    await keeps(page, "conversations", "/api/conversations")
    await page.page.evaluate("(id) => fetch(`/api/conversations/${id}`, { method: 'DELETE' })", session)
    await keeps(page, "conversations", history_of(session), wanted=False)
    await until(page, LISTS_NONE)


async def test_only_the_page_and_conversations_are_kept(visit: Visits, scripted: ScriptedServer) -> None:
    page, session = await with_copy(visit, scripted)
    others = [
        "/v1/models",
        "/metrics",
        "/api/knowledge/documents",
        "/api/proxy/health",
        "/api/conversations/export",
        f"/api/conversations/{session}/export",
        "/api/conversations?q=kept",
    ]
    for path in others:
        await page.page.evaluate("(path) => fetch(path).then((response) => response.text())", path)
    await page.page.evaluate(f"fetch('/api/conversations/{session}')")
    await keeps(page, "conversations", f"/api/conversations/{session}")
    kept = await page.page.evaluate(KEPT, "")
    assert [path for path in kept if not re.match(r"/$|/static/|/api/conversations/\w{32}(/history)?$", path)] == []


async def test_who_is_signed_out_finds_no_conversations(visit: Visits, scripted: ScriptedServer) -> None:
    page, session = await with_copy(visit, scripted)
    page.expects_refusals = page.expects_lost_connection = True
    await scripted.stop()
    async with knows_nobody(scripted.port):
        await page.page.evaluate("(path) => fetch(path)", f"{history_of(session)}?limit=50")
        await keeps(page, "conversations", history_of(session), wanted=False)


async def test_forgetting_what_the_browser_keeps_forgets_the_copies(visit: Visits, scripted: ScriptedServer) -> None:
    page, session = await with_copy(visit, scripted)
    await page.page.click("#to-settings")
    await page.page.click("#clear-local")
    await page.page.click("#clear-now")
    await expect(page.page.locator("#welcome")).to_be_visible()
    assert history_of(session) not in await page.page.evaluate(KEPT, "conversations")


async def test_another_program_at_this_address_does_not_come_into_the_copies(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page, session = await with_copy(visit, scripted)
    page.expects_lost_connection = True
    await scripted.stop()
    async with another_program(scripted.port):
        await page.page.evaluate(LOADED)
        await page.page.evaluate("(path) => fetch(path)", f"{history_of(session)}?limit=50")
        await page.page.wait_for_timeout(1000)  # for what must not happen
    kept = await page.page.evaluate(TEXTS)
    assert [path for path, text in kept if OTHER in text] == []


async def test_of_very_many_conversations_the_last_are_kept(visit: Visits, scripted: ScriptedServer) -> None:
    page, session = await with_copy(visit, scripted)
    await page.page.evaluate(READ_MANY, [f"/api/conversations/{session}?{number}" for number in range(220)])
    await until(page, COUNTS, [session, 200])


async def test_a_browser_without_workers_is_served_like_any_other(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url, service_workers="allow")
    await page.context.add_init_script(NO_WORKER)
    await page.open()
    await page.ask("hello")
    await page.sees_answer("You asked: hello")
    await page.page.click("#to-settings")
    await page.page.click("#clear-local")
    await page.page.click("#clear-now")
    await expect(page.page.locator("#welcome")).to_be_visible()


def copy_page(to: Path) -> None:
    for path in (ROOT / "static").rglob("*"):
        if path.is_file():
            copy = to / path.relative_to(ROOT / "static")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())


@asynccontextmanager
async def another_program(port: int) -> AsyncIterator[None]:
    """What answers everything with a page of its own."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=OTHER, content_type="text/html")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app, port=port):
        yield


@asynccontextmanager
async def knows_nobody(port: int) -> AsyncIterator[None]:
    """A server that answers as one does which the browser is no longer signed in to."""

    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=401)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    async with TestServer(app, port=port):
        yield
