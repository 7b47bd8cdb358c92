"""Answers as Markdown in a real browser: equal however they arrive, harmless whatever they hold, never in the way."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, expect

from tests.browser.attacks import ATTACKS, EVIL
from tests.browser.axe import serious_findings
from tests.browser.conftest import Visit, Visits
from tests.browser.prose_documents import DOCUMENTS
from tests.browser.prose_page import prose_app

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

WITHOUT_TRUSTED_TYPES = "delete window.trustedTypes"
# Harmless by what they are: text, our own frames around code and tables, and MathML.
ALLOWED = """
b i em strong code sub sup br kbd mark del s table thead tbody tfoot tr th td caption details summary p ul ol li
blockquote pre hr h4 h5 h6 a img div span button math mrow mi mo mn ms mtext mspace msub msup msubsup mfrac
msqrt mroot munder mover munderover mtable mtr mtd mpadded mphantom menclose mstyle merror
"""
FORBIDDEN_ATTRIBUTES = "[id], [name], [style], [srcset], [background], [ping], [data-sentence], [contenteditable], [is]"
LINK = (
    '<p dir="auto"><a href="https://example.org/" title="https://example.org/" target="_blank" '
    'rel="noopener noreferrer nofollow">https://example.org/</a></p>'
)
HANG_MS = 2000  # generous: a shared machine; what hangs takes minutes

Open = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def address() -> AsyncIterator[str]:
    async with TestServer(prose_app()) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest_asyncio.fixture(loop_scope="session")
async def prose(visit: Visits, address: str) -> Page:
    """The page under the strict policy; that nothing was complained of and nothing left is asserted when it closes."""
    return await opened(await visit(address), f"{address}/")


async def opened(visit: Visit, url: str) -> Page:
    await visit.page.goto(url)
    await expect(visit.page.locator("html[data-ready]")).to_be_attached()
    return visit.page


# Text


@pytest.mark.parametrize("seed", [7, 1234])
async def test_a_text_that_arrives_in_pieces_ends_as_if_it_had_come_at_once(prose: Page, seed: int) -> None:
    different = await prose.evaluate(
        """async ([documents, seed]) => {
          const different = [];
          for (const [place, text] of documents.entries()) {
            const size = text.length > 3000 ? 400 : 24;
            const one = (await kit.grown(text, seed + place, size)).innerHTML;
            const other = (await kit.show(text)).innerHTML;
            if (one !== other) different.push([text.slice(0, 60), one, other]);
          }
          return different;
        }""",
        [DOCUMENTS, seed],
    )

    assert different == []


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# One\n\n#### Four", '<h4 dir="auto">One</h4><h6 dir="auto">Four</h6>'),
        ("~~a~~ **b**", '<p dir="auto"><del>a</del> <strong>b</strong></p>'),
        ("$5 and $10", '<p dir="auto">$5 and $10</p>'),
        ("[a](ftp://x.org/) [b](relative)", '<p dir="auto">a b</p>'),
        (
            "![a map](https://example.org/m.png)",
            '<p dir="auto"><span class="image-refused">[image not loaded: a map] (https://example.org/m.png)</span></p>',
        ),
        ("<https://example.org/>", LINK),
        ("![dot](data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=)", None),
    ],
)
async def test_markdown_becomes_plain_elements(prose: Page, text: str, html: str | None) -> None:
    shown = await prose.evaluate("async (text) => (await kit.show(text)).innerHTML", text)
    assert shown == html if html else ' src="' in shown


async def test_an_image_of_this_server_is_not_loaded_either(prose: Page) -> None:
    shown = await prose.evaluate("async (text) => (await kit.show(text)).outerHTML", "![own](/dot.gif)")
    assert "[image not loaded: own]" in shown
    assert "<img" not in shown


async def test_task_lists_show_marks_and_no_controls(prose: Page) -> None:
    shown = await prose.evaluate("async () => (await kit.show('- [x] done\\n- [ ] open')).innerText")
    assert shown.split() == ["☑", "done", "☐", "open"]


async def test_finished_blocks_items_rows_and_lines_keep_their_nodes_while_text_arrives(prose: Page) -> None:
    kept = await prose.evaluate(
        """async () => {
          const element = kit.fresh();
          const prose = new kit.Prose(element, { words: kit.words });
          const see = async (text) => {
            prose.show(text, { live: true });
            for (let frames = 0; frames < 40 && !element.textContent.includes(text.trim().slice(-4)); frames += 1) {
              await new Promise((then) => setTimeout(then, 20));
            }
          };
          const text = "First para.\\n\\nnext";
          const list = text + "\\n\\n- it0\\n- it1\\n- it2";
          const table = list + "\\n- it3\\n\\n| a | b |\\n|-|-|\\n| row0 | row1 |\\n";
          const code = table + "| row2 | row3 |\\n\\n```js\\nlet1;\\n";
          const stages = [[text, "p"], [list, "li"], [table, "tbody tr"], [code, "pre code"]];
          const nodes = [];
          for (const [text, selector] of stages) {
            await see(text);
            nodes.push(element.querySelector(selector));
          }
          const line = element.querySelector("pre code").firstChild;
          await see(code + "let2;\\nlet3");
          prose.show(code + "let2;\\nlet3;\\n```\\n", { live: false });
          await prose.settled;
          return [...nodes.map((node) => node !== null && node.isConnected), line.data.includes("let3")];
        }"""
    )
    assert kept == [True] * 5


@pytest.mark.parametrize(
    ("text", "sees", "never"),
    [
        ("a **bold", "a bold", "*"),
        ("see [the page](https://exam", "see the page", "["),
        ("code:\n\n```pyt", "code:", "`"),
        ("a table:\n\n| a | b |\n|--", "a table:", "|"),
        ("list:\n\n- one\n- ", "list:\none", "-"),
        ("a `co", "a co", "`"),
        ("title\n=", "title", "="),
    ],
)
async def test_what_is_still_open_looks_sensible(prose: Page, text: str, sees: str, never: str) -> None:
    show = "(text) => new kit.Prose(kit.fresh(), { words: kit.words }).show(text, { live: true })"
    await prose.evaluate(show, text)
    await expect(prose.locator(".prose .prose")).to_have_text(sees, use_inner_text=True)
    shown = await prose.locator(".prose .prose").inner_text()
    assert never not in shown


@pytest.mark.parametrize(
    "text",
    [
        "*" * 100_000,
        ">" * 100_000,
        "> " * 50_000,
        "[" * 100_000,
        "![" * 50_000,
        "`" * 100_000,
        "$" * 100_000,
        "<" * 100_000,
        "<b>" * 33_000,
        "<details>\n\n" * 9_000,
        "`a ``" * 20_000,
        "[a](" * 25_000,
        "a\n> b\n" * 16_000,
        "- " * 50_000,
        "\\[" * 50_000,
        "$$a\n" * 25_000,
        "a|b\n-|-\n" * 1_000,
        "".join("  " * depth + "- a\n" for depth in range(1000)),
        "".join("> " * depth + "a\n" for depth in range(1000)),
        "word " * 40_000,
        "x" * 200_000,
        "```js\n" + "let a = 1;\n" * 20_000,
        "$" + "{" * 3_000 + "$",
        "[x]: y\n" * 20_000,
        "".join(f"[x{n}]: https://example.org/{n}\n" for n in range(5_000)),
    ],
    ids=lambda text: f"{text[:6]!r}-{len(text)}",
)
async def test_a_text_made_to_hang_the_page_does_not(prose: Page, text: str) -> None:
    worst, last = await prose.evaluate(
        """async (text) => {
          const tasks = [0];
          const note = (list) => tasks.push(...list.getEntries().map(({ duration }) => duration));
          const observer = new PerformanceObserver(note);
          observer.observe({ type: "longtask" });
          for (const end of [0.3, 0.6, 0.61]) {
            const element = kit.fresh();
            const prose = new kit.Prose(element, { words: kit.words });
            prose.show(text.slice(0, text.length * end), { live: true });
            await kit.frame();
            prose.show(text, { live: false });
            await prose.settled;
          }
          const after = await kit.show(text + "\\n\\nthe end");
          return [Math.max(...tasks), after.textContent.includes("the end")];
        }""",
        text,
    )
    assert (worst < HANG_MS, last) == (True, True)


async def test_a_text_with_mistaken_beginnings_is_read_anew(prose: Page) -> None:
    shown = await prose.evaluate(
        """async () => {
          const element = kit.fresh();
          const prose = new kit.Prose(element, { words: kit.words });
          prose.show("A first try.\\n\\nSecond.\\n\\nThird.", { live: true });
          await kit.frame();
          prose.show("Another.", { live: true });
          prose.show("Another.\\n\\nEnd.", { live: false });
          await prose.settled;
          return element.innerText;
        }"""
    )
    assert shown == "Another.\n\nEnd."


async def test_after_remove_nothing_more_is_drawn(prose: Page) -> None:
    shown = await prose.evaluate(
        """async () => {
          const element = kit.fresh();
          const prose = new kit.Prose(element, { words: kit.words });
          prose.remove();
          prose.show("late", { live: false });
          for (let frames = 0; frames < 5; frames += 1) await kit.frame();
          return element.innerText;
        }"""
    )
    assert shown == ""


# Code and maths


@pytest.mark.parametrize("clipboard", [True, False])
async def test_a_code_block_is_copied_with_and_without_the_clipboard_interface(prose: Page, clipboard: bool) -> None:
    await prose.evaluate("async () => kit.show('```py\\nx = 1\\n\\ny = \"<b>\"\\n```')")
    if clipboard:
        await prose.context.grant_permissions(["clipboard-read", "clipboard-write"])
    else:
        await prose.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true })")
    await prose.evaluate(
        "document.addEventListener('copy', () => (window.copiedBySelection = String(document.activeElement.value)))"
    )
    await prose.click("button.copy-code")
    await expect(prose.locator("button.copy-code")).to_have_text("Copied")
    copied = "navigator.clipboard.readText()" if clipboard else "window.copiedBySelection"
    assert await prose.evaluate(copied) == 'x = 1\n\ny = "<b>"'
    await expect(prose.locator("button.copy-code")).to_have_text("Copy")


async def test_code_is_coloured_and_says_its_language(prose: Page) -> None:
    shown = await prose.evaluate(
        """async () => {
          const element = await kit.show("```python\\nreturn '<a>&amp;'\\n```");
          const names = [".code-language", "code", ".hljs-keyword", ".hljs-string"];
          return names.map((name) => element.querySelector(name).textContent);
        }"""
    )
    assert shown == ["python", "return '<a>&amp;'", "return", "'<a>&amp;'"]


async def test_formulas_become_mathml_and_those_that_cannot_be_read_show_their_source(prose: Page) -> None:
    shown = await prose.evaluate(
        """async () => {
          const element = await kit.show("$x^2$ and $\\\\frac{1}$ and $\\\\colorbox{red}{a}\\\\,b$");
          const count = (selector) => element.querySelectorAll(selector).length;
          return [count("math"), element.querySelector("code").textContent, count("[style]")];
        }"""
    )
    assert shown == [2, "\\frac{1}", 0]


async def test_highlighter_and_maths_are_loaded_when_first_needed(visit: Visits, address: str) -> None:
    page = await visit(address)
    await opened(page, f"{address}/")
    await page.page.evaluate("kit.show('plain **text** and `code`')")
    before = [url for url in page.requests if "temml" in url or "highlight.mjs" in url]
    await page.page.evaluate("kit.show('$x$\\n\\n```js\\n1\\n```')")
    after = [url.rpartition("/")[2] for url in page.requests if "temml" in url or "highlight.mjs" in url]
    assert (before, sorted(after)) == ([], ["highlight.mjs", "temml.mjs"])


# Harm


@pytest.mark.parametrize(("path", "script"), [("/", ""), ("/loose", ""), ("/loose", WITHOUT_TRUSTED_TYPES)])
async def test_no_text_runs_a_script_leaves_the_machine_or_brings_foreign_elements(
    visit: Visits, address: str, visits: list[Visit], path: str, script: str
) -> None:
    page = await visit(address)
    if script:
        await page.context.add_init_script(script)
    await opened(page, f"{address}{path}")
    found = await page.page.evaluate(
        """async ([attacks, allowed, forbidden]) => {
          const found = [];
          const keep = document.createElement("div");
          document.querySelector("main").append(keep);
          for (const attack of attacks) {
            for (const way of [kit.show, (text) => kit.grown(text, 5, 16)]) {
              const element = await way(attack);
              for (const node of element.querySelectorAll("*")) {
                const events = node.getAttributeNames().filter((name) => name.startsWith("on"));
                const bad = !allowed.includes(node.localName) || node.matches(forbidden) || events.length > 0;
                if (bad) found.push([attack, node.outerHTML]);
              }
              for (const link of element.querySelectorAll("[href], [src], [xlink\\\\:href]")) {
                const { protocol } = new URL(link.href ?? link.src);
                const image = link.localName === "img" && protocol === "data:";
                const good = link.localName === "a" && /^(https?|mailto):$/.test(protocol) && link.target === "_blank";
                if (!image && !good) found.push([attack, link.outerHTML]);
              }
              keep.append(element);
            }
          }
          for (const summary of keep.querySelectorAll("summary, button")) summary.click();
          for (let frames = 0; frames < 10; frames += 1) await kit.frame();
          const own = document.body.querySelectorAll("main, #prose").length;
          return { found, ran: window.ran, own, title: document.title, base: document.baseURI };
        }""",
        [ATTACKS, ALLOWED.split(), FORBIDDEN_ATTRIBUTES],
    )
    left = [url for url in page.requests if url.startswith(EVIL)]
    page.complaints.clear()  # of what the policy refused while the sanitiser read it, and of images that are not there
    assert (found, left) == ({"found": [], "ran": [], "own": 2, "title": "Prose", "base": f"{address}{path}"}, [])


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        (
            "String(kit.policy.createHTML('<iframe></iframe><b>x</b>'))",
            "<b>x</b>",
        ),
        ("String(kit.policy.createScriptURL('/sw.js'))", "/sw.js"),
        (
            "(() => { try { kit.policy.createScriptURL('/x.js'); } catch (refusal) { return refusal.name; } })()",
            "TypeError",
        ),
    ],
)
async def test_the_named_policy_makes_nothing_but_sanitised_html_and_the_workers_address(
    prose: Page, expression: str, result: str
) -> None:
    assert await prose.evaluate(expression) == result


# Marks

TEXT = (
    "# Tides\n\nHigh water is at **3:40** in the morning. "
    "It [falls slowly](https://example.org/a-long-address) after that! "
    "Yes. The moon is made of *soft cheese*, they say.\n\n"
    "- Yes.\n- The pull is $g = 9.8$ near the shore &amp; at sea.\n\n"
    "```js\nlet tide = 3;\n```\n\nYes. Nothing else is known.\n"
)


def sentence(words: str, verdict: str, number: int | None = None, nth: int = 0) -> dict[str, Any]:
    start = -1
    for _ in range(nth + 1):
        start = TEXT.index(words, start + 1)
    return {
        "start": start,
        "end": start + len(words),
        "verdict": verdict,
        "number": number,
        "label": f"{verdict} {number}",
    }


async def test_marks_stand_after_their_sentences_and_unsaid_words_are_underlined(prose: Page) -> None:
    sentences = [
        sentence("High water is at **3:40** in the morning.", "supported", 1),
        sentence("It [falls slowly](https://example.org/a-long-address) after that!", "partial", 2),
        sentence("The moon is made of *soft cheese*, they say.", "unsupported"),
        sentence("Yes.", "supported", 3, nth=1),
        sentence("The pull is $g = 9.8$ near the shore &amp; at sea.", "contradicted"),
        sentence("let tide = 3;", "supported", 4),
        sentence("Nothing else is known.", "supported", 5),
    ]
    shown = await prose.evaluate(
        """async ([text, sentences]) => {
          const element = await kit.show(text);
          kit.mark(element, text, sentences);
          const before = ({ previousSibling, parentElement }) =>
            [parentElement.localName, previousSibling.textContent.slice(-12)];
          const row = (button) => [button.dataset.sentence, button.textContent, ...before(button)];
          const buttons = [...element.querySelectorAll("button.citation")];
          const spans = (verdict) => [...element.querySelectorAll(verdict)];
          const words = (verdict) => spans(verdict).map((span) => span.textContent).join("").trim();
          return {
            marks: buttons.map(row),
            unsupported: words(".unsupported"),
            contradicted: words(".contradicted"),
            labels: buttons.every((button) => button.getAttribute("aria-label")),
          };
        }""",
        [TEXT, sentences],
    )
    assert shown == {
        "marks": [
            ["0", "1", "p", "the morning."],
            ["1", "2", "p", " after that!"],
            ["2", "", "p", "."],
            ["3", "3", "p", "Yes."],
            ["4", "", "p", "."],
            ["5", "4", "div", "et tide = 3;"],
            ["6", "5", "p", "se is known."],
        ],
        "unsupported": "The moon is made of soft cheese, they say",
        "contradicted": "The pull is  near the shore & at sea",
        "labels": True,
    }


async def test_a_sentence_that_is_not_found_has_its_mark_at_the_end_of_the_last_block_found(prose: Page) -> None:
    shown = await prose.evaluate(
        """async () => {
          const text = "One sentence here.\\n\\nAnother one.";
          const element = await kit.show(text);
          const label = "x";
          kit.mark(element, "One sentence here. Quite other words.", [
            { start: 0, end: 18, verdict: "supported", number: 1, label },
            { start: 19, end: 37, verdict: "supported", number: 2, label },
          ]);
          return element.innerText;
        }"""
    )
    assert shown == "One sentence here.12\n\nAnother one."


async def test_removing_the_marks_leaves_the_text_as_it_was(prose: Page) -> None:
    before, after, again = await prose.evaluate(
        """async ([text, sentences]) => {
          const element = await kit.show(text);
          const before = element.innerHTML;
          kit.mark(element, text, sentences);
          const marked = element.innerHTML;
          kit.mark(element, text, sentences);
          const again = element.innerHTML === marked && marked !== before;
          kit.unmark(element);
          return [before, element.innerHTML, again];
        }""",
        [
            TEXT,
            [sentence("The moon is made of *soft cheese*, they say.", "unsupported"), sentence("Yes.", "supported", 1)],
        ],
    )
    assert (after, again) == (before, True)


# For everybody


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious(prose: Page, scheme: Any) -> None:
    await prose.emulate_media(color_scheme=scheme)
    text = "\n\n".join([DOCUMENTS[3], TEXT, DOCUMENTS[8], DOCUMENTS[11], DOCUMENTS[16], DOCUMENTS[23], DOCUMENTS[24]])
    code = (
        "```js\n// note\nclass A { static b = `x${1}`; /r/g; get c() { return null } }\n```\n\n"
        "```diff\n- a\n+ b\n```\n\n```html\n<a b='c'>&amp;</a>\n```"
    )
    await prose.evaluate(
        "async ([text, sentences]) => kit.mark(await kit.show(text), text, sentences)",
        [f"{TEXT}\n\n{text}\n\n{code}", [sentence("High water is at **3:40** in the morning.", "partial", 1)]],
    )
    assert await serious_findings(prose, "main") == []


async def test_a_supported_sentence_without_a_number_is_not_marked_as_one_that_was_not_found(prose: Page) -> None:
    sign = await prose.evaluate(
        """async () => {
          const text = "It lasts three months.";
          const element = await kit.show(text);
          kit.mark(element, text, [{ start: 0, end: 22, verdict: "supported", number: null, label: "x" }]);
          return element.querySelector("button.citation use").getAttribute("href").split("#")[1];
        }"""
    )
    assert sign == "text-quote"
