"""The page with a scripted model behind it: what needs an exact answer or an exact moment."""

import asyncio
import re
from typing import Any
from unittest.mock import patch

import pytest
from playwright.async_api import Page, expect

from neuralbridge.retrieval.extract import MAX_CHARACTERS
from neuralbridge.store.conversations import Conversation, Message
from neuralbridge.web.keys import SERVICES
from tests.browser.conftest import ScriptedServer, Visits

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
BLOCK_STORAGE = """
    for (const name of ["localStorage", "sessionStorage"]) {
        Object.defineProperty(window, name, { get() { throw new DOMException("blocked", "SecurityError"); } });
    }
"""
SMALL_TARGETS = """
    () => [...document.querySelectorAll("button, textarea")]
        .filter((element) => element.checkVisibility())
        .map((element) => [element.id || element.textContent, element.getBoundingClientRect()])
        .filter(([, box]) => box.width < 44 || box.height < 44)
        .map(([name]) => name)
"""


async def test_markup_in_a_question_stays_text_and_in_its_answer_does_nothing(
    visit: Visits, scripted: ScriptedServer
) -> None:
    markup = "<img src=x onerror=\"document.body.id='broken-into'\"> & <b>bold</b>"
    page = await visit(scripted.url)
    await page.open()
    for _ in range(2):  # streamed, then stored
        await page.ask(markup)
        await page.sees("complete")
        await expect(page.turn().locator(".question")).to_have_text(markup)
        await expect(page.turn().locator(".answer b")).to_have_text("bold")
        assert await page.page.locator("#turns img, #broken-into").count() == 0
        await page.page.reload()


async def test_a_dropped_connection_in_mid_answer_loses_and_repeats_nothing(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url)
    await page.open()
    scripted.runner.hold()
    await page.ask("abcdefghijklmnopqrstuvwxyz")
    scripted.runner.step(16)
    await expect(page.turn().locator(".answer")).to_have_text(re.compile("^You asked: abc"))
    await scripted.drop_sockets()
    scripted.runner.step(5)
    await page.is_connected()
    scripted.runner.release()
    await page.sees("complete")
    await page.sees_answer("You asked: abcdefghijklmnopqrstuvwxyz")
    await expect(page.page.locator(".turn")).to_have_count(1)


async def test_a_second_question_shows_its_place_and_can_leave_the_line(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url)
    await page.open()
    scripted.runner.hold()
    await page.ask("first")
    await page.ask("second")
    await page.ask("third")
    await expect(page.turn(1).locator(".state")).to_have_text("Waiting in line, place 1.")
    await expect(page.turn(2).locator(".state")).to_have_text("Waiting in line, place 2.")
    await page.turn(1).locator(".leave").click()
    await expect(page.page.locator("#query")).to_have_value("second")
    await expect(page.turn(1).locator(".state")).to_have_text("Waiting in line, place 1.")
    scripted.runner.release()
    await page.sees_answer("You asked: third")
    await expect(page.page.locator(".turn")).to_have_count(2)


async def test_a_question_too_long_stays_the_draft_and_may_become_a_document(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url)
    await page.open()
    too_long = "long " * 6_500
    await page.ask(too_long)
    toast = page.page.locator(".toast")
    await expect(toast).to_contain_text("a question holds 32,000")
    await expect(toast.get_by_role("button", name="Add as document")).to_be_visible()
    await expect(page.page.locator("#query")).to_have_value(too_long)
    await page.page.reload()
    await expect(page.page.locator("#query")).to_have_value(too_long)


