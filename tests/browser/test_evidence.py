"""The drawer in a browser: the very words of a document, what happens when they are gone, and every way in and out."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, Route, expect

from tests.browser.axe import serious_findings
from tests.browser.conftest import ScriptedServer, Visit, Visits, leave
from tests.fakes import FakeEmbedder

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUESTION = "How long is the warranty of the XK-204 pump, and what is its seal made of?"
WARRANTY = "The warranty of the XK-204 pump lasts 27 months."
SEAL = "The seal of the XK-204 pump is made of re\u0301sine."
INVENTED = "Leonardo painted a zeppelin in Paris."
ANSWER = f"\U0001f6a4 {WARRANTY} **{INVENTED}**\n\n- {SEAL}"
MANUAL = f"\U0001f535 E\u0301 a nota \U0001f469\u200d\U0001f527 da bomba.\n\n{WARRANTY} \U0001f6a4\n\n{SEAL}\n"
PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}
REFUSED = "Failed to load resource"  # what a browser logs by itself of a request that is refused


class Library(ScriptedServer):
    """The scripted server, with documents on."""

    reply = staticmethod(lambda _: ANSWER)

    async def put(self, content: str, name: str = "manual.md") -> str:
        async with aiohttp.ClientSession(base_url=self.url) as http:
            text = {"content": content, "source_document": name}
            async with http.post("/api/knowledge/ingest", json=text) as response:
                assert response.status == 201, await response.text()
                return str((await response.json())["document_id"])

    async def delete(self, document: str) -> None:
        there = f"{self.url}/api/knowledge/documents/{document}"
        async with aiohttp.ClientSession() as http, http.delete(there) as response:
            assert response.status == 204


@pytest_asyncio.fixture(loop_scope="session")
async def library(tmp_path: Path, visits: list[Visit]) -> AsyncIterator[Library]:
    server = Library(tmp_path / "data", FakeEmbedder)
    await server.start()
    yield server
    await leave(visits)
    await server.stop()


async def answered(visit: Visits, library: Library, **options: Any) -> Visit:
    """A visit that has asked its question, and has an answer with marks."""
    visitor = await visit(library.url, **options)
    await visitor.page.goto(library.url)
    await expect(visitor.page.locator("#connection")).to_have_attribute("data-is", "connected")
    await visitor.ask(QUESTION)
    await visitor.sees("complete")
    return visitor


def drawer(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Evidence")


def mark(page: Page, index: int) -> Locator:
    return page.locator(f"button.citation[data-sentence='{index}']")


def very_words(page: Page) -> Locator:
    return page.locator("#evidence mark")


async def in_the_middle(page: Page) -> bool:
    """Whether the marked words are in the middle third of the document's text."""
    place: float = await page.evaluate(
        """() => {
          const view = document.querySelector(".document-text").getBoundingClientRect();
          const mark = document.querySelector(".document-text mark").getBoundingClientRect();
          return ((mark.top + mark.bottom) / 2 - view.top) / view.height;
        }"""
    )
    return 1 / 3 < place < 2 / 3


async def test_a_click_on_a_mark_shows_the_document_at_the_very_words(visit: Visits, library: Library) -> None:
    await library.put(MANUAL)
    page = (await answered(visit, library)).page
    for index, words, said in ((0, WARRANTY, f"\U0001f6a4 {WARRANTY}"), (2, SEAL, SEAL)):
        await mark(page, index).click()
        await expect(very_words(page)).to_have_text(words, use_inner_text=False)
        await expect(page.locator("#evidence .claim")).to_have_text(said)
        await expect(page.locator("#evidence .evidence-name")).to_have_text("manual.md")
        await expect(mark(page, index)).to_have_attribute("aria-current", "true")
    await expect(page.locator("button.citation[aria-current]")).to_have_count(1)
    assert await page.locator(".document-text .part").text_content() == MANUAL


async def test_marks_stay_where_the_conversation_is_read_again(visit: Visits, library: Library) -> None:
    await library.put(MANUAL)
    visitor = await answered(visit, library)
    first = visitor.turn(0).locator("button.citation")
    await expect(first).to_have_count(3)
    await library.drop_sockets()
    await visitor.is_connected()
    await visitor.ask("And again?")
    await visitor.sees("complete")  # the history is read before that
    await expect(visitor.page.locator(".turn")).to_have_count(2)
    await expect(first).to_have_count(3)


