"""Settings, shortcuts and what is said of the server, with a scripted model behind the page."""

import re
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.axe import serious_findings
from tests.browser.conftest import ScriptedServer, Visit, Visits

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

DARK, LIGHT = "rgb(25, 23, 20)", "rgb(250, 248, 244)"
BACKGROUND = "getComputedStyle(document.documentElement).backgroundColor"
# What was behind the page each time it was drawn, from its very first moment.
WATCH_COLOURS = f"""
    window.colours = new Set();
    const look = () => {{
        if (document.styleSheets.length > 0) window.colours.add({BACKGROUND});
        requestAnimationFrame(look);
    }};
    requestAnimationFrame(look);
"""
BLOCK_STORAGE = """
    for (const name of ["localStorage", "sessionStorage"]) {
        Object.defineProperty(window, name, { get() { throw new DOMException("blocked", "SecurityError"); } });
    }
"""
MAC = "Object.defineProperty(navigator, 'platform', { get: () => 'MacIntel' })"


async def theme(page: Page, name: str) -> None:
    await page.click(f".segment:has([value={name}])")


async def close(page: Page) -> None:
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog[open]")).to_have_count(0)


# ---- theme and language


async def test_a_theme_applies_at_once_and_from_the_first_moment_of_the_next_visit(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url, color_scheme="light")
    await page.context.add_init_script(WATCH_COLOURS)
    await page.open()
    await page.page.click("#to-settings")
    await expect(page.page.locator("[value=system]")).to_be_checked()
    await theme(page.page, "dark")
    assert await page.page.evaluate(BACKGROUND) == DARK
    assert await page.page.get_attribute("meta[name=theme-color]", "content") == DARK
    await page.page.reload()
    await page.is_connected()
    assert await page.page.evaluate("[...window.colours]") == [DARK]
    await page.page.click("#to-settings")
    await theme(page.page, "system")
    assert await page.page.evaluate(BACKGROUND) == LIGHT


async def test_the_light_theme_holds_on_a_dark_system(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url, color_scheme="dark")
    await page.open()
    assert await page.page.evaluate(BACKGROUND) == DARK
    await page.page.click("#to-settings")
    await theme(page.page, "light")
    assert await page.page.evaluate(BACKGROUND) == LIGHT


