"""The page with a scripted model behind it: what needs an exact answer or an exact moment."""

import re

import pytest
from playwright.async_api import expect

from neuralbridge.store.conversations import Conversation
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


async def test_markup_in_a_question_and_its_answer_stays_text(visit: Visits, scripted: ScriptedServer) -> None:
    markup = "<img src=x onerror=\"document.title='broken into'\"> & <b>bold</b>"
    page = await visit(scripted.url)
    await page.open()
    await page.ask(markup)
    await page.sees_answer(f"You asked: {markup}")
    await page.page.reload()
    await page.sees_answer(f"You asked: {markup}")
    assert await page.page.locator("#turns img, #turns b").count() == 0
    assert await page.page.title() == "NeuralBridge"


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


async def test_a_refused_question_is_kept_as_the_draft_with_the_reason(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    too_long = "long " * 6_500
    await page.ask(too_long)
    await expect(page.page.locator("#notice")).to_contain_text("32,000")
    await expect(page.page.locator("#query")).to_have_value(too_long.strip())
    await page.page.reload()
    await expect(page.page.locator("#query")).to_have_value(too_long.strip())


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
    await scripted.start()
    await page.page.click("#try-now")
    await page.sees_answer("You asked: are you there")


async def test_two_windows_of_one_browser_show_the_same_conversation(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    other = await page.context.new_page()
    await other.goto(scripted.url)
    await expect(other.locator("#connection[data-is=connected]")).to_be_visible()
    await page.ask("for both")
    await expect(other.locator(".turn .answer")).to_have_text("You asked: for both")
    await expect(other.locator(".turn")).to_have_count(1)


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
    await page.page.fill("#query", "32,000 characters are the most " * 1_200)
    await page.page.press("#query", "Enter")
    await expect(page.page.locator("#notice")).to_be_visible()
    await expect(receipt).to_be_in_viewport(ratio=1)


async def test_earlier_messages_come_without_moving_what_is_read(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.ask("the newest")
    await page.sees_answer("You asked: the newest")
    session = await page.page.evaluate("localStorage.getItem('neuralbridge.session')")
    store = scripted.app[SERVICES].conversations
    conversation = Conversation("local", session)
    for number in range(30):
        turn = await store.begin(conversation, f"question {number}", {}, {})
        await store.finish(turn, f"answer {number}", "complete", {})
    await page.page.reload()
    await page.sees_answer("answer 29")
    await page.page.evaluate("document.querySelector('#reading').scrollTop = 0")
    first = page.turn(0).locator(".question")
    text = await first.text_content()
    before = await first.bounding_box()
    await page.page.click("#earlier")
    await expect(page.page.locator(".turn")).to_have_count(31)
    moved = await page.page.locator(".question", has_text=re.compile(f"^{text}$")).bounding_box()
    assert before is not None
    assert moved is not None
    assert abs(moved["y"] - before["y"]) < 1
    await expect(page.page.locator("#earlier")).to_be_hidden()


async def test_a_new_conversation_is_empty_and_the_previous_one_can_be_had_back(
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
    await page.page.click("#go-back")
    await page.sees_answer("You asked: remember me")


async def test_enter_sends_and_shift_enter_breaks_the_line(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.page.locator("#query").press_sequentially("one")
    await page.page.press("#query", "Shift+Enter")
    await page.page.locator("#query").press_sequentially("two")
    await page.page.press("#query", "Enter")
    await page.sees_answer("You asked: one\ntwo")
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
    await expect(page.page.locator("#welcome")).to_be_visible()


async def test_a_brazilian_browser_reads_portuguese(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url, locale="pt-BR")
    await page.open()
    await expect(page.page.locator("html")).to_have_attribute("lang", "pt-BR")
    await expect(page.page.locator("#connection-words")).to_have_text("conectado")
    await page.ask("oi")
    await expect(page.turn().locator(".receipt")).to_have_text(re.compile(r"^small · 0,\d s · \d+ tokens · confiança"))


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