async def test_words_deep_in_a_long_document_are_in_the_middle_and_more_comes_as_one_scrolls(
    visit: Visits, library: Library
) -> None:
    pages = [f"Page {at} \U0001f6a4 " + "speaks of other things. " * 6 for at in range(400)]
    pages[200] = WARRANTY
    text = "\n\n".join(pages)
    document = await library.put(text)
    visitor = await visit(library.url)
    await visitor.open()
    page = visitor.page
    start = text.index(WARRANTY)
    await open_document(page, document, {"start": start, "end": start + len(WARRANTY)})
    await expect(very_words(page)).to_have_text(WARRANTY)
    assert await in_the_middle(page)
    parts = page.locator(".document-text .part")
    await expect(parts).to_have_count(1)
    for _ in range(8):
        await page.get_by_role("button", name="Show more above").evaluate("(button) => button.click()")
        await expect(page.locator("button.more:disabled")).to_have_count(0)
        if await page.get_by_role("button", name="Show more above").count() == 0:
            break
    assert await in_the_middle(page)  # what came above moved nothing
    shown = "".join(await parts.all_text_contents())
    assert shown == text[: len(shown)]
    await page.locator(".document-text").evaluate("(text) => { text.scrollTop = text.scrollHeight; }")
    await expect(parts.last).not_to_contain_text(WARRANTY)


async def open_document(page: Page, document: str, place: dict[str, int] | None) -> None:
    """As the list of documents opens one."""
    await page.evaluate(
        """async ([id, place]) => {
          const { Evidence } = await import("/static/js/evidence.js");
          const { Server } = await import("/static/js/server.js");
          const words = (await import("/static/js/i18n/en.js")).default;
          window.evidence = new Evidence({ document, words, server: new Server(), toasts: { say() {} } });
          window.evidence.openDocument(id, place);
        }""",
        [document, place],
    )