async def test_a_paste_longer_than_any_document_is_told_the_limits_and_leaves_page_and_draft_as_they_were(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.page.fill("#query", "before")
    await page.page.evaluate(
        """(characters) => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", "x".repeat(characters));
            const paste = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
            document.querySelector("#query").dispatchEvent(paste);
        }""",
        MAX_CHARACTERS + 1,
    )
    toast = page.page.locator(".toast")
    await expect(toast).to_contain_text(
        f"has {MAX_CHARACTERS + 1:,} characters; a question holds 32,000, and a document"
    )
    await expect(toast).to_contain_text(f"a document {MAX_CHARACTERS:,}.")
    await expect(toast.get_by_role("button", name="Add as document")).to_have_count(0)
    await expect(page.page.locator("#query")).to_have_value("before")


async def test_a_refused_question_is_kept_as_the_draft_with_the_reason(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.page.evaluate(
        "localStorage.setItem('neuralbridge.choice', JSON.stringify({model: 'm'.repeat(300)}))"
    )  # longer than a name may be
    await page.page.reload()
    await page.ask("refuse me")
    await expect(page.page.locator("#notice")).to_contain_text("200 characters")
    await expect(page.page.locator("#query")).to_have_value("refuse me")
    await expect(page.page.locator(".turn")).to_have_count(0)


async def test_while_the_server_is_away_the_page_says_so_and_sends_later(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url)
    await page.open()
    page.expects_lost_connection = True
    await scripted.stop()
    await expect(page.page.locator("#connection-words")).to_have_text(re.compile("^reconnecting, next try in [1-5] s$"))
    await page.ask("are you there")
    await expect(page.turn().locator(".state")).to_have_text("Will be sent as soon as the page is connected.")
    words, retry = [await page.page.locator(id).bounding_box() for id in ("#connection-words", "#try-now")]
    assert words is not None and retry is not None
    assert words["y"] + words["height"] <= retry["y"]  # not beside it, with a few letters a line
    await scripted.start()
    await page.page.click("#try-now")
    await page.sees_answer("You asked: are you there")


async def test_two_windows_of_one_browser_show_the_same_conversation(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.ask("for one")
    await page.sees("complete")
    other = await page.context.new_page()
    await other.goto(scripted.url)
    await expect(other.locator("#connection")).to_have_attribute("data-is", "connected")
    await page.ask("for both")
    await expect(other.locator(".turn .answer").nth(1)).to_have_text("You asked: for both")
    await expect(other.locator(".turn")).to_have_count(2)


async def test_the_readers_place_is_kept_unless_at_the_end(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.ask("\n".join(str(line) for line in range(60)))
    await page.sees("complete")
    scripted.runner.hold()
    await page.ask("\n".join(str(line) for line in range(100, 160)))
    scripted.runner.step(40)
    await expect(page.turn(1).locator(".answer")).to_contain_text("You asked: 100")
    await page.page.evaluate("document.querySelector('#reading').scrollTop = 300")
    scripted.runner.release()
    await page.sees("complete")
    assert await page.page.evaluate("document.querySelector('#reading').scrollTop") == 300
    await page.page.click("#below")
    await expect(page.turn(1).locator(".receipt")).to_be_in_viewport()
    await expect(page.page.locator("#below")).to_be_hidden()


async def test_a_growing_draft_leaves_the_end_in_view(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.ask("\n".join(str(line) for line in range(60)))
    await page.sees("complete")
    receipt = page.turn().locator(".receipt")
    for draft in ["\n" * 30, "short", "\n" * 5]:
        await page.page.fill("#query", draft)
        await expect(receipt).to_be_in_viewport(ratio=1)


async def test_text_that_grows_between_two_frames_is_followed(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.ask("\n".join(str(line) for line in range(60)))
    await page.sees("complete")
    receipt = page.turn().locator(".receipt")
    await expect(receipt).to_be_in_viewport(ratio=1)
    # The scroll event of the first comes in the next frame, when the second is there but not yet observed.
    await page.page.evaluate("""() => {
        const reading = document.querySelector("#reading"), turn = document.querySelector(".turn");
        const grow = (height) => turn.prepend(Object.assign(document.createElement("canvas"), { height }));
        grow(100);
        reading.scrollTop = reading.scrollHeight;
        grow(300);
    }""")
    await expect(receipt).to_be_in_viewport(ratio=1)


# The turns that can be seen, by key, and where they stand; null while one is not drawn, or moves
SEEN = """async () => {
    const { top, bottom } = document.querySelector("#reading").getBoundingClientRect();
    const seen = () => [...document.querySelectorAll(".turn")].map((turn) => [turn, turn.getBoundingClientRect()])
        .filter(([, place]) => place.bottom > top && place.top < bottom);
    const places = () => seen().map(([turn, place]) => [turn.dataset.key, place.top]);
    const before = places();
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const drawn = seen().length > 0 && seen().every(([turn]) => turn.querySelector(".question"));
    return drawn && JSON.stringify(places()) === JSON.stringify(before) ? Object.fromEntries(before) : null;
}"""


async def what_is_read(page: Page) -> dict[str, float]:
    """The top of every turn in view, once all of them are drawn and stand still."""
    async with asyncio.timeout(20):
        while (seen := await page.evaluate(SEEN)) is None:  # each time two frames long
            pass
    tops: dict[str, float] = seen
    return tops


async def test_earlier_messages_come_by_themselves_without_moving_what_is_read(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.ask("the newest")
    await page.sees_answer("You asked: the newest")
    session = await page.page.evaluate("localStorage.getItem('neuralbridge.session')")
    store = scripted.app[SERVICES].conversations
    conversation = Conversation("local", session)
    for number in range(130):
        turn = await store.begin(conversation, f"question {number}", {}, {})
        await store.finish(turn, f"answer {number}", "complete", {})
    await page.page.reload()
    await page.sees_answer("answer 129")
    shown = await page.page.locator(".turn").count()
    earlier, tell = asyncio.Event(), store.branch

    async def tell_later(*wanted: Any) -> list[Message]:
        await earlier.wait()
        return await tell(*wanted)

    with patch.object(store, "branch", tell_later):  # what comes by itself comes when it is known what is read
        await page.page.evaluate("document.querySelector('#reading').scrollTop = 900")
        before = await what_is_read(page.page)
        earlier.set()
        await page.page.wait_for_function(f"() => document.querySelectorAll('.turn').length > {shown}")
    after = await what_is_read(page.page)
    assert after == pytest.approx(before, abs=2)
    await page.page.evaluate("document.querySelector('#reading').scrollTop = 0")
    await expect(page.page.locator(".turn")).to_have_count(131)
    await expect(page.page.locator("#earlier")).to_be_hidden()


async def test_a_new_conversation_is_empty_and_going_back_shows_the_one_before(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url)
    await page.open()
    scripted.runner.hold()
    await page.ask("remember me")
    scripted.runner.step(3)
    await page.sees("streaming")
    await page.page.click("#new-conversation")
    await expect(page.page.locator(".turn")).to_have_count(0)
    await expect(page.page.locator("#welcome")).to_be_visible()
    scripted.runner.release()
    await page.page.go_back()
    await page.sees_answer("You asked: remember me")


async def test_enter_sends_and_shift_enter_breaks_the_line(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.page.locator("#query").press_sequentially("one")
    await page.page.press("#query", "Shift+Enter")
    await page.page.locator("#query").press_sequentially("two")
    await page.page.press("#query", "Enter")
    await page.sees("complete")
    await expect(page.turn().locator(".question")).to_have_text("one\ntwo")
    await expect(page.page.locator("#query")).to_have_value("")
    await expect(page.page.locator("#query")).to_be_focused()


async def test_a_screen_reader_hears_whole_sentences(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    scripted.runner.hold()
    await page.ask("Fine. And you")
    scripted.runner.step(20)
    heard = page.page.locator("#announcer")
    await expect(heard).to_have_text(re.compile(r"^You asked:\s*Fine\.$"))
    scripted.runner.release()
    await expect(heard).to_have_text(re.compile(r"^You asked:\s*Fine\.\s*And you\s*The answer is complete\.$"))


async def test_with_storage_blocked_the_page_works_and_forgets(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.context.add_init_script(BLOCK_STORAGE)
    await page.open()
    await page.ask("hello")
    await page.sees_answer("You asked: hello")
    await page.page.reload()
    await page.sees_answer("You asked: hello")  # the address names the conversation
    await page.page.goto("about:blank")
    await page.page.goto(scripted.url)
    await expect(page.page.locator("#welcome")).to_be_visible()


async def test_a_brazilian_browser_reads_portuguese(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url, locale="pt-BR")
    await page.open()
    await expect(page.page.locator("html")).to_have_attribute("lang", "pt-BR")
    await expect(page.page.locator("#connection-words")).to_have_text("conectado")
    await page.ask("oi")
    await expect(page.turn().locator(".receipt")).to_have_text(
        re.compile(r"^small · 0,\d s · \d+ tokens · [\d,]+\stokens/s\s*confiança")
    )


async def test_on_a_phone_every_target_is_large_and_nothing_overflows(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url, **PHONE)
    await page.open()
    assert await page.page.evaluate(SMALL_TARGETS) == []
    scripted.runner.hold()
    await page.ask("w" * 400)
    await page.ask("second")
    await expect(page.turn(1).locator(".leave")).to_be_visible()
    assert await page.page.evaluate(SMALL_TARGETS) == []
    assert await page.page.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]
    scripted.runner.release()
    await page.sees_answer("You asked: second")


async def test_a_lost_half_typed_draft_is_there_after_a_reload(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.page.fill("#query", "half a thou")
    await page.page.reload()
    await expect(page.page.locator("#query")).to_have_value("half a thou")


async def test_a_mistake_in_the_configuration_is_told_until_it_is_mended(
    visit: Visits, scripted: ScriptedServer
) -> None:
    mistake = "config.yaml:3:9: routing.default: 'y'; expected a name of model_list or models"
    told = {"config": {"error": mistake, "pending": []}}
    page = await visit(scripted.url)
    await page.page.route("**/api/proxy/health", lambda route: route.fulfill(json=told))
    await page.open()
    line = page.page.locator("#config")
    await expect(line).to_have_text(f"What was saved does not apply, because it has a mistake: {mistake}")
    told["config"] = {"error": None, "pending": ["data_dir"]}
    await expect(line).to_have_text("Applies after a restart of the server: data_dir")
    told["config"] = {"error": None, "pending": []}
    await expect(line).to_be_hidden()


async def test_a_page_opened_among_the_documents_is_connected_too(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.page.goto(f"{scripted.url}/#/documents")
    await page.is_connected()
    await expect(page.page).to_have_title("Documents · NeuralBridge")


async def test_on_a_phone_the_choice_of_documents_shows_its_whole_word(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url, **PHONE, locale="pt-BR")
    await page.open()
    choice = page.page.locator("#retrieval")
    shown = await choice.evaluate("(field) => field.getBoundingClientRect().width")
    await choice.evaluate("(field) => { field.style.position = 'absolute'; field.style.width = 'max-content'; }")
    assert shown >= await choice.evaluate("(field) => field.getBoundingClientRect().width")


async def test_a_short_message_leaves_the_question_box_free(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.ask("long " * 6_500)  # a box as tall as it gets
    message = await page.page.locator(".toast").bounding_box()
    box = await page.page.locator("#composer").bounding_box()
    assert message is not None and box is not None
    assert message["y"] + message["height"] <= box["y"]
    middles = [part["x"] + part["width"] / 2 for part in (message, box)]
    assert abs(middles[0] - middles[1]) < 12  # over the room, not over the list beside it


async def test_the_welcome_of_a_small_screen_is_shown_from_its_beginning(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url, viewport={"width": 340, "height": 500})
    await page.open()
    await expect(page.page.locator("#welcome .lead")).to_be_in_viewport(ratio=1)


async def test_on_a_low_screen_the_list_keeps_some_lines_and_the_side_scrolls(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url, viewport={"width": 1000, "height": 450})
    await page.open()
    past = await page.page.locator("#past").bounding_box()
    assert past is not None and past["height"] >= 256
    await page.page.locator("#outgoing").scroll_into_view_if_needed()
    await expect(page.page.locator("#outgoing")).to_be_in_viewport(ratio=1)


async def test_in_the_middle_of_a_long_conversation_typing_is_no_new_text_below(
    visit: Visits, scripted: ScriptedServer
) -> None:
    for turn in range(30):
        await scripted.answer_with("long", f"Question {turn}?", "Because of many reasons. " * (2 + turn % 5 * 6))
    page = await visit(scripted.url, **PHONE)
    await page.page.goto(f"{scripted.url}/#/c/long")
    await page.is_connected()
    await expect(page.turn().locator(".answer")).to_be_visible()
    await page.page.evaluate("document.querySelector('#reading').scrollTop = 2000")
    await page.page.fill("#query", "one\ntwo\nthree")
    await page.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    await expect(page.page.locator("#below")).to_be_hidden()
