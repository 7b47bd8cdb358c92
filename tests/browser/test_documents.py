"""The documents' room, on a library whose embedder is a fake: files and folders in, found, explained, deleted."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Dialog, FilePayload, Locator, Page, Route, expect

from neuralbridge.retrieval.arrays import Matrix
from tests.browser.axe import serious_findings
from tests.browser.conftest import ScriptedServer, Visit, Visits, leave
from tests.fakes import FakeEmbedder

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
PUMP = b"# Warranty\n\nThe warranty of the XK-204 pump lasts 27 months.\n\nAsk Ana Souza about spare parts."
ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le") + b"x" * 600
HOSTILE = "<img src=x onerror=alert(1)>.txt"
DROP = """
    (files) => {
        const transfer = new DataTransfer();
        for (const [name, text] of files) transfer.items.add(new File([text], name));
        for (const type of ["dragenter", "dragover", "drop"]) {
            const options = { bubbles: true, cancelable: true, dataTransfer: transfer };
            document.body.dispatchEvent(new DragEvent(type, options));
        }
    }
"""
WALK = """
    async () => {
        const { filesOf } = await import("/static/js/view/documents/drop.js");
        const file = (fullPath) => ({ isFile: true, fullPath, file: (tell) => tell(new File(["x"], "x")) });
        const folder = (fullPath, readEntries) => ({ isFile: false, fullPath, createReader: () => ({ readEntries }) });
        const holding = (path, ...batches) => folder(path, (tell) => tell(batches.shift() ?? []));
        const locked = folder("/top/locked", (tell, fail) => fail(new Error("no")));
        const sub = holding("/top/sub", [file("/top/sub/b.txt")]);
        const top = holding("/top", [file("/top/a.txt"), sub], [locked, file("/top/c.txt")]);
        const item = { kind: "file", webkitGetAsEntry: () => top, getAsFile: () => null };
        return (await filesOf([item])).map(({ path }) => path);
    }
"""
SCROLL = """
    (place) => {
        const scroller = document.querySelector("#documents .reading");
        scroller.scrollTop = scroller.scrollHeight * place;
    }
"""
SMALL_TARGETS = """
    () => [...document.querySelectorAll("#documents button, #documents label.mode, #documents input:not([type=radio])")]
        .filter((element) => element.checkVisibility())
        .map((element) => [element.textContent || element.title || element.id, element.getBoundingClientRect()])
        .filter(([, box]) => box.width < 44 || box.height < 43.5)
        .map(([name]) => name)
"""


Answer = Callable[[Route], Awaitable[None]]


class HeldEmbedder(FakeEmbedder):
    """Embeds documents when the test lets it."""

    may = asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> Matrix:
        await self.may.wait()
        return await super().embed(texts)


@pytest_asyncio.fixture(loop_scope="session")
async def library(tmp_path: Path, visits: list[Visit]) -> AsyncIterator[ScriptedServer]:
    """A server that the test starts, after saying how its documents are."""
    server = ScriptedServer(tmp_path / "data", FakeEmbedder)
    yield server
    await leave(visits)
    await server.stop()


def text(name: str, content: bytes | str = PUMP) -> FilePayload:
    body = content.encode() if isinstance(content, str) else content
    return {"name": name, "mimeType": "text/plain", "buffer": body}


class Room:
    """The room as a visitor uses it."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.page: Page = visit.page
        self.documents = self.page.locator(".document")
        self.intake = self.page.locator(".intake-row")
        self.toasts = self.page.locator("#toasts")

    async def add(self, *files: FilePayload) -> None:
        async with self.page.expect_file_chooser() as choosing:
            await self.page.locator(".add-files").click()
        await (await choosing.value).set_files(files)

    def row(self, name: str) -> Locator:
        return self.documents.filter(has_text=name)

    async def act(self, name: str, action: str) -> None:
        await self.row(name).locator(".only-icon").click()
        await self.row(name).locator(".plain-row", has_text=action).click()

    async def search(self, words: str) -> None:
        await self.page.locator(".mode", has_text="Contents").click()
        await self.page.locator("#documents-search").fill(words)

    def expect_refusals(self) -> None:
        """The browser logs each answer that is no success; no page can prevent it."""
        resource = [line for line in self.visit.complaints if line.startswith("Failed to load resource")]
        for line in resource:
            self.visit.complaints.remove(line)