async def test_a_text_of_ten_megabytes_comes_in_parts_of_which_a_dozen_are_kept(
    visit: Visits, library: Library
) -> None:
    visitor = await visit(library.url)
    await visitor.open()
    page = visitor.page
    line = "A line of a very long list, one of many that look the same.\n"
    characters = 10_000_000

    async def answer(route: Route) -> None:
        start, end = (int(re.findall(rf"{name}=(\d+)", route.request.url)[0]) for name in ("start", "end"))
        end = min(end, characters)
        text = (line * ((end - start) // len(line) + 2))[start % len(line) :][: end - start]
        entry = {"source_document": "list.txt", "kind": "text", "size": characters, "characters": characters}
        dates = {"modified_at": "2026-01-01T00:00:00Z", "created_at": "2026-01-02T00:00:00Z", "version": "v"}
        await route.fulfill(json={**entry, **dates, "start": start, "end": end, "text": text})

    await page.route("**/api/knowledge/documents/**", answer)
    await open_document(page, "long", {"start": 5_000_000, "end": 5_000_010})
    await expect(very_words(page)).to_be_visible()
    for _ in range(16):
        last = await page.locator(".document-text .part").last.element_handle()
        await page.locator(".document-text").evaluate("(text) => { text.scrollTop = text.scrollHeight; }")
        await page.wait_for_function("(last) => last !== document.querySelector('.part:last-of-type')", arg=last)
    assert await page.locator(".document-text .part").count() == 12
    await expect(page.get_by_role("button", name="Show more above")).to_have_count(1)


async def test_previous_and_next_go_through_the_sentences_with_evidence(visit: Visits, library: Library) -> None:
    await library.put(MANUAL)
    page = (await answered(visit, library)).page
    await mark(page, 0).click()
    await expect(page.locator("#evidence h2")).to_have_text("Evidence 1 of 2")
    await expect(page.get_by_role("button", name="Previous evidence")).to_be_disabled()
    await page.get_by_role("button", name="Next evidence").click()
    await expect(very_words(page)).to_have_text(SEAL)
    await expect(mark(page, 2)).to_have_attribute("aria-current", "true")
    await page.keyboard.press("Alt+ArrowUp")
    await expect(very_words(page)).to_have_text(WARRANTY)
    await page.keyboard.press("Alt+ArrowUp")
    await expect(page.locator("#evidence h2")).to_have_text("Evidence 1 of 2")


async def test_a_sentence_without_evidence_says_so_and_lists_what_it_was_held_against(
    visit: Visits, library: Library
) -> None:
    await library.put(MANUAL)
    page = (await answered(visit, library)).page
    await mark(page, 1).click()
    await expect(page.locator("#evidence .verdict")).to_have_text("Not found in your documents")
    await expect(page.locator("#evidence .claim")).to_have_text(INVENTED)
    await page.get_by_role("button", name="manual.md", exact=True).click()
    await expect(very_words(page)).to_contain_text(WARRANTY)
    await page.get_by_role("button", name="Back").click()
    await expect(page.locator("#evidence .claim")).to_have_text(INVENTED)


async def test_the_list_of_passages_leads_into_the_document_and_back(visit: Visits, library: Library) -> None:
    await library.put(MANUAL)
    page = (await answered(visit, library)).page
    await page.get_by_role("button", name="1 passage").click()
    await expect(page.locator("#evidence h2")).to_have_text("Passages")
    await expect(page.locator(".passage .fits")).to_have_text(re.compile(r"^fits [01]\.\d\d$"))
    await page.get_by_role("button", name="manual.md", exact=True).click()
    await expect(very_words(page)).to_be_visible()
    await page.get_by_role("button", name="Open the document").click()
    await expect(page.locator("#evidence h2")).to_have_text("Document")
    await expect(page.locator(".evidence-source")).to_contain_text("markdown")
    await expect(very_words(page)).to_have_count(0)


@pytest.mark.parametrize(
    ("change", "said"), [("changed", "The document has changed since."), ("gone", "The document is gone.")]
)
async def test_a_document_that_changed_or_went_shows_the_words_the_answer_kept(
    visit: Visits, library: Library, change: str, said: str
) -> None:
    document = await library.put(MANUAL)
    visitor = await answered(visit, library)
    page = visitor.page
    if change == "changed":
        await library.put(f"It now begins otherwise. {MANUAL}")
    else:
        await library.delete(document)
    await mark(page, 0).click()
    await expect(page.locator(".evidence-notice")).to_contain_text(said)
    await expect(very_words(page)).to_have_text(WARRANTY)
    await expect(page.locator(".document-text")).to_be_hidden()
    forgive_refusals(visitor)


async def test_when_the_server_is_away_the_kept_words_stand_and_trying_again_opens_the_document(
    visit: Visits, library: Library
) -> None:
    await library.put(MANUAL)
    visitor = await answered(visit, library)
    page = visitor.page
    await page.route("**/api/knowledge/documents/**", lambda route: route.abort())
    await mark(page, 0).click()
    await expect(page.locator(".evidence-notice")).to_contain_text("The server cannot be reached")
    await expect(very_words(page)).to_have_text(WARRANTY)
    await page.unroute("**/api/knowledge/documents/**")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator(".document-text mark")).to_have_text(WARRANTY)
    forgive_refusals(visitor)


def forgive_refusals(visitor: Visit) -> None:
    visitor.complaints[:] = [each for each in visitor.complaints if not each.startswith(REFUSED)]


async def test_a_hostile_document_is_shown_as_text(visit: Visits, library: Library) -> None:
    name = "<img src=x onerror=alert(1)>\u202efdp.md"
    hostile = f"<script>alert(1)</script> <img src='//evil.example/x.png'>\n\n{WARRANTY} <b>{SEAL}</b>"
    await library.put(hostile, name)
    page = (await answered(visit, library)).page
    await mark(page, 0).click()
    await expect(very_words(page)).to_contain_text(WARRANTY)
    await expect(page.locator("#evidence .evidence-name")).to_contain_text("<img src=x onerror=alert(1)>")
    await expect(page.locator("#evidence :is(img, script, b, a, iframe)")).to_have_count(0)
    await expect(page.locator(".document-text")).to_contain_text("<script>alert(1)</script>")


async def test_with_the_keyboard_alone_one_gets_in_and_out_again(visit: Visits, library: Library) -> None:
    await library.put(MANUAL)
    page = (await answered(visit, library)).page
    await mark(page, 2).focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#evidence h2")).to_be_focused()
    await expect(very_words(page)).to_have_text(SEAL)
    for name in ("Previous evidence (Alt+Up)", "Close"):
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name=name).and_(page.locator("#evidence button"))).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("region", name="Text of manual.md")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(drawer(page)).to_be_hidden()
    await expect(mark(page, 2)).to_be_focused()
    await expect(page.locator("button.citation[aria-current]")).to_have_count(0)


