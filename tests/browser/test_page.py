"""The page with the real model behind it, as a person uses it."""

import re
import signal

import pytest
from playwright.async_api import expect

from tests.browser.conftest import ServerProcess, Visit, Visits

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.asyncio(loop_scope="session")]

STORY = "Write a very long story about a lighthouse keeper and the sea."  # answered up to the limit of 1,024 tokens
ANSWER_MS = 60_000


async def begins_to_answer(page: Visit, characters: int = 40) -> str:
    """Wait until the last answer is under way and has some text; the text."""
    await page.page.wait_for_function(
        """(length) => {
            const turn = [...document.querySelectorAll(".turn")].at(-1);
            return turn?.dataset.status === "streaming" && turn.querySelector(".answer").textContent.length > length;
        }""",
        arg=characters,
    )
    return await page.answer()


async def test_a_first_visitor_clicks_a_question_and_watches_the_answer_come(
    visit: Visits, server: ServerProcess
) -> None:
    page = await visit(server.url)
    await page.open()
    await page.page.click("#examples button >> nth=0")
    await begins_to_answer(page, 0)
    await expect(page.turn().locator(".receipt")).to_contain_text("smollm2-135m", timeout=ANSWER_MS)
    await expect(page.turn().locator(".receipt")).to_have_text(
        re.compile(r"^smollm2-135m · [\d.]+ s · [\d,]+ tokens? · [\d.]+\stokens/s\s*confidence (high|medium|low)")
    )
    assert await page.answer() != ""


async def test_escape_stops_an_answer_and_keeps_its_text(visit: Visits, server: ServerProcess) -> None:
    page = await visit(server.url)
    await page.open()
    await page.ask(STORY)
    await begins_to_answer(page)
    await page.page.keyboard.press("Escape")
    await page.sees("cancelled")
    stopped = await page.answer()
    await page.page.reload()
    await page.sees("cancelled")
    await page.sees_answer(stopped)


async def test_the_stop_button_stops_and_the_next_question_is_answered(visit: Visits, server: ServerProcess) -> None:
    page = await visit(server.url)
    await page.open()
    await page.ask(STORY)
    await begins_to_answer(page)
    await page.page.click("#stop")
    await page.sees("cancelled")
    await expect(page.page.locator("#stop")).to_be_hidden()
    await page.ask("What is the capital of France?")
    await expect(page.page.locator(".turn[data-status=complete]")).to_have_count(1, timeout=ANSWER_MS)


async def test_a_reload_in_mid_answer_loses_and_repeats_nothing(visit: Visits, server: ServerProcess) -> None:
    page = await visit(server.url)
    await page.open()
    await page.ask(STORY)
    before = await begins_to_answer(page)
    await page.page.reload()
    again = await begins_to_answer(page, len(before))
    assert again.startswith(before)
    await expect(page.page.locator(".turn")).to_have_count(1)
    await page.page.click("#stop")
    await page.sees("cancelled")
    streamed = await page.answer()
    assert streamed.startswith(again)
    await page.page.reload()
    await page.sees_answer(streamed)


async def test_after_a_restart_in_mid_answer_the_page_comes_back_by_itself(
    visit: Visits, own_server: ServerProcess
) -> None:
    page = await visit(own_server.url)
    await page.open()
    await page.ask(STORY)
    before = await begins_to_answer(page, 200)
    page.expects_lost_connection = True
    await own_server.stop(signal.SIGTERM)
    await expect(page.page.locator("#connection-words")).to_have_text(re.compile("^reconnecting, next try in [1-5] s$"))
    await own_server.start()
    await page.is_connected()
    await page.sees("interrupted")
    kept = await page.answer()
    assert kept.startswith(before)
    await page.ask("What is the capital of France?")
    await expect(page.page.locator(".turn[data-status=complete]")).to_have_count(1, timeout=ANSWER_MS)
    await expect(page.turn(0).locator(".question")).to_have_text(STORY)


async def test_the_history_is_there_after_a_reload(visit: Visits, server: ServerProcess) -> None:
    page = await visit(server.url)
    await page.open()
    await page.ask("What is the capital of France?")
    await expect(page.page.locator(".turn[data-status=complete]")).to_have_count(1, timeout=ANSWER_MS)
    await page.sees_answer(re.compile("Paris"))
    shown = await page.page.locator("#turns").inner_text()
    await page.page.reload()
    await expect(page.page.locator("#turns")).to_have_text(shown, use_inner_text=True)
