"""The list of conversations: read, searched, changed, deleted with a way back, written out and taken in."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, Locator, Page, Route, expect

from tests.browser.conftest import ScriptedServer, Visit, Visits
from tests.browser.shelf import Said, put

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
NOW = datetime.now(UTC)
SEA = "Why is the sea salty?"
MARKUP = "<img src=x onerror=\"document.title='broken into'\"><b>bold</b>"
ARABIC = "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645"
LIST = re.compile(r"/api/conversations\?limit=\d+&offset=")
SCROLL_THROUGH = """
    async () => {
        const list = document.querySelector(".past-scroll");
        let [most, still] = [0, 0];
        while (still < 120) {
            const before = list.scrollTop;
            list.scrollTop += 400;
            await new Promise(requestAnimationFrame);
            most = Math.max(most, list.querySelectorAll(".past-row").length);
            still = list.scrollTop === before ? still + 1 : 0;
        }
        return most;
    }
"""


def ago(**given: float) -> datetime:
    return NOW - timedelta(**given)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of the scripted server."""
    return tmp_path / "data"


def row(page: Page, session: str) -> Locator:
    return page.locator(f".past-row[data-id='{session}']:visible")


async def choose(page: Page, session: str, action: str) -> None:
    """Something in the menu of a conversation."""
    await row(page, session).hover()
    await row(page, session).locator(".past-more").click()
    await page.get_by_role("menuitem", name=action, exact=True).click()


async def listed(page: Page) -> list[str]:
    return await page.locator(".past-row").evaluate_all("rows => rows.map((row) => row.dataset.id)")


async def sees(page: Page, *sessions: str) -> None:
    """These are listed, in this order."""
    rows = page.locator(".past-scroll .past-row")
    await expect(rows).to_have_count(len(sessions))
    for place, session in enumerate(sessions):
        await expect(rows.nth(place)).to_have_attribute("data-id", session)


async def asked(scripted: ScriptedServer, path: str = "") -> Any:
    """What the server says, for whoever asks it directly."""
    async with aiohttp.ClientSession() as session, session.get(f"{scripted.url}/api/conversations{path}") as response:
        return await response.json()


async def holds(scripted: ScriptedServer, *sessions: str) -> None:
    """The server has these conversations, in any order, soon."""
    async with asyncio.timeout(15):
        # a request of a page that was left has no event to wait for
        while {each["session_id"] for each in (await asked(scripted))["conversations"]} != {*sessions}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def three(visit: Visits, scripted: ScriptedServer, data: Path, **options: Any) -> Visit:
    """A visit with three conversations: a, b and c."""
    put(data, [Said(session, ago(minutes=place), title=f"Title {session}") for place, session in enumerate("abc")])
    page = await visit(scripted.url, **options)
    await page.page.goto(scripted.url)
    await expect(page.page.locator("#connection[data-is=connected]")).to_be_attached()
    await expect(page.page.locator(".past-scroll .past-row")).to_have_count(3)
    return page


async def refuse(page: Visit, method: str, address: str) -> None:
    """From now on the server answers requests of this method with 500 and a sentence."""
    page.expects_refusals = True
    body = {"error": "processing_failed", "message": "The disk is full."}

    async def answer(route: Route) -> None:
        await (route.fulfill(status=500, json=body) if route.request.method == method else route.fallback())

    await page.page.route(address, answer)


# Listed


@pytest.mark.parametrize(
    ("locale", "headings"),
    [
        ("en-GB", ["Pinned", "Today", "Yesterday", "Previous 7 days", "September 2026", "December 2025"]),
        ("pt-BR", ["Fixadas", "Hoje", "Ontem", "7 dias anteriores", "Setembro de 2026", "Dezembro de 2025"]),
    ],
)
async def test_conversations_stand_under_the_day_they_were_used_in_local_time(
    visit: Visits, scripted: ScriptedServer, data: Path, locale: str, headings: list[str]
) -> None:
    times = ("2026-10-07T04:00", "2026-10-07T02:00", "2026-10-01T12:00", "2026-09-15T12:00", "2025-12-24T12:00")
    put(data, [Said(str(place), datetime.fromisoformat(time)) for place, time in enumerate(times)])
    put(data, [Said("kept", datetime.fromisoformat("2020-01-01T12:00"), pinned=True)])
    page = await visit(scripted.url, locale=locale, timezone_id="America/Sao_Paulo")
    await page.page.clock.set_fixed_time(datetime.fromisoformat("2026-10-07T12:00-03:00"))
    await page.open()
    await expect(page.page.locator(".past-heading")).to_have_text(headings)