async def test_esc_closes_the_drawer_before_it_stops_an_answer(visit: Visits, library: Library) -> None:
    await library.put(MANUAL)
    visitor = await answered(visit, library)
    page = visitor.page
    await mark(page, 0).click()
    library.runner.hold()
    await visitor.ask("And the seal of the XK-204 pump?")
    await expect(page.locator("#stop")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(drawer(page)).to_be_hidden()
    await expect(page.locator("#stop")).to_be_visible()
    await page.keyboard.press("Escape")
    library.runner.release()
    await visitor.sees("cancelled")


async def test_the_mark_stays_where_it_is_when_the_drawer_narrows_the_column(visit: Visits, library: Library) -> None:
    await library.put(MANUAL)
    visitor = await answered(visit, library, viewport={"width": 1280, "height": 600})
    page = visitor.page
    for _ in range(4):  # enough below it that the reader is not at the end
        await visitor.ask(QUESTION + " Tell me at length, in many words that fill the lines of this column." * 9)
        await visitor.sees("complete")
    middle = page.locator(".turn").nth(2).locator("button.citation").first
    await middle.evaluate("(mark) => mark.scrollIntoView({ block: 'center' })")
    places = [await top_of(middle)]
    await middle.click()
    await expect(very_words(page)).to_have_text(WARRANTY)
    places.append(await top_of(middle))
    await page.keyboard.press("Escape")
    await expect(drawer(page)).to_be_hidden()
    places.append(await top_of(middle))
    assert max(places) - min(places) < 3


async def top_of(element: Locator) -> float:
    await element.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    top: float = await element.evaluate("(element) => element.getBoundingClientRect().top")
    return top


async def test_on_a_telephone_the_drawer_is_the_screen_and_closes_to_the_mark(visit: Visits, library: Library) -> None:
    await library.put(MANUAL)
    page = (await answered(visit, library, **PHONE)).page
    await mark(page, 0).tap()
    await expect(very_words(page)).to_be_in_viewport()
    assert await drawer(page).bounding_box() == {"x": 0, "y": 0, "width": 390, "height": 780}
    assert await page.locator("#chat").evaluate("(room) => room.inert")
    sizes = await page.locator("#evidence button:visible").evaluate_all(
        "(buttons) => buttons.map((button) => Math.min(button.offsetWidth, button.offsetHeight))"
    )
    assert min(sizes) >= 44
    await drawer(page).get_by_role("button", name="Close").tap()
    await expect(drawer(page)).to_be_hidden()
    await expect(mark(page, 0)).to_be_focused()


async def test_over_the_room_the_drawer_gives_way_to_what_the_keyboard_goes_to(visit: Visits, library: Library) -> None:
    await library.put(MANUAL)
    page = (await answered(visit, library, viewport={"width": 1000, "height": 700})).page
    await mark(page, 0).click()
    await expect(very_words(page)).to_have_text(WARRANTY)
    await page.locator("#query").focus()
    await expect(drawer(page)).to_be_hidden()
    await expect(page.locator("#query")).to_be_focused()


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_serious_in_the_open_drawer(visit: Visits, library: Library, theme: Any) -> None:
    await library.put(MANUAL)
    page = (await answered(visit, library, color_scheme=theme)).page
    for open_one in (mark(page, 0), mark(page, 1), page.get_by_role("button", name="1 passage")):
        await open_one.click()
        await expect(page.locator("#evidence [aria-busy]")).to_have_count(0)
        assert await serious_findings(page) == []