async def test_a_language_can_be_chosen_and_left_again_and_the_draft_stays(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.page.fill("#query", "half a thought")
    await page.page.click("#to-settings")
    await expect(page.page.locator("#language option")).to_have_text(["English", "Português (Brasil)"])
    await page.page.select_option("#language", "pt-BR")
    await expect(page.page.locator("html")).to_have_attribute("lang", "pt-BR")
    await expect(page.page.locator("#query")).to_have_value("half a thought")
    await page.page.click("#to-settings")
    await expect(page.page.locator("dialog[open] h2")).to_have_text("Configurações")
    await page.page.select_option("#language", "en")
    await expect(page.page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.page.locator("#query")).to_have_value("half a thought")


async def test_with_storage_blocked_theme_and_language_hold_in_this_tab(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url, color_scheme="light")
    await page.context.add_init_script(BLOCK_STORAGE)
    await page.open()
    await page.page.click("#to-settings")
    await theme(page.page, "dark")
    assert await page.page.evaluate(BACKGROUND) == DARK
    await expect(page.page.locator("dialog[open]")).to_contain_text("It may not keep anything")
    await page.page.select_option("#language", "pt-BR")
    await expect(page.page.locator("html")).to_have_attribute("lang", "pt-BR")


async def test_another_tab_follows_theme_and_language_and_keeps_its_own_draft(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url, color_scheme="light")
    await page.open()
    await page.page.fill("#query", "of the first")
    other = await page.context.new_page()
    await other.goto(scripted.url)
    await other.fill("#query", "of the second")
    await page.page.click("#to-settings")
    await theme(page.page, "dark")
    await expect(other.locator("html")).to_have_attribute("data-theme", "dark")
    await page.page.select_option("#language", "pt-BR")
    await expect(other.locator("html")).to_have_attribute("lang", "pt-BR")
    await expect(other.locator("#query")).to_have_value("of the second")
    await expect(page.page.locator("#query")).to_have_value("of the first")


async def test_what_the_browser_keeps_can_be_forgotten(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.ask("hello")
    await page.sees_answer("You asked: hello")
    await page.page.fill("#query", "half a thought")
    await page.page.click("#to-settings")
    await theme(page.page, "dark")
    await page.page.click("#clear-local")
    await page.page.click("#clear-now")
    await expect(page.page.locator("#welcome")).to_be_visible()
    await expect(page.page.locator("#query")).to_have_value("")
    assert await page.page.evaluate("document.documentElement.dataset.theme ?? null") is None


# ---- the server


async def test_settings_tell_how_the_server_is_and_go_on_telling(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.ask("hello")
    await page.sees_answer("You asked: hello")
    await page.page.click("#to-settings")
    await expect(page.page.locator("#about-server")).to_contain_text(re.compile(r"process uses \d+ MB of \d+ GB"))
    await expect(page.page.locator("#about-server")).to_contain_text("No outgoing connections since start")
    await expect(page.page.locator("#server-models .row")).to_have_text(re.compile("^small.*loaded"))
    questions = page.page.locator("#server-figures .row").first
    await expect(questions).to_have_text("Questions1")
    await close(page.page)
    await page.ask("again")
    await page.sees_answer("You asked: again")
    await page.page.click("#to-settings")
    await expect(questions).to_have_text("Questions2")


async def test_a_server_that_goes_away_while_settings_are_open_is_told(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.page.click("#to-settings")
    told = page.page.locator("#server-told")
    await expect(told).to_be_hidden()
    page.expects_lost_connection = True
    await scripted.stop()
    await expect(told).to_have_text(re.compile("^The server cannot be reached"))
    await scripted.start()
    await expect(told).to_be_hidden()


async def test_cached_answers_can_be_forgotten(visit: Visits, scripted: ScriptedServer) -> None:
    cache: dict[str, Any] = {"enabled": True, "entries": 3, "hits": 2}

    async def stats(route: Route) -> None:
        told = await (await route.fetch()).json()
        await route.fulfill(json={**told, "cache": {**told["cache"], **cache}})

    async def clear(route: Route) -> None:
        deleted, cache["entries"] = cache["entries"], 0
        await route.fulfill(json={"deleted": deleted})

    page = await visit(scripted.url)
    await page.page.route("**/api/proxy/stats", stats)
    await page.page.route("**/api/cache", clear)
    await page.open()
    await page.page.click("#to-settings")
    await expect(page.page.locator("#cache")).to_have_text("3 kept, given again 2 times.")
    await page.page.click("#forget-cache")
    await expect(page.page.locator(".settings")).to_contain_text("3 cached answers are forgotten.")
    await expect(page.page.locator("#cache")).to_have_text("None at present.")
    await expect(page.page.locator("#forget-cache")).to_be_hidden()


async def test_the_sidebar_says_whether_anything_left_the_machine(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    count = {"outgoing_connections": 0}

    async def health(route: Route) -> None:
        await route.fulfill(json={**await (await route.fetch()).json(), **count})

    await page.page.route("**/api/proxy/health", health)
    await page.open()
    line = page.page.locator("#outgoing")
    await expect(line).to_have_text("No outgoing connections since start")
    count["outgoing_connections"] = 2
    await expect(line).to_have_text("2 attempts to leave this computer since start")
    await expect(line).to_have_attribute("data-is", "some")


async def test_a_server_that_no_longer_knows_the_page_is_told(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    page.expects_refusals = True
    await page.page.route("**/api/proxy/health", lambda route: route.fulfill(status=401, json={}))
    await page.page.goto(scripted.url)
    await expect(page.page.locator("#connection")).to_have_attribute("data-is", "signed_out")
    await expect(page.page.locator("#connection-words")).to_contain_text("Sign in again")


# ---- shortcuts


async def asked(page: Visit) -> None:
    await page.open()
    await page.ask("first")
    await page.sees_answer("You asked: first")


async def test_up_in_an_empty_composer_edits_the_last_question(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await asked(page)
    await page.page.reload()
    await page.sees_answer("You asked: first")
    await page.page.fill("#query", "typing")
    await page.page.press("#query", "ArrowUp")
    await expect(page.page.locator(".turn .editor")).to_be_hidden()
    await page.page.fill("#query", "")
    await page.page.press("#query", "ArrowUp")
    await expect(page.page.locator(".turn .editor textarea")).to_be_focused()
    await expect(page.page.locator(".turn .editor textarea")).to_have_value("first")


async def test_a_new_conversation_is_two_keys_away_even_while_typing(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await asked(page)
    await page.page.press("#query", "Control+Shift+O")
    await expect(page.page.locator("#welcome")).to_be_visible()
    await expect(page.page.locator("#query")).to_be_focused()


async def test_the_last_answer_is_copied(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url, permissions=["clipboard-read", "clipboard-write"])
    await asked(page)
    await page.page.press("#query", "Control+Shift+C")
    await expect(page.page.locator(".toast")).to_contain_text("Copied")
    assert await page.page.evaluate("navigator.clipboard.readText()") == "You asked: first"


async def test_a_slash_goes_to_the_composer_and_is_a_slash_in_it(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.page.focus("#to-settings")
    await page.page.keyboard.press("/")
    await expect(page.page.locator("#query")).to_be_focused()
    await page.page.keyboard.press("/")
    await page.page.keyboard.press("?")
    await expect(page.page.locator("#query")).to_have_value("/?")
    await expect(page.page.locator("dialog[open]")).to_have_count(0)


async def test_a_question_mark_shows_the_shortcuts_and_the_focus_goes_back(
    visit: Visits, scripted: ScriptedServer
) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.page.focus("#to-documents")
    await page.page.keyboard.press("?")
    sheet = page.page.locator("dialog.help[open]")
    await expect(sheet.locator(".row", has_text="New conversation").locator("kbd")).to_have_text(["Ctrl", "Shift", "O"])
    await page.page.keyboard.press("Control+Shift+O")
    await expect(sheet).to_be_visible()
    await close(page.page)
    await expect(page.page.locator("#to-documents")).to_be_focused()


async def test_on_a_mac_the_sheet_shows_its_keys(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.context.add_init_script(MAC)
    await page.open()
    await page.page.click("#to-help")
    keys = page.page.locator("dialog.help .row", has_text="New conversation").locator("kbd")
    await expect(keys).to_have_text(["⌘", "⇧", "O"])


async def test_escape_closes_the_dialog_and_leaves_the_answer_alone(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    scripted.runner.hold()
    await page.ask("goes on")
    scripted.runner.step(8)
    await page.sees("streaming")
    await page.page.click("#to-settings")
    await close(page.page)
    scripted.runner.release()
    await page.sees_answer("You asked: goes on")
    await page.sees("complete")


# ---- for everybody


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "pt-BR"])
async def test_nothing_serious_stands_in_the_way_of_anybody(
    visit: Visits, scripted: ScriptedServer, scheme: str, locale: str
) -> None:
    page = await visit(scripted.url, color_scheme=scheme, locale=locale)
    await asked(page)
    await page.page.click("#to-settings")
    await expect(page.page.locator("#server-figures")).to_be_visible()
    await page.page.click("#clear-local")
    found = await serious_findings(page.page)
    await close(page.page)
    await page.page.click("#to-help")
    assert [*found, *await serious_findings(page.page)] == []


async def test_on_a_phone_settings_fit_and_every_target_is_large(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    await page.open()
    await page.page.evaluate("document.getElementById('to-settings').click()")
    await expect(page.page.locator("#server-figures")).to_be_visible()
    small = """
        () => [...document.querySelectorAll("dialog[open] :is(button, select, .segment)")]
            .filter((element) => element.checkVisibility())
            .map((element) => [element.id || element.textContent, element.getBoundingClientRect()])
            .filter(([, box]) => box.width < 44 || box.height < 44)
    """
    wide = "(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.querySelector('.dialog-content'))"
    assert await page.page.evaluate(small) == []
    assert await page.page.evaluate(wide) == 0


async def test_the_manifest_is_whole_and_its_icons_are_there(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    address = await page.page.get_attribute("link[rel=manifest]", "href")
    response = await page.context.request.get(f"{scripted.url}{address}")
    manifest = await response.json()
    assert response.headers["content-type"].startswith("application/manifest+json")
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == ("/", "/", "standalone")
    natural = """
        async (src) => { const image = new Image(); image.src = src; await image.decode(); return image.naturalWidth; }
    """
    widths = {icon["src"]: await page.page.evaluate(natural, icon["src"]) for icon in manifest["icons"]}
    pngs = {src: width for src, width in widths.items() if src.endswith(".png")}
    assert pngs == {"/static/icon-192.png": 192, "/static/icon-512.png": 512}
    assert {icon["purpose"] for icon in manifest["icons"]} == {"any", "maskable"}