async def test_the_conversation_shown_is_marked_and_a_line_leads_to_another(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    marked = page.page.locator(".past-link[aria-current=page]")
    await expect(marked).to_have_count(0)
    await row(page.page, "b").locator(".past-link").click()
    await expect(marked).to_have_text("Title b")
    await page.sees_answer("Rivers carry minerals.")
    await expect(page.page.locator("#title")).to_have_text("Title b")
    assert page.page.url.endswith("#/c/b")


async def test_a_line_is_a_link_that_opens_in_another_tab_too(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    async with page.context.expect_page() as opening:
        await row(page.page, "c").locator(".past-link").click(modifiers=["Control"])
    other = await opening.value
    await expect(other.locator("#title")).to_have_text("Title c")


async def test_the_name_of_a_conversation_far_down_the_list_is_shown_above_it(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    put(data, [Said(str(place), ago(hours=place), title=f"Title {place}") for place in range(400)])
    page = await visit(scripted.url)
    await page.page.goto(f"{scripted.url}/#/c/399")
    await expect(page.page.locator("#title")).to_have_text("Title 399")


async def test_markup_and_endless_names_stay_text_in_one_line(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    names = {"markup": MARKUP, "arabic": ARABIC, "long": "x" * 10_000, "blank": " ", "line": "one\ntwo"}
    put(data, [Said(session, NOW, (name, "Yes."), title=name) for session, name in names.items()])
    page = await visit(scripted.url)
    await page.open()
    await expect(page.page.locator(".past-row")).to_have_count(5)
    await row(page.page, "markup").locator(".past-link").click()
    await page.page.fill("#past-search", "img bold")
    await expect(page.page.locator(".past-found mark").first).to_be_visible()
    assert await page.page.locator("#past img, #past b, #title img").count() == 0
    assert await page.page.title() == f"{MARKUP} \u00b7 NeuralBridge"
    await page.page.fill("#past-search", "")
    boxes = [await row(page.page, session).bounding_box() for session in names]
    assert {(box["height"], box["width"] < 270) for box in boxes if box} == {(44, True)}
    assert await row(page.page, "arabic").locator(".past-name").evaluate("e => getComputedStyle(e).direction") == "rtl"
    await expect(row(page.page, "blank").locator(".past-name")).to_have_text("Without a title")


async def test_where_nothing_was_asked_yet_one_sentence_says_what_will_be_here(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url)
    await page.open()
    await expect(page.page.locator(".past-status")).to_have_text(
        "What you ask is kept here, on this computer, until you delete it."
    )


async def test_five_thousand_are_read_as_one_scrolls_and_only_some_are_there(
    visit: Visits, scripted: ScriptedServer, data: Path, browser: Browser
) -> None:
    put(data, [Said(f"s{place}", ago(hours=place / 2), (f"Question {place}", "Yes.")) for place in range(5_000)])
    page = await visit(scripted.url)
    await page.open()
    await expect(row(page.page, "s0")).to_be_visible()
    await browser.start_tracing(page=page.page, categories=["toplevel"])
    most = await page.page.evaluate(SCROLL_THROUGH)
    longest = longest_task(await browser.stop_tracing())
    await expect(row(page.page, "s4999")).to_be_visible()
    assert (most < 60, longest < 50) == (True, True), (most, longest)


def longest_task(trace: bytes) -> float:
    """Milliseconds of the page's thread, without the time in which the machine did something else."""
    events = json.loads(trace)["traceEvents"]
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks = [e for e in events if e["name"].endswith("RunTask") and "tdur" in e and (e["pid"], e["tid"]) in threads]
    return max(task["tdur"] for task in tasks) / 1000


async def test_arrow_keys_go_from_line_to_line_far_beyond_the_screen(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    put(data, [Said(f"s{place}", ago(hours=place)) for place in range(150)])
    page = await visit(scripted.url)
    await page.open()
    await row(page.page, "s0").locator(".past-link").focus()
    for place in range(1, 121):
        await page.page.keyboard.press("ArrowDown")
        await expect(row(page.page, f"s{place}").locator(".past-link")).to_be_focused()
    await expect(row(page.page, "s120")).to_be_in_viewport()


async def test_the_list_begins_where_the_conversation_shown_is(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    put(data, [Said(f"s{place}", ago(hours=place)) for place in range(90)])
    page = await visit(scripted.url)
    await page.page.goto(f"{scripted.url}/#/c/s70")
    await expect(row(page.page, "s70").locator("[aria-current=page]")).to_be_in_viewport()


# Searched


async def test_a_search_shows_the_words_where_they_were_said_and_opens_the_message(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    texts = [f"message {place} " + "and so on " * 60 for place in range(160)]
    texts[9] = "\U0001f4a5 Rivers carry <minerals> to the sea"
    put(data, [Said("long", ago(days=1), tuple(texts)), Said("other", NOW)])
    page = await visit(scripted.url)
    await page.open()
    await page.page.fill("#past-search", "to minerals rivers")
    found = page.page.locator(".past-match")
    await expect(found).to_have_count(1)
    await expect(found.locator("mark")).to_have_text(["Rivers", "minerals", "to"])
    await found.click()
    await expect(page.page.get_by_text("Rivers carry <minerals> to the sea").last).to_be_in_viewport()
    assert page.page.url.endswith("#/c/long")


async def test_the_search_opens_by_key_and_is_left_by_escape(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    await page.page.focus("#query")
    await page.page.keyboard.press("Control+k")
    await page.page.keyboard.type("title b")
    await expect(page.page.locator(".past-found .past-row")).to_have_count(1)
    await page.page.keyboard.press("ArrowDown")
    await expect(row(page.page, "b").locator(".past-link")).to_be_focused()
    await page.page.keyboard.press("Control+k")
    await page.page.keyboard.press("Escape")
    await sees(page.page, "a", "b", "c")
    await expect(page.page.locator("#past-search")).to_have_value("")


async def test_escape_in_the_search_returns_to_what_was_being_written(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    await page.page.fill("#query", "half a question")
    await page.page.keyboard.press("Control+k")
    await page.page.keyboard.type("zzz")
    await page.page.keyboard.press("Escape")
    await expect(page.page.locator("#query")).to_be_focused()


async def test_words_nobody_said_are_told_with_a_way_back(visit: Visits, scripted: ScriptedServer, data: Path) -> None:
    page = await three(visit, scripted, data)
    await page.page.fill("#past-search", "photosynthesis")
    await expect(page.page.locator(".past-status p")).to_have_text("Nothing was said with these words.")
    await page.page.locator(".past-status").get_by_role("button", name="Clear the search").click()
    await sees(page.page, "a", "b", "c")
    await expect(page.page.locator("#past-search")).to_be_focused()


async def test_of_many_found_the_best_are_shown_and_the_number_told(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    put(data, [Said(str(place), ago(hours=place)) for place in range(70)])
    page = await visit(scripted.url)
    await page.open()
    await page.page.fill("#past-search", "salty")
    await expect(page.page.locator(".past-status p")).to_have_text("The best 50 of 70. More words find fewer.")
    await expect(page.page.locator(".past-found .past-row")).to_have_count(50)


# Changed


async def test_the_menu_of_a_line_is_one_for_the_keyboard_too(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    more = row(page.page, "b").locator(".past-more")
    await more.focus()
    await expect(more).to_be_focused()
    await page.page.keyboard.press("Enter")
    await expect(more).to_have_attribute("aria-expanded", "true")
    names = []
    for key in ("Home", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp", "e", "d"):
        await page.page.keyboard.press(key)
        names.append(await page.page.evaluate("document.activeElement.textContent"))
    lines, markdown = "Export as JSON Lines", "Export as Markdown"
    assert names == ["Rename", "Pin", markdown, lines, "Delete", "Rename", "Delete", markdown, "Delete"]
    await page.page.keyboard.press("Escape")
    await expect(more).to_be_focused()
    await expect(row(page.page, "b").locator("[role=menu]")).to_be_hidden()


async def test_a_new_name_is_kept_and_shown_above_the_conversation(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    await row(page.page, "b").locator(".past-link").click()
    await choose(page.page, "b", "Rename")
    await expect(page.page.locator(".past-field")).to_be_focused()
    await page.page.keyboard.type(MARKUP)
    await page.page.keyboard.press("Enter")
    await expect(row(page.page, "b").locator(".past-link")).to_be_focused()
    await expect(page.page.locator("#title")).to_have_text(MARKUP)
    await page.page.reload()
    await expect(row(page.page, "b").locator(".past-name")).to_have_text(MARKUP)


async def test_escape_leaves_a_name_as_it_was(visit: Visits, scripted: ScriptedServer, data: Path) -> None:
    page = await three(visit, scripted, data)
    await choose(page.page, "b", "Rename")
    await page.page.keyboard.type("half a na")
    await page.page.keyboard.press("Escape")
    await expect(row(page.page, "b").locator(".past-name")).to_have_text("Title b")
    assert (await asked(scripted, "/b"))["title"] == "Title b"


async def test_an_empty_name_is_the_first_question_again(visit: Visits, scripted: ScriptedServer, data: Path) -> None:
    page = await three(visit, scripted, data)
    await choose(page.page, "b", "Rename")
    await page.page.keyboard.press("Delete")
    await page.page.keyboard.press("Enter")
    await expect(row(page.page, "b").locator(".past-name")).to_have_text(SEA)


async def test_a_pinned_one_stands_on_top_until_it_is_unpinned(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    await choose(page.page, "b", "Pin")
    await sees(page.page, "b", "a", "c")
    await expect(page.page.locator(".past-heading").first).to_have_text("Pinned")
    await expect(row(page.page, "b").locator(".past-more")).to_be_focused()
    await page.page.reload()
    await sees(page.page, "b", "a", "c")
    await choose(page.page, "b", "Unpin")
    await sees(page.page, "a", "b", "c")


async def test_what_the_server_refuses_to_change_is_shown_as_it_was_with_its_sentence(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    await refuse(page, "PATCH", "**/api/conversations/b")
    await choose(page.page, "b", "Pin")
    await expect(page.page.locator(".toast")).to_contain_text("The disk is full.")
    await sees(page.page, "a", "b", "c")


@pytest.mark.parametrize(("action", "ending"), [("Export as Markdown", "md"), ("Export as JSON Lines", "jsonl")])
async def test_a_conversation_is_written_out_as_a_file(
    visit: Visits, scripted: ScriptedServer, data: Path, action: str, ending: str
) -> None:
    page = await three(visit, scripted, data)
    async with page.page.expect_download() as loading:
        await choose(page.page, "b", action)
    loaded = await loading.value
    text = await asyncio.to_thread(Path(await loaded.path()).read_text, encoding="utf-8")
    assert (loaded.suggested_filename, SEA in text) == (f"conversation.{ending}", True)


# Deleted


async def test_a_deleted_one_goes_at_once_and_comes_back_by_undo(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    await choose(page.page, "b", "Delete")
    await sees(page.page, "a", "c")
    await expect(row(page.page, "c").locator(".past-link")).to_be_focused()
    await expect(page.page.locator(".toast")).to_contain_text("Deleted \u201cTitle b\u201d")
    await page.page.locator(".toast").get_by_role("button", name="Undo").click()
    await sees(page.page, "a", "b", "c")
    await holds(scripted, "a", "b", "c")


async def test_without_undo_it_is_deleted_after_eight_seconds_and_not_before(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    await choose(page.page, "b", "Delete")
    await page.page.mouse.move(700, 300)
    began = asyncio.get_running_loop().time()
    await page.page.wait_for_timeout(6_000)
    before = (await asked(scripted))["total"]
    await holds(scripted, "a", "c")
    assert (before, asyncio.get_running_loop().time() - began > 7) == (3, True)


async def test_deleting_another_one_carries_out_the_first(visit: Visits, scripted: ScriptedServer, data: Path) -> None:
    page = await three(visit, scripted, data)
    await choose(page.page, "b", "Delete")
    await choose(page.page, "c", "Delete")
    await holds(scripted, "a", "c")
    await expect(page.page.locator(".toast")).to_have_count(1)
    await page.page.locator(".toast").get_by_role("button", name="Undo").click()
    await sees(page.page, "a", "c")


async def test_leaving_the_page_carries_it_out(visit: Visits, scripted: ScriptedServer, data: Path) -> None:
    page = await three(visit, scripted, data)
    await choose(page.page, "b", "Delete")
    await page.page.goto("about:blank")
    await holds(scripted, "a", "c")


async def test_the_one_shown_makes_room_for_a_new_conversation_and_undo_shows_it_again(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    await row(page.page, "b").locator(".past-link").click()
    await page.sees_answer("Rivers carry minerals.")
    await choose(page.page, "b", "Delete")
    await expect(page.page.locator("#welcome")).to_be_visible()
    await expect(page.page.locator("#title")).to_have_text("")
    await page.page.locator(".toast").get_by_role("button", name="Undo").click()
    await page.sees_answer("Rivers carry minerals.")


async def test_a_deletion_the_server_refuses_brings_it_back_with_its_sentence(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    await refuse(page, "DELETE", "**/api/conversations/b")
    await choose(page.page, "b", "Delete")
    await page.page.locator(".toast").get_by_role("button", name="Close").click()
    await expect(page.page.locator(".toast")).to_contain_text("The disk is full.")
    await sees(page.page, "a", "b", "c")


async def test_going_back_to_a_deleted_one_begins_a_new_conversation(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    await row(page.page, "b").locator(".past-link").click()
    await page.sees_answer("Rivers carry minerals.")
    await page.page.evaluate("location.hash = '#/documents'")
    await choose(page.page, "b", "Delete")
    await page.page.evaluate("location.hash = '#/c/b'")
    await expect(page.page.locator("#welcome")).to_be_visible()
    assert page.page.url.endswith("#/")


# Imported, exported


def line(session: str) -> str:
    at = "2024-05-31T12:00:00.000Z"
    messages = [
        {"id": f"{session}1", "role": "user", "content": SEA, "created_at": at},
        {"id": f"{session}2", "parent": f"{session}1", "role": "assistant", "content": "Salt.", "created_at": at},
    ]
    told = {"type": "conversation", "version": 1, "session_id": session, "created_at": at, "updated_at": at}
    return json.dumps({**told, "leaf": f"{session}2", "messages": messages})


async def pick(page: Page, name: str, content: str) -> None:
    await page.locator("#past").get_by_role("button", name="Import and export").click()
    async with page.expect_file_chooser() as choosing:
        await page.get_by_role("menuitem", name="Import conversations").click()
    await (await choosing.value).set_files({"name": name, "mimeType": "", "buffer": content.encode()})


async def test_a_file_is_taken_in_and_what_was_refused_is_told_with_reasons(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    await pick(page.page, "past.jsonl", "\n".join([line("x"), line("y"), '{"type": "conversation"}', line("z")]))
    news = page.page.locator(".past-import")
    await expect(news).to_contain_text("3 conversations imported, 6 messages; 1 refused.")
    await expect(news.locator("li")).to_have_count(1)
    await expect(page.page.locator(".past-heading").last).to_have_text("May 2024")
    await sees(page.page, "a", "b", "c", "z", "y", "x")
    await news.get_by_role("button", name="Close").click()
    await expect(news).to_be_hidden()


async def test_an_import_tells_how_far_it_is_and_can_be_given_up(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    reached = asyncio.Event()

    async def hold(_: Route) -> None:
        reached.set()

    await page.page.route("**/import", hold)
    await pick(page.page, "past.jsonl", line("x"))
    await reached.wait()
    news = page.page.locator(".past-import")
    await expect(news).to_contain_text("past.jsonl")
    await expect(news.locator("progress")).to_be_visible()
    await news.get_by_role("button", name="Cancel").click()
    await expect(news).to_be_hidden()
    await holds(scripted, "a", "b", "c")


async def test_a_file_that_is_none_of_ours_is_refused_by_the_servers_sentence(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    page.expects_refusals = True
    await pick(page.page, "holiday.json", "")
    await expect(page.page.locator(".past-import")).to_contain_text("The file is empty.")


async def test_all_are_written_out_as_a_file(visit: Visits, scripted: ScriptedServer, data: Path) -> None:
    page = await three(visit, scripted, data)
    await page.page.locator("#past").get_by_role("button", name="Import and export").click()
    async with page.page.expect_download() as loading:
        await page.page.get_by_role("menuitem", name="Export all as JSON Lines").click()
    loaded = await loading.value
    text = await asyncio.to_thread(Path(await loaded.path()).read_text, encoding="utf-8")
    assert {json.loads(each)["session_id"] for each in text.splitlines()} == {"a", "b", "c"}


# Told


async def test_a_new_conversation_is_on_top_without_reading_the_list_again(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    before = len([url for url in page.requests if LIST.search(url)])
    await page.ask("What is new?")
    await page.sees("complete")
    await expect(page.page.locator(".past-row").first.locator(".past-name")).to_have_text("What is new?")
    await expect(page.page.locator(".past-row").first.locator("[aria-current=page]")).to_be_visible()
    await expect(page.page.locator(".past-row")).to_have_count(4)
    assert len([url for url in page.requests if LIST.search(url)]) == before


async def test_a_new_conversation_is_seen_in_a_list_that_was_scrolled_down(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    put(data, [Said(f"s{place}", ago(minutes=place + 1)) for place in range(60)])
    page = await visit(scripted.url)
    await page.page.goto(f"{scripted.url}/#/c/s50")
    await expect(row(page.page, "s50")).to_be_in_viewport()
    await page.page.click("#new-conversation")
    await page.ask("One more?")
    await page.sees("complete")
    await expect(page.page.locator(".past-scroll [aria-current]")).to_be_in_viewport(ratio=1)


async def test_a_conversation_that_is_gone_on_with_moves_up(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    await row(page.page, "c").locator(".past-link").click()
    await page.ask("And the rain?")
    await page.sees("complete")
    await sees(page.page, "c", "a", "b")
    await expect(row(page.page, "c").locator(".past-name")).to_have_text("Title c")


async def test_what_happened_on_another_device_is_there_when_the_page_is_looked_at_again(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    put(data, [Said("elsewhere", datetime.now(UTC))])
    await page.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await sees(page.page, "elsewhere", "a", "b", "c")


# Bad days


async def test_while_the_server_is_away_what_was_read_stays_and_it_can_be_tried_again(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = await three(visit, scripted, data)
    page.expects_lost_connection = True
    await page.page.route(LIST, lambda route: route.abort())
    await page.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(page.page.locator(".past-status p")).to_have_text(
        "The list cannot be read just now. What you see was read before."
    )
    await sees(page.page, "a", "b", "c")
    await page.page.unroute(LIST)
    await page.page.locator(".past-status").get_by_role("button", name="Try again").click()
    await expect(page.page.locator(".past-status p")).to_have_text("")


async def test_a_list_that_could_not_be_read_at_all_is_read_by_trying_again(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    put(data, [Said("a", NOW)])
    page = await visit(scripted.url)
    page.expects_lost_connection = True
    await page.page.route(LIST, lambda route: route.abort())
    await page.open()
    await page.page.unroute(LIST)
    await page.page.locator(".past-status").get_by_role("button", name="Try again").click()
    await sees(page.page, "a")


# On a phone


async def test_on_a_narrow_screen_the_list_is_a_sheet_that_gives_the_keyboard_back(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = (await three(visit, scripted, data, **PHONE)).page
    side, opener, veil = page.locator("#side"), page.locator("#to-side"), page.locator("#veil")

    async def is_open(wanted: bool) -> None:
        await expect(opener).to_have_attribute("aria-expanded", str(wanted).lower())
        await expect(veil).to_be_visible(visible=wanted)
        await expect(side).to_be_visible(visible=wanted)

    await is_open(False)
    await opener.click()
    await is_open(True)
    await expect(page.locator("#new-conversation")).to_be_focused()
    await page.keyboard.press("Escape")
    await is_open(False)
    await expect(opener).to_be_focused()
    await opener.click()
    await veil.click(position={"x": 380, "y": 400})
    await is_open(False)
    await opener.click()
    await row(page, "b").locator(".past-link").click()
    await is_open(False)
    await expect(page.locator("#title")).to_have_text("Title b")
    await expect(opener).to_be_focused()
    await page.keyboard.press("Control+k")
    await is_open(True)
    await expect(page.locator("#past-search")).to_be_focused()
    await page.keyboard.press("Escape")
    await is_open(False)


async def test_escape_in_a_menu_or_a_name_leaves_the_sheet_open(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = (await three(visit, scripted, data, **PHONE)).page
    await page.locator("#to-side").click()
    await row(page, "b").locator(".past-more").click()
    await page.keyboard.press("Escape")
    await expect(row(page, "b").locator("[role=menu]")).to_be_hidden()
    await choose(page, "b", "Rename")
    await page.keyboard.press("Escape")
    await expect(page.locator("#side")).to_be_visible()


async def test_on_a_touch_screen_the_menu_needs_no_hovering_and_targets_are_large(
    visit: Visits, scripted: ScriptedServer, data: Path
) -> None:
    page = (await three(visit, scripted, data, **PHONE)).page
    await page.locator("#to-side").click()
    more = row(page, "b").locator(".past-more")
    await expect(more).to_have_css("opacity", "1")
    await more.click()
    targets = page.locator("#side :is(button, a, input):visible")
    sizes = await targets.evaluate_all(
        "all => all.map((each) => each.getBoundingClientRect()).map(({width, height}) => Math.min(width, height))"
    )
    assert min(sizes) >= 44
