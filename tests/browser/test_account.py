"""Who uses the page: signing in and out, other devices, roles, sharing, and that nobody finds what was another's."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from aiohttp import ClientSession
from playwright.async_api import Page, Route, expect

from neuralbridge.sections import Auth
from neuralbridge.web.keys import SERVICES
from tests.browser.axe import serious_findings
from tests.browser.conftest import LOCAL_TOKEN, ScriptedServer, Visit, Visits
from tests.browser.test_away import keeps
from tests.browser.test_documents import DROP, PHONE

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

STORED = """
    async () => {
        const kept = JSON.stringify([{ ...localStorage }, { ...sessionStorage }]);
        const names = await caches.keys();
        const opened = await Promise.all(names.map((name) => caches.open(name)));
        const all = (await Promise.all(opened.map((cache) => cache.matchAll()))).flat();
        return kept + (await Promise.all(all.map((each) => each.text()))).join("");
    }
"""


async def arrive(visit: Visits, server: ScriptedServer, path: str = "/", **options: Any) -> Visit:
    """In front of the panel; what is refused until somebody has signed in is logged by the browser."""
    page = await visit(server.url, **options)
    page.expects_refusals = page.expects_lost_connection = True
    await page.page.goto(f"{server.url}{path}")
    return page


async def sign_in(page: Visit, token: str) -> None:
    await expect(page.page.locator("#sign-in")).to_be_visible()
    await page.page.fill("#token", token)
    await page.page.press("#token", "Enter")
    await expect(page.page.locator("#sign-in")).to_be_hidden()
    await page.is_connected()


async def signed_in(visit: Visits, server: ScriptedServer, user: str, role: Any = "user", **options: Any) -> Visit:
    page = await arrive(visit, server, **options)
    await sign_in(page, server.token(user, role))
    return page


async def settings(page: Visit) -> Page:
    await page.page.evaluate("document.getElementById('to-settings').click()")
    await expect(page.page.locator("dialog.settings")).to_be_visible()
    return page.page


# ---- signing in


async def test_a_token_lets_in_and_a_wrong_one_is_told_beside_the_field(visit: Visits, guarded: ScriptedServer) -> None:
    page = await arrive(visit, guarded)
    field, wrong = page.page.locator("#token"), page.page.locator("#token-wrong")
    await expect(field).to_be_focused()
    assert [await field.get_attribute(name) for name in ("type", "autocomplete")] == ["password", "off"]
    await field.fill("nb_wrong")
    await field.press("Enter")
    await expect(wrong).to_have_text(re.compile("^This token is not valid here"))
    await expect(field).to_have_attribute("aria-invalid", "true")
    await page.page.keyboard.press("Escape")
    await page.page.keyboard.press("Escape")
    await sign_in(page, LOCAL_TOKEN)
    await page.ask("hello")
    await page.sees_answer("You asked: hello")
    await page.page.reload()
    await page.sees_answer("You asked: hello")
    assert LOCAL_TOKEN not in await page.page.evaluate(STORED)
    assert await page.page.evaluate("document.cookie") == ""


async def test_too_many_tries_are_told_with_the_time(visit: Visits, guarded: ScriptedServer) -> None:
    await guarded.stop()
    guarded.sections["limits"] = {"failed_sign_ins": "1/minute"}
    await guarded.start()
    page = await arrive(visit, guarded)
    for _ in range(2):
        await page.page.fill("#token", "nb_wrong")
        await page.page.press("#token", "Enter")
        await expect(page.page.locator("#token-wrong")).not_to_be_empty()
    await expect(page.page.locator("#token-wrong")).to_have_text(re.compile(r"^Too many tries.* from \d+:\d\d:\d\d"))


async def test_the_page_goes_on_where_it_was_after_the_token_was_taken_back(
    visit: Visits, guarded: ScriptedServer
) -> None:
    page = await signed_in(visit, guarded, "ana")
    await page.ask("first")
    await page.sees_answer("You asked: first")
    await page.page.fill("#query", "half a thought")
    gate = guarded.app[SERVICES].gate
    gate.tokens.revoke("ana")
    gate.look()  # closes with 1001
    await expect(page.page.locator("#sign-in")).to_be_visible()
    await expect(page.page.locator(".sign-in-kept")).to_contain_text("What you were writing is kept")
    await expect(page.page.locator("#connection")).to_have_attribute("data-is", "signed_out")
    # The panel is in front of it, so the page itself asks
    await page.page.evaluate("document.getElementById('composer').requestSubmit()")
    await page.sees("unsent")
    address = page.page.url
    await sign_in(page, guarded.token("ana"))
    await page.sees_answer("You asked: half a thought")
    await page.sees_answer("You asked: first", 0)
    assert page.page.url == address


@pytest.mark.parametrize("stale", [False, True])
async def test_a_page_that_is_open_asks_for_a_token_once_the_server_does(
    visit: Visits, scripted: ScriptedServer, stale: bool
) -> None:
    page = await visit(scripted.url)
    page.expects_refusals = page.expects_lost_connection = True
    await page.open()
    if stale:  # a cookie of before: the socket itself is refused, not only the conversation
        cookie = {"name": f"neuralbridge-{scripted.port}", "value": "nb_of-before", "url": scripted.url}
        await page.context.add_cookies([cookie])
    await page.page.fill("#query", "asked meanwhile")
    services = scripted.app[SERVICES]
    settings = services.settings
    with patch.object(settings, "applied", replace(settings.applied, auth=Auth(required=True, token=LOCAL_TOKEN))):
        services.gate.look()
        await expect(page.page.locator("#sign-in")).to_be_visible()
        await page.page.evaluate("document.getElementById('composer').requestSubmit()")
        await page.sees("unsent")
        await sign_in(page, LOCAL_TOKEN)
        await page.sees_answer("You asked: asked meanwhile")


async def test_a_request_that_is_refused_asks_for_a_token_too(visit: Visits, guarded: ScriptedServer) -> None:
    page = await signed_in(visit, guarded, "ana")
    await page.context.clear_cookies()  # the socket goes on
    await page.page.fill("#past-search", "words")
    await expect(page.page.locator("#sign-in")).to_be_visible()
    await sign_in(page, guarded.token("ana"))
    await expect(page.page.locator("#past-search")).to_have_value("words")


async def test_a_restart_comes_back_by_itself(visit: Visits, guarded: ScriptedServer) -> None:
    page = await signed_in(visit, guarded, "ana")
    await page.page.fill("#query", "half")
    await guarded.stop()  # closes with 1012
    await expect(page.page.locator("#connection")).to_have_attribute("data-is", "waiting")
    await guarded.start()
    await page.is_connected()
    await expect(page.page.locator("#sign-in")).to_be_hidden()
    await expect(page.page.locator("#query")).to_have_value("half")


async def test_a_code_in_the_address_signs_in_once_and_is_nowhere_afterwards(
    visit: Visits, guarded: ScriptedServer
) -> None:
    first = await signed_in(visit, guarded, "ana")
    page = await settings(first)
    await page.click("#pair")
    await expect(page.locator(".pairing-left")).to_have_text(re.compile(r"^Good for (10:00|9:5\d) more\.$"))
    assert await page.locator(".pairing-code").evaluate(
        "(image) => image.decode().then(() => image.naturalWidth > 100)"
    )
    await expect(page.locator(".pairing-only-here")).to_contain_text("Only this computer reaches this address")
    code = (await page.locator("#pairing-url").input_value()).partition("#/pair/")[2]
    phone = await arrive(visit, guarded, f"/#/pair/{code}", **PHONE)
    await phone.is_connected()
    await expect(phone.page.locator(".toast")).to_contain_text("Signed in as ana.")
    assert code not in phone.page.url + await phone.page.evaluate(STORED)
    await expect(page.locator("#account")).to_contain_text("The other device is signed in.")
    await expect(page.locator(".token-name").first).to_have_text("Chrome · Linux")
    other = await arrive(visit, guarded, f"/#/pair/{code}")
    await expect(other.page.locator("#token-wrong")).to_have_text(re.compile("^This code was used already"))
    assert code not in other.page.url + await other.page.evaluate(STORED)
    # Whoever is signed in is not brought into another's account by a link
    await first.page.keyboard.press("Escape")
    address = first.page.url
    await first.page.evaluate("location.hash = '#/pair/nb_of-somebody-else'")
    await expect(first.page.locator(".toast").last).to_contain_text("This device is signed in as ana.")
    assert first.page.url == address


# ---- one after the other


async def test_the_next_person_finds_nothing_of_the_one_before_not_even_offline(
    visit: Visits, guarded: ScriptedServer
) -> None:
    page = await signed_in(visit, guarded, "ana", service_workers="allow")
    await page.page.evaluate("navigator.serviceWorker.ready")
    await page.page.reload()
    await page.is_connected()
    await page.ask("the secret of ana")
    await page.sees_answer("You asked: the secret of ana")
    session = page.page.url.rpartition("/")[2]
    await keeps(page, "conversations", f"/api/conversations/{session}/history")
    await keeps(page, "files", "/")
    await page.page.fill("#query", "the secret of ana, half")
    await (await settings(page)).click("#sign-out")
    await expect(page.page.locator("#sign-in")).to_be_visible()
    assert "secret of ana" not in await page.page.evaluate(STORED)
    await sign_in(page, guarded.token("ben"))
    await expect(page.page.locator("#query")).to_have_value("")
    await guarded.stop()
    await page.page.goto(f"{guarded.url}/#/c/{session}")
    await page.page.reload()
    await expect(page.page.locator("#connection")).to_have_attribute("data-is", "waiting")
    assert "secret of ana" not in await page.page.evaluate(STORED)
    await expect(page.page.locator("body")).not_to_contain_text("secret of ana")


async def test_another_person_at_the_panel_begins_anew(visit: Visits, guarded: ScriptedServer) -> None:
    page = await signed_in(visit, guarded, "ana")
    await page.ask("the secret of ana")
    await page.sees_answer("You asked: the secret of ana")
    await page.page.fill("#query", "half of it")
    guarded.app[SERVICES].gate.tokens.revoke("ana")
    guarded.app[SERVICES].gate.look()
    await sign_in(page, guarded.token("ben"))
    await expect(page.page.locator("#welcome")).to_be_visible()
    await expect(page.page.locator("#query")).to_have_value("")
    await expect(page.page.locator("body")).not_to_contain_text("secret of ana")


# ---- the account in settings


async def test_tokens_are_listed_and_one_that_is_revoked_signs_out(visit: Visits, guarded: ScriptedServer) -> None:
    page = await signed_in(visit, guarded, "ana")
    dialog = await settings(page)
    await expect(dialog.locator("#account .account-who")).to_have_text("ana")
    await expect(dialog.locator(".token")).to_have_text(re.compile("^Token [0-9a-f]{8}used here .* since .* no end"))
    await dialog.get_by_role("button", name="Revoke Token").click()
    await dialog.locator(".token .danger").click()
    await expect(dialog.locator("#sign-in")).to_be_visible()


async def test_everything_of_mine_is_deleted_after_a_word_was_typed(
    visit: Visits, scripted: ScriptedServer, tmp_path: Path
) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.ask("hello")
    await page.sees_answer("You asked: hello")
    (tmp_path / "data" / "neuralbridge.db.v5.backup").write_bytes(b"an older database")
    await page.page.fill("#query", "half a thought")
    dialog = await settings(page)
    await expect(dialog.locator("#account")).to_be_hidden()
    await dialog.click("#delete-mine")
    await dialog.fill("#delete-word", "delet")
    await dialog.press("#delete-word", "Enter")
    await expect(dialog.locator("#delete-mine-now")).to_be_disabled()
    await dialog.fill("#delete-word", "Delete")
    await dialog.click("#delete-mine-now")
    told = dialog.locator(".yours-told")
    await expect(told).to_contain_text("Deleted: 1 conversation and 2 messages.")
    await expect(told.locator("li")).to_have_text(["neuralbridge.db.v5.backup"])
    await expect(told).to_contain_text("still has everything")
    await dialog.keyboard.press("Escape")
    await page.is_connected()
    await expect(page.page.locator("#query")).to_have_value("")
    await expect(page.page.locator(".past-link")).to_have_count(0)
    await expect(page.page.locator("body")).not_to_contain_text("You asked: hello")


async def test_settings_say_that_the_connection_is_not_encrypted(visit: Visits, guarded: ScriptedServer) -> None:
    page = await signed_in(visit, guarded, "ana")
    await expect((await settings(page)).locator("#open-to-readers")).to_have_count(0)  # loopback
    lan = await visit("http://bridge.test")
    lan.expects_refusals = lan.expects_lost_connection = True

    async def from_loopback(route: Route) -> None:
        address = route.request.url.replace("http://bridge.test", guarded.url)
        await route.fulfill(response=await route.fetch(url=address))

    await lan.page.route("http://bridge.test/**", from_loopback)
    await lan.page.goto("http://bridge.test/")
    await expect(lan.page.locator("#sign-in")).to_be_visible()
    await expect(lan.page.locator("#welcome")).to_contain_text("the computer that runs NeuralBridge (bridge.test)")
    await expect((await settings(lan)).locator("#open-to-readers")).to_contain_text("without encryption")
    assert [said for said in lan.complaints if "Cross-Origin-Opener-Policy" not in said] == []
    lan.complaints.clear()  # browsers say of that header that it means nothing here


# ---- roles


async def test_a_guest_is_shown_nothing_to_bring_and_is_told_why(visit: Visits, guarded: ScriptedServer) -> None:
    page = await signed_in(visit, guarded, "gil", "guest")
    await expect(page.page.locator("#attach")).to_be_hidden()
    await page.page.get_by_role("button", name="Import and export").click()
    await expect(page.page.get_by_role("menuitem")).to_have_text([re.compile("^Export"), re.compile("^Export")])
    await page.page.keyboard.press("Escape")
    await page.page.evaluate(DROP, [["a.txt", "x"]])
    await expect(page.page.locator("#drop")).to_be_hidden()
    await expect(page.page.locator(".toast").last).to_contain_text("You are a guest here")
    await page.ask("long " * 6_500)
    await expect(page.page.locator(".toast").last).to_contain_text("a question holds 32,000")
    await expect(page.page.get_by_role("button", name="Add as document")).to_have_count(0)
    await page.page.click("#to-documents")
    await expect(page.page.locator(".for-guests")).to_contain_text("Bringing documents is for users")
    await expect(page.page.locator("#documents .brings:visible")).to_have_count(0)
    dialog = await settings(page)
    await expect(dialog.locator("#about-server")).to_contain_text("Version")
    for part in ("#server-figures", "#forget-cache", "#pair"):
        await expect(dialog.locator(part)).to_be_hidden()


async def test_a_rate_is_told_in_words(visit: Visits, guarded: ScriptedServer) -> None:
    page = await signed_in(visit, guarded, "ana")
    told = {"error": "rate_limited", "message": "600 requests per minute are allowed."}
    await page.page.route(
        "**/api/conversations?q=*", lambda route: route.fulfill(status=429, headers={"Retry-After": "7"}, json=told)
    )
    await page.page.fill("#past-search", "words")
    await expect(page.page.locator(".past-status")).to_contain_text("Try again in 7 s; nothing is lost.")


# ---- sharing


async def put(server: ScriptedServer, token: str, name: str, shared_with: list[str]) -> None:
    """A document of whose token it is."""
    async with ClientSession(server.url, headers={"Authorization": f"Bearer {token}"}, raise_for_status=True) as api:
        text = {"content": f"Words of {name}.", "source_document": name}
        async with api.post("/api/knowledge/ingest", json=text) as response:
            document = (await response.json())["document_id"]
        async with api.patch(f"/api/knowledge/documents/{document}", json={"shared_with": shared_with}):
            pass


async def test_a_document_is_shared_by_its_owner_and_nobody_else(visit: Visits, guarded: ScriptedServer) -> None:
    ana, ben, cleo = (guarded.token(name) for name in ("ana", "ben", "cleo"))
    await put(guarded, ben, "of ben.txt", ["ana"])
    await put(guarded, cleo, "of cleo.txt", [])
    await put(guarded, ana, "of ana.txt", [])
    page = await arrive(visit, guarded)
    await sign_in(page, ana)
    await page.page.click("#to-documents")
    rows = page.page.locator(".document")
    await expect(rows).to_have_count(2)
    own, of_ben = (rows.filter(has_text=name) for name in ("of ana.txt", "of ben.txt"))
    await expect(of_ben).to_contain_text("shared by ben")
    await of_ben.locator("button.muted").click()
    await expect(page.page.locator(":popover-open button")).to_have_text(["Preview", "Why was this not found?"])
    await page.page.keyboard.press("Escape")
    await own.locator("button.muted").click()
    await page.page.locator(":popover-open button", has_text="Share").click()
    await page.page.check("[value=some]")
    await page.page.fill("#share-names", "ben, no/name")
    await page.page.keyboard.press("Enter")
    await expect(page.page.locator("#share-wrong")).to_contain_text("“no/name” is not a name")
    await page.page.fill("#share-names", "ben, cleo")
    await page.page.keyboard.press("Enter")
    await expect(own).to_contain_text("shared with ben and cleo")
    other = await arrive(visit, guarded, "/#/documents")
    await sign_in(other, cleo)
    await expect(other.page.locator(".document", has_text="of ana.txt")).to_contain_text("shared by ana")


# ---- for everybody


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "pt-BR"])
async def test_nothing_serious_stands_in_the_way_of_anybody(
    visit: Visits, guarded: ScriptedServer, scheme: str, locale: str
) -> None:
    page = await arrive(visit, guarded, color_scheme=scheme, locale=locale)
    await page.page.fill("#token", "nb_wrong")
    await page.page.press("#token", "Enter")
    await expect(page.page.locator("#token-wrong")).not_to_be_empty()
    found = await serious_findings(page.page)
    await sign_in(page, guarded.token("ana"))
    dialog = await settings(page)
    await dialog.click("#pair")
    await expect(dialog.locator(".pairing")).to_be_visible()
    await dialog.locator(".token button").first.click()
    await dialog.click("#delete-mine")
    assert [*found, *await serious_findings(page.page)] == []