async def enter(visit: Visits, server: ScriptedServer, listed: Answer | None = None, **options: Any) -> Room:
    """`listed` answers in the server's place when the page asks for its list of documents."""
    room = Room(await visit(server.url, **options))
    if listed is not None:
        await room.page.route("**/api/knowledge/documents?*", listed)
    await room.page.goto(f"{server.url}/#/documents")
    await expect(room.page.locator(".folders")).to_be_visible()  # the server has told how documents are
    return room


async def test_the_first_visit_is_one_sentence_and_one_button(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    room = await enter(visit, library)
    await expect(room.page.locator(".documents-empty")).to_contain_text("drop them anywhere on this page")
    await expect(room.page.locator("#documents-search")).to_be_hidden()


async def test_chosen_files_become_documents_and_the_end_says_so(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    room = await enter(visit, library)
    await room.add(text("pump.md"), text("notes.txt", "Apples are red."), text(".DS_Store"))
    await expect(room.row("pump.md")).to_contain_text(re.compile(r"Markdown · 94 B · 1 passage · \d+ \w+ 20\d\d"))
    await expect(room.intake.filter(has_text="notes.txt")).to_contain_text("ready · 1 passage")
    await expect(room.toasts).to_have_text("2 documents are ready. 1 hidden or system file was left out.")
    await room.page.get_by_role("button", name="Clear").click()
    await expect(room.page.locator(".intake")).to_be_hidden()


async def test_refused_files_say_why_and_the_others_are_taken(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    room = await enter(visit, library)
    await room.add(text("empty.txt", ""), text("secret.docx", ENCRYPTED), text("pump.md"))
    await expect(room.intake.filter(has_text="empty.txt")).to_contain_text(re.compile("could not be read: .*empty"))
    await expect(room.intake.filter(has_text="secret.docx")).to_contain_text(
        re.compile("could not be read: .*encrypted")
    )
    # In the order in which they failed: that is up to the children who read them
    await expect(room.toasts).to_contain_text("1 document is ready. 2 could not be read: ")
    await expect(room.toasts).to_contain_text("empty.txt (empty)")
    await expect(room.toasts).to_contain_text("secret.docx (encrypted")
    await expect(room.documents).to_have_count(1)
    await room.page.reload()
    await expect(room.intake).to_have_count(2)


async def test_a_name_that_is_markup_stays_a_name(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    room = await enter(visit, library)
    alerts: list[Dialog] = []
    room.page.on("dialog", lambda dialog: alerts.append(dialog))
    await room.add(text(HOSTILE), text("<b>empty<b>.txt", ""))
    await expect(room.row(HOSTILE)).to_be_visible()
    await expect(room.toasts).to_contain_text("<b>empty<b>.txt")
    await room.act(HOSTILE, "Why was this not found?")
    await room.page.fill("#explain-query", "warranty")
    await room.page.click(".explain-form .accent")
    await expect(room.page.locator(".verdict")).to_contain_text("It is found: place 1")
    assert await room.page.locator("img, #documents b, #toasts b").count() == 0
    assert alerts == []


async def test_files_are_dropped_in_a_conversation_and_it_stays(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    page = await visit(library.url)
    await page.open()
    await page.page.evaluate(DROP, [["pump.md", PUMP.decode()], ["Thumbs.db", "x"]])
    await expect(page.page.locator("#toasts")).to_contain_text("1 document is ready. 1 hidden or system file was left")
    await expect(page.page.locator("#chat")).to_be_visible()
    await expect(page.page.locator("#drop")).to_be_hidden()
    await page.page.get_by_role("button", name="Show documents").click()
    await expect(page.page.locator(".document")).to_contain_text("pump.md")


async def test_a_page_that_is_dragged_over_shows_where_files_go(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    page = await visit(library.url)
    await page.open()
    dragged = DROP.replace('"dragenter", "dragover", "drop"', '"dragenter"')
    await page.page.evaluate(dragged, [["a.txt", "x"]])
    await expect(page.page.locator("#drop")).to_have_text(re.compile("Drop files or folders"))


async def test_a_dropped_folder_is_walked_to_its_end(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    page = await visit(library.url)
    await page.open()
    assert await page.page.evaluate(WALK) == ["/top/a.txt", "/top/sub/b.txt", "/top/c.txt"]


async def test_the_files_of_a_folder_keep_their_places_and_replace_themselves(
    visit: Visits, library: ScriptedServer, tmp_path: Path
) -> None:
    folder = tmp_path / "Reports"
    (folder / "2024").mkdir(parents=True)
    (folder / "a.txt").write_text("Apples are red.")
    (folder / "2024" / "a.txt").write_text("Pears are green.")
    await library.start()
    room = await enter(visit, library)
    for _ in range(2):
        async with room.page.expect_file_chooser() as choosing:
            await room.page.locator(".add-folder").click()
        await (await choosing.value).set_files(folder)
        await expect(room.page.locator(".intake-line")).to_have_text("2 documents are ready")
        (folder / "a.txt").write_text("Apples are round, and red when they are ripe.")
    await expect(room.documents).to_have_count(2)
    await expect(room.row("Reports/2024")).to_contain_text("a.txt")
    await expect(room.documents.filter(has_text="45 B")).to_have_count(1)


async def test_hundreds_of_files_never_freeze_the_page(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    room = await enter(visit, library)
    many = "() => Array.from({ length: 600 }, (_, n) => [`report ${n}.txt`, `Report ${n} is about pump ${n * 7}.`])"
    await room.page.evaluate(f"() => ({DROP})(({many})())")
    await expect(room.page.locator("#to-documents .side-count")).to_have_text(re.compile(r"^\d+ of 600$"))
    busy = await share_of_the_main_thread(room.page, seconds=5)
    assert await room.intake.count() <= 50
    await expect(room.page.locator(".intake-line")).to_have_text("600 documents are ready", timeout=180_000)
    await expect(room.page.locator(".library-count")).to_have_text("600 documents")
    assert await room.documents.count() < 60
    assert busy < 0.25
    room.expect_refusals()  # of a server that has no room for more at times


async def share_of_the_main_thread(page: Page, seconds: float) -> float:
    """How much of a processor the page takes, by its own clock: others may be at work on this machine."""
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    async def busy() -> float:
        told = await devtools.send("Performance.getMetrics")
        return {each["name"]: float(each["value"]) for each in told["metrics"]}["TaskDuration"]

    before = await busy()
    await asyncio.sleep(seconds)
    return (await busy() - before) / seconds


async def test_ten_thousand_documents_are_scrolled_with_few_of_them_in_the_page(
    visit: Visits, library: ScriptedServer
) -> None:
    await library.start()
    room = await enter(visit, library, listed=answer_with_ten_thousand)
    await expect(room.row("document 0.txt")).to_be_visible()
    for place in (0.2, 0.5, 0.77, 1):
        await room.page.evaluate(SCROLL, place)
        await room.page.wait_for_function(
            "() => [...document.querySelectorAll('.document')].length > 0"
            " && [...document.querySelectorAll('.document')].every((row) => row.textContent !== '')"
        )
    await expect(room.row("document 9999.txt")).to_be_in_viewport()
    await expect(room.row("document 9999.txt")).to_have_attribute("aria-posinset", "10000")
    assert await room.documents.count() < 60


async def answer_with_ten_thousand(route: Route) -> None:
    found = re.search(r"offset=(\d+)", route.request.url)
    offset = int(found[1]) if found else 0
    documents = [
        {
            "document_id": f"d{n}",
            "source_document": f"document {n}.txt",
            "title": None,
            "kind": "text",
            "chunks": 3,
            "size": 1000,
            "characters": 900,
            "version": "v",
            "pinned": False,
            "folder": None,
            "metadata": {},
            "modified_at": "2024-05-31T12:00:00Z",
            "created_at": "2024-05-31T12:00:00Z",
            "updated_at": "2024-05-31T12:00:00Z",
        }
        for n in range(offset, min(offset + 100, 10_000))
    ]
    await route.fulfill(json={"documents": documents, "total": 10_000})


async def test_a_deletion_is_taken_back(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    room = await enter(visit, library)
    await room.add(text("a.txt", "Apples are red."), text("b.txt", "Pears are green."))
    await expect(room.documents).to_have_count(2)
    await room.act("a.txt", "Delete")
    await expect(room.documents).to_have_count(1)
    await room.page.get_by_role("button", name="Undo").click()
    await expect(room.documents).to_have_count(2)
    await room.page.reload()
    await expect(room.documents).to_have_count(2)


@pytest.mark.parametrize("leaving", [False, True], ids=["the toast went", "the page was left"])
async def test_a_deletion_is_final_when(visit: Visits, library: ScriptedServer, leaving: bool) -> None:
    await library.start()
    room = await enter(visit, library)
    await room.add(text("a.txt", "Apples are red."))
    await expect(room.documents).to_have_count(1)
    await room.act("a.txt", "Delete")
    if leaving:
        await room.page.goto("about:blank")
        await room.page.goto(f"{library.url}/#/documents")
    else:
        toast = room.page.locator(".toast", has_text="a.txt is deleted.")
        async with room.page.expect_response(lambda response: response.request.method == "DELETE"):
            await toast.get_by_role("button", name="Close").click()
        await room.page.reload()
    await expect(room.page.locator(".documents-empty")).to_be_visible()


async def test_a_document_is_renamed_and_pinned(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    room = await enter(visit, library)
    await room.add(text("old.txt", "Apples are red."))
    await expect(room.row("old.txt")).to_be_visible()
    await room.add(text("new.txt", "Pears are green."))
    await expect(room.documents).to_have_text([re.compile("new.txt"), re.compile("old.txt")])
    await room.act("old.txt", "Rename")
    await room.page.fill("#document-name", "Warranty of the pump.txt")
    await room.page.keyboard.press("Enter")
    await room.act("Warranty of the pump.txt", "Pin to the top")
    await expect(room.documents).to_have_text([re.compile("Warranty of the pump.*Pinned"), re.compile("new.txt")])


async def test_names_filter_the_list_and_contents_are_searched(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    room = await enter(visit, library)
    await room.add(text("pump.md"), text("fruit.txt", "Apples are red."))
    await expect(room.documents).to_have_count(2)
    await room.page.fill("#documents-search", "fruit")
    await expect(room.page.locator(".library-count")).to_have_text("1 document has such a name")
    await expect(room.documents).to_have_text([re.compile("fruit.txt")])
    await room.search('"warranty" XK-204 file:pump')
    result = room.page.locator(".result")
    await expect(result).to_have_count(1)
    await expect(result).to_contain_text(re.compile(r"pump\.md.*score \d\.\d\d.*XK-204 pump"))
    assert "XK-204" in await result.locator("mark").all_text_contents()
    await result.click()
    await expect(room.page.locator("#evidence")).to_contain_text("The warranty of the XK-204 pump lasts 27 months.")
    await room.search("")
    await expect(room.page.locator(".results")).to_contain_text("before:2024-06-01")


async def test_a_search_that_cannot_be_read_says_the_servers_sentence(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    room = await enter(visit, library)
    await room.add(text("pump.md"))
    await expect(room.documents).to_have_count(1)
    await room.search("pump before:someday")
    await expect(room.page.locator(".results")).to_contain_text("someday")
    room.expect_refusals()


async def test_explain_says_where_the_expected_passage_was_lost(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    room = await enter(visit, library)
    await room.add(text("pump.md"), text("fruit.txt", "Apples are red."))
    await expect(room.documents).to_have_count(2)
    await room.act("fruit.txt", "Why was this not found?")
    await room.page.fill("#explain-query", "XK-204 warranty")
    await room.page.keyboard.press("Enter")
    await expect(room.page.locator(".verdict")).to_contain_text("It was found but fits too little: its score is")
    rows = room.page.locator(".scrolls tbody tr")
    await expect(rows).to_have_count(5)
    await expect(rows.nth(3)).to_have_text(re.compile("Fits well enough.*lost here"))
    await room.page.keyboard.press("Escape")
    await expect(room.row("fruit.txt").locator(".only-icon")).to_be_focused()


async def test_a_server_that_is_away_gets_the_files_when_it_is_back(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    room = await enter(visit, library)
    away = True

    async def answer(route: Route) -> None:
        await (route.abort("connectionrefused") if away else route.continue_())

    await room.page.route(re.compile(r"/api/(knowledge/ingest|proxy/health)"), answer)
    await room.add(text("a.txt", "Apples are red."), text("b.txt", "Pears are green."))
    await expect(room.page.locator(".intake-line")).to_contain_text("the server cannot be reached, trying again")
    await expect(room.intake).to_have_text([re.compile("waiting"), re.compile("waiting")])
    away = False
    await expect(room.documents).to_have_count(2)
    room.expect_refusals()


async def test_a_busy_server_is_waited_for_and_is_no_error(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    room = await enter(visit, library)
    busy = {"error": "server_busy", "message": "1,000 documents are waiting to be read, the most there may be."}
    told: list[str] = []

    async def answer(route: Route) -> None:
        told.append(route.request.url)
        if len(told) > 1:
            await route.continue_()
        else:
            await route.fulfill(status=429, headers={"Retry-After": "1"}, json=busy)

    await room.page.route("**/api/knowledge/ingest", answer)
    await room.add(text("a.txt", "Apples are red."))
    await expect(room.page.locator(".intake-line")).to_contain_text("the server is busy")
    await expect(room.toasts).to_have_text("1 document is ready.")
    room.expect_refusals()


async def test_a_file_being_sent_is_given_up(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    room = await enter(visit, library)
    held: list[Route] = []
    await room.page.route("**/api/knowledge/ingest", lambda route: held.append(route))
    await room.add(text("a.txt", "Apples are red."))
    await room.page.get_by_role("button", name="Do not send a.txt").click()
    await expect(room.intake).to_have_count(0)
    await room.page.unroute("**/api/knowledge/ingest")
    await room.add(text("b.txt", "Pears are green."))
    await expect(room.documents).to_have_text([re.compile("b.txt")])


async def test_a_reload_goes_on_showing_what_is_taken_in(visit: Visits, library: ScriptedServer) -> None:
    library.embedder = HeldEmbedder
    HeldEmbedder.may.clear()
    await library.start()
    room = await enter(visit, library)
    await room.add(text("pump.md"))
    await expect(room.intake).to_contain_text("indexing, 0 %")
    warning = "A document is still being read. Until then answers do not know it."
    await expect(room.page.locator("#still-reading")).to_have_text(warning)
    await room.page.reload()
    await expect(room.intake).to_contain_text(re.compile("pump.md.*indexing, 0 %"))
    await expect(room.page.locator("#to-documents .side-count")).to_have_text("0 of 1")
    HeldEmbedder.may.set()
    await expect(room.documents).to_have_text([re.compile("pump.md")])
    await expect(room.page.locator("#to-documents .side-count")).to_be_hidden()


async def test_documents_that_are_off_say_so_in_the_room_and_to_a_drop(visit: Visits, library: ScriptedServer) -> None:
    library.documents = {"enabled": False}
    await library.start()
    room = await enter(visit, library)
    await expect(room.page.locator(".documents-trouble")).to_contain_text(
        "set documents.enabled to true in config.yaml"
    )
    await room.page.evaluate(DROP, [["a.txt", "x"]])
    await expect(room.toasts).to_contain_text("Documents are switched off on this server.")
    await expect(room.intake).to_have_count(0)


async def test_a_watched_folder_tells_its_state_and_what_could_not_be_read(
    visit: Visits, library: ScriptedServer, tmp_path: Path
) -> None:
    folder = tmp_path / "Contracts"
    folder.mkdir()
    (folder / "lease.txt").write_text("The lease runs for three years.")
    (folder / "empty.pdf").write_bytes(b"")
    library.documents = {"watch": [str(folder)]}
    await library.start()
    room = await enter(visit, library)
    summary = room.page.locator(".folders summary").first
    await expect(summary).to_contain_text("1 folder · up to date · 1 could not be read")
    await summary.click()
    await room.page.locator(".problems summary").click()
    await expect(room.page.locator(".problems li")).to_contain_text("Contracts/empty.pdf")
    await room.act("lease.txt", "Delete")
    await expect(room.toasts).to_contain_text("Its file stays in the watched folder")


async def test_a_list_read_before_the_folder_was_still_becomes_whole(
    visit: Visits, library: ScriptedServer, tmp_path: Path
) -> None:
    folder = tmp_path / "Contracts"
    folder.mkdir()
    (folder / "lease.txt").write_text("The lease runs for three years.")
    library.documents = {"watch": [str(folder)]}
    await library.start()
    first: list[Route] = []

    async def hold_the_first(route: Route) -> None:
        first.append(route)
        if len(first) > 1:
            await route.continue_()

    room = await enter(visit, library, listed=hold_the_first)
    await expect(room.row("lease.txt")).to_be_visible()
    async with room.page.expect_event("requestfinished", lambda request: request is first[0].request):
        await first[0].fulfill(json={"documents": [], "total": 0})
    await room.page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    await expect(room.row("lease.txt")).to_be_visible()


async def test_every_target_is_large_enough_on_a_phone(visit: Visits, library: ScriptedServer) -> None:
    await library.start()
    room = await enter(visit, library, **PHONE)
    await room.add(text("pump.md"), text("empty.txt", ""))
    await expect(room.documents).to_have_count(1)
    assert await room.page.evaluate(SMALL_TARGETS) == []
    assert await room.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


async def test_the_sidebar_opens_from_this_room_too_and_the_focus_comes_back(
    visit: Visits, library: ScriptedServer
) -> None:
    await library.start()
    room = await enter(visit, library, **PHONE)
    opener = room.page.locator("#documents .opens-side")
    await opener.click()
    await expect(room.page.locator("#side")).to_have_attribute("data-open", "")
    await room.page.keyboard.press("Escape")
    await expect(opener).to_be_focused()


@pytest.mark.parametrize("locale", ["en-GB", "pt-BR"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious(visit: Visits, library: ScriptedServer, locale: str, scheme: str) -> None:
    await library.start()
    room = await enter(visit, library, locale=locale, color_scheme=scheme)
    await room.add(text("pump.md"), text("empty.txt", ""))
    await expect(room.documents).to_have_count(1)
    await expect(room.intake).to_have_count(2)
    found = await serious_findings(room.page)
    await room.page.locator(".document .only-icon").click()
    found += await serious_findings(room.page)
    await room.page.locator(".plain-row").nth(3).click()
    await room.page.fill("#explain-query", "apples")
    await room.page.keyboard.press("Enter")
    await expect(room.page.locator(".verdict")).to_be_visible()
    found += await serious_findings(room.page)
    assert found == []
