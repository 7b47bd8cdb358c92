"""Questions edited, answers made again, continued, rated and copied; what the page tells on the way to an answer."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import ScriptedServer, Visit, Visits
from tests.fakes import FakeRunner

WRONG = """
    () => {
        const wrong = document.body.appendChild(document.createElement("p"));
        wrong.className = "wrong";
        return [getComputedStyle(wrong).color, wrong.remove()][0];
    }
"""

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


class Numbered:
    """Answers that differ each time."""

    def __init__(self, runner: FakeRunner) -> None:
        self._said = 0
        self._answers: dict[str, str] = {}
        runner.reply = self._reply

    def next(self) -> None:
        self._said += 1

    def _reply(self, question: str) -> str:
        return f"Answer {self._said} to {question}"


async def test_an_edited_question_keeps_both_branches_and_one_can_go_back(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url)
    await page.open()
    for question in ["one", "two"]:
        await page.ask(question)
        await page.sees_answer(f"You asked: {question}")
        await page.sees("complete")
    await page.turn(0).hover()
    await page.turn(0).get_by_role("button", name="Edit").click()
    field = page.turn(0).get_by_role("textbox")
    await expect(field).to_have_value("one")
    await field.fill("uno")
    await field.press("Enter")
    await page.sees_answer("You asked: uno")
    await expect(page.page.locator(".turn")).to_have_count(1)
    versions = page.turn(0).get_by_role("group", name="Versions of this question")
    await expect(versions).to_contain_text("2 of 2")
    await versions.get_by_role("button", name="Previous version").click()
    await expect(page.page.locator(".turn")).to_have_count(2)
    await page.sees_answer("You asked: one", 0)
    await page.sees_answer("You asked: two", 1)
    await page.page.reload()
    await page.sees_answer("You asked: two", 1)
    await expect(versions).to_contain_text("1 of 2")


async def test_escape_leaves_a_question_as_it_was(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.ask("one")
    await page.sees("complete")
    await page.turn().hover()
    await page.turn().get_by_role("button", name="Edit").click()
    await page.turn().get_by_role("textbox").fill("something else")
    await page.page.keyboard.press("Escape")
    await expect(page.turn().get_by_role("textbox")).to_have_count(0)
    await expect(page.turn().locator(".question")).to_have_text("one")


async def test_an_answer_is_made_again_and_all_of_them_are_kept(visit: Visits, scripted: ScriptedServer) -> None:
    answers = Numbered(scripted.runner)
    page = await visit(scripted.url)
    await page.open()
    await page.ask("one")
    await page.sees_answer("Answer 0 to one")
    for number in [1, 2]:
        await page.sees("complete")
        answers.next()
        await page.turn().get_by_role("button", name="Answer again").click()
        await page.sees_answer(f"Answer {number} to one")
    versions = page.turn().get_by_role("group", name="Versions of this answer")
    await expect(versions).to_contain_text("3 of 3")
    await versions.get_by_role("button", name="Previous version").click()
    await page.sees_answer("Answer 1 to one")
    await expect(versions).to_contain_text("2 of 3")
    await page.ask("and then")
    await page.page.reload()
    await page.sees_answer("Answer 1 to one", 0)


async def stopped(visit: Visits, scripted: ScriptedServer) -> Visit:
    """A visit with one answer, to the letters of the alphabet, that was stopped after the first of them."""
    page = await visit(scripted.url)
    await page.open()
    with scripted.held_until_stopped():
        await page.ask("abcdefghijklmnopqrstuvwxyz")
        scripted.runner.step(20)
        await expect(page.turn().locator(".answer")).to_have_text(re.compile("^You asked: abc"))
        await page.page.keyboard.press("Escape")
        await page.sees("cancelled")
    return page


async def test_a_stopped_answer_goes_on_where_it_was(visit: Visits, scripted: ScriptedServer) -> None:
    page = await stopped(visit, scripted)
    await page.turn().get_by_role("button", name="Continue").click()
    await page.sees("complete")
    await page.sees_answer("You asked: abcdefghijklmnopqrstuvwxyz")
    await expect(page.page.locator(".turn")).to_have_count(1)
    await expect(page.turn().get_by_role("button", name="Continue")).to_be_hidden()


async def test_a_second_device_sees_edits_and_chosen_branches(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.ask("one")
    await page.sees("complete")
    other = await visit(scripted.url)
    await other.page.goto(page.page.url)
    await other.sees_answer("You asked: one")
    await page.turn().hover()
    await page.turn().get_by_role("button", name="Edit").click()
    await page.turn().get_by_role("textbox").fill("uno")
    await page.turn().get_by_role("textbox").press("Enter")
    await other.sees_answer("You asked: uno")
    await expect(other.page.locator(".turn")).to_have_count(1)
    versions = other.turn().get_by_role("group", name="Versions of this question")
    await expect(versions).to_contain_text("2 of 2")
    await versions.get_by_role("button", name="Previous version").click()
    await page.sees_answer("You asked: one")


async def test_a_thumb_is_kept_and_can_be_taken_back(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.ask("one")
    await page.sees("complete")
    good = page.turn().get_by_role("button", name="Good answer")
    await good.click()
    await expect(good).to_have_attribute("aria-pressed", "true")
    await page.page.reload()
    await expect(good).to_have_attribute("aria-pressed", "true")
    await good.click()
    await expect(good).to_have_attribute("aria-pressed", "false")


async def test_an_answer_is_copied_as_it_was_written(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    scripted.runner.reply = lambda question: "Some **bold** words"
    await page.open()
    await page.ask("one")
    await expect(page.turn().locator(".answer strong")).to_have_text("bold")
    await page.turn().get_by_role("button", name="Copy the answer").click()
    await expect(page.page.locator(".toast")).to_contain_text("Copied")
    assert await page.page.evaluate("navigator.clipboard.readText()") == "Some **bold** words"


async def test_reading_a_long_question_says_how_far_it_is(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    scripted.runner.hold()
    await page.ask("long " * 2_000)  # 10,000 bytes, which are the scripted model's tokens
    scripted.runner.step(3)
    await expect(page.turn().locator(".state")).to_have_text(re.compile(r"^Reading, [\d,]+ of 10,\d+ tokens\.$"))
    scripted.runner.release()
    await page.sees("complete")


async def test_thoughts_are_folded_away(visit: Visits, scripted: ScriptedServer) -> None:
    scripted.runner.reply = lambda question: "<think>It may be Paris.</think>It is Paris."
    page = await visit(scripted.url)
    await page.open()
    await page.ask("capital")
    for _ in range(2):  # streamed, then stored
        await page.sees_answer("It is Paris.")
        thought = page.turn().locator(".thought")
        await expect(thought).to_be_hidden()
        await page.turn().get_by_text("Thoughts").click()
        await expect(thought).to_have_text("It may be Paris.")
        await page.page.reload()


async def test_confidence_says_its_reasons_when_asked(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url, locale="pt-BR")
    await page.open()
    await page.ask("one")
    badge = page.turn().locator(".confidence")
    await expect(badge).to_have_attribute("aria-expanded", "false")
    await badge.click()
    await expect(badge).to_have_attribute("aria-expanded", "true")
    await expect(page.turn().locator(".reasons li").first).to_have_text(
        "Nenhum documento foi usado: isto se apoia só nas probabilidades do próprio modelo."
    )


async def test_the_model_its_parameters_and_documents_go_with_the_question(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url)
    sent: list[str] = []
    page.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame))))
    await page.open()
    await page.page.select_option("#retrieval", "off")
    await page.page.click("#model")
    panel = page.page.get_by_role("dialog", name="Model and parameters")
    await expect(panel).to_contain_text("small")
    await expect(panel).to_contain_text("on this computer")
    await panel.get_by_label("Temperature").fill("9")
    await panel.get_by_label("Temperature").press("Tab")
    refusal = panel.get_by_text("must be from 0 to 2")
    await expect(refusal).to_be_visible()
    colours = [await page.page.evaluate(WRONG), await refusal.evaluate("(hint) => getComputedStyle(hint).color")]
    assert colours[0] == colours[1]
    await panel.get_by_label("Temperature").fill("0.5")
    await panel.get_by_label("Temperature").press("Tab")
    await panel.get_by_role("radio", name=re.compile("gpt-4")).click()
    await page.ask("one")
    await page.sees("complete")
    (question,) = [frame for frame in sent if "stream_query" in frame]
    for part in ['"model":"gpt-4"', '"temperature":0.5', '"retrieval":"off"']:
        assert part in question
    await page.page.reload()
    await expect(page.page.locator("#model")).to_contain_text("gpt-4")


async def test_a_text_of_200_kb_is_shown_and_the_page_stays_alive(visit: Visits, scripted: ScriptedServer) -> None:
    part = "## Part\n\nA **paragraph** with `code`, of which there are many.\n\n- one\n- two\n\n"
    part += "| a | b |\n|---|---|\n| 1 | 2 |\n\n"
    scripted.runner.reply = lambda question: part * 20
    page = await visit(scripted.url)
    await page.open()
    await page.ask("much")
    await page.sees("complete")
    whole = part * (200_000 // len(part))
    session = page.page.url.rpartition("/")[2]
    await scripted.answer_with(session, "all of it", whole)
    await page.page.reload()
    await page.sees("complete")
    await expect(page.turn().locator(".answer table").last).to_be_attached()
    await page.ask("still there")
    await page.sees("complete")


async def test_who_is_signed_out_is_told_and_keeps_what_was_written(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    page.expects_refusals = True
    await page.open()
    await page.page.fill("#query", "half a thought")
    refused = {"success": False, "error": "unauthorized", "message": "The token has expired."}
    await page.page.route("**/api/**", lambda route: route.fulfill(status=401, json=refused))
    await page.page.click("#model")  # asks the server for its models
    await expect(page.page.locator("#connection-words")).to_have_text(re.compile("no longer knows this page"))
    await expect(page.page.locator("#query")).to_have_value("half a thought")


async def test_only_the_last_answer_can_go_on(visit: Visits, scripted: ScriptedServer) -> None:
    page = await stopped(visit, scripted)
    await expect(page.turn(0).get_by_role("button", name="Continue")).to_be_visible()
    await page.ask("next")
    await page.sees("complete")
    await expect(page.turn(0).get_by_role("button", name="Continue")).to_be_hidden()
