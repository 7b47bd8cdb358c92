"""What scripts/bench --page runs: how fast the page is there, what it weighs, and what streaming and scrolling cost it.

In Chromium on this machine, beside a server with a scripted model. Written between marks of its own in
docs/benchmarks.md.
"""

import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from measure import ROOT, Row, options_of, tell, written
from playwright.async_api import Browser, Page, async_playwright

from neuralbridge.database import Database
from neuralbridge.store.conversations import Conversation, Conversations

MARKS = ("<!-- page: begin -->", "<!-- page: end -->")
CHROMIUM = shutil.which("chromium") or sys.exit("Chromium is missing; on Debian: sudo apt-get install -y chromium")
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
VIEWPORT = {"width": 1440, "height": 900}
TURNS = 2_500  # of the long conversation: 5,000 messages
WHEEL_PX, WHEEL_MS = 900, 50
WITH_EVERYTHING = "Formula $x^2$ and code:\n\n```python\nprint(1)\n```\n"
OBSERVE = """
    window.tasks = [];
    new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map(({ duration }) => duration)))
        .observe({ type: "longtask", buffered: true });
"""


@contextmanager
def served(data: Path) -> Iterator[str]:
    """The server with the scripted model, on a folder of its own."""
    command = [sys.executable, str(ROOT / "scripts" / "scripted_server.py"), str(data)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


async def fill(data: Path) -> None:
    """A conversation of 5,000 messages, and one answer with everything that is loaded late."""
    database = Database(data / "neuralbridge.db")
    await database.start()
    store = Conversations(database)
    for number in range(TURNS):
        text = f"Answer **{number}**: a paragraph of some length, with `code`, and a list.\n\n- one\n- two\n\n" * (
            1 + number % 4
        )
        turn = await store.begin(Conversation("local", "long"), f"Question {number}?", {}, {})
        await store.finish(turn, text, "complete", {})
    turn = await store.begin(Conversation("local", "everything"), "All?", {}, {})
    await store.finish(turn, WITH_EVERYTHING, "complete", {})
    await database.stop()


@asynccontextmanager
async def opened(browser: Browser, address: str) -> AsyncIterator[Page]:
    """The page in a browser that has never seen it."""
    context = await browser.new_context(viewport=VIEWPORT, locale="en-GB", service_workers="block")
    await context.add_init_script(OBSERVE)
    page = await context.new_page()
    await page.goto(address)
    await page.locator("#connection[data-is=connected]").wait_for(state="attached")
    yield page
    await context.close()


async def first_visit(browser: Browser, url: str) -> tuple[float, float]:
    """First paint, and when a question can be asked, in ms after the navigation began."""
    async with opened(browser, url) as page:
        return await page.evaluate(
            """async () => {
                const [paint] = performance.getEntriesByName("first-contentful-paint");
                return [paint.startTime, performance.getEntriesByName("interactive")[0].startTime];
            }"""
        )


async def weight(browser: Browser, url: str) -> tuple[float, float]:
    """kB over the wire of a first visit, and with all that code and formulas load besides."""
    sum_up = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .filter(({ name }) => !name.includes("/api/"))
        .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0) / 1000"""
    async with opened(browser, url) as page:
        first = await page.evaluate(sum_up)
    async with opened(browser, f"{url}/#/c/everything") as page:
        await page.locator(".answer math").wait_for()
        await page.locator(".answer .hljs-built_in").wait_for()
        return first, await page.evaluate(sum_up)


async def busy_seconds(session: Any) -> float:
    """How long the page's main thread has been at work."""
    metrics = await session.send("Performance.getMetrics")
    return next(each["value"] for each in metrics["metrics"] if each["name"] == "TaskDuration")


async def streaming(browser: Browser, url: str) -> tuple[float, float]:
    """The longest task in ms, and the main thread's share, while 10,000 tokens come at 100 a second."""
    async with opened(browser, url) as page:
        session = await page.context.new_cdp_session(page)
        await session.send("Performance.enable")
        await page.evaluate("window.tasks.length = 0")
        loop = asyncio.get_running_loop()
        began, busy = loop.time(), await busy_seconds(session)
        await page.fill("#query", "Say all of it")
        await page.press("#query", "Enter")
        await page.locator(".turn[data-status=complete]").wait_for(timeout=300_000)
        share = (await busy_seconds(session) - busy) / (loop.time() - began)
        await page.wait_for_timeout(2_000)  # the end is drawn in slices
        return max(await page.evaluate("window.tasks"), default=0.0), 100 * share


async def scrolling(browser: Browser, url: str) -> tuple[float, int]:
    """The longest task in ms while 5,000 messages are scrolled to the beginning and back to the end; messages seen."""
    async with opened(browser, f"{url}/#/c/long") as page:
        await page.locator(".turn").first.wait_for()
        await page.mouse.move(700, 400)
        await page.evaluate("window.tasks.length = 0")
        whole = f"document.querySelectorAll('.turn').length === {TURNS}"
        for direction in (-1, 1):
            at_end = f"""{whole} && ({direction} < 0 ? document.querySelector('#reading').scrollTop === 0 :
                (({{ scrollTop, scrollHeight, clientHeight }}) => scrollTop + clientHeight > scrollHeight - 50)
                (document.querySelector('#reading')))"""
            while not await page.evaluate(at_end):
                await page.mouse.wheel(0, direction * WHEEL_PX)
                await page.wait_for_timeout(WHEEL_MS)
        return max(await page.evaluate("window.tasks"), default=0.0), 2 * await page.locator(".turn").count()


async def measure(rounds: int) -> list[Row]:
    paints, ready, longest, shares, scrolled = [], [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        await fill(data)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            with served(data) as url:
                await first_visit(browser, url)  # the server reads and compresses its files once
                for _ in range(3 * rounds):
                    paint, interactive = await first_visit(browser, url)
                    paints.append(paint)
                    ready.append(interactive)
                first, whole = await weight(browser, url)
                for number in range(rounds):
                    task, share = await streaming(browser, url)
                    longest.append(task)
                    shares.append(share)
                    task, messages = await scrolling(browser, url)
                    assert messages == 2 * TURNS
                    scrolled.append(task)
                    print(f"round {number + 1} of {rounds}", flush=True)
            await browser.close()
    return [
        Row("first paint, loopback, nothing cached", "< 300 ms", paints, " ms"),
        Row("a question can be asked, loopback, nothing cached", "< 800 ms", ready, " ms"),
        Row("weight of a first visit, compressed", "", [first], " kB"),
        Row("... with highlighter and maths, which come when first needed", "< 400 kB", [whole], " kB"),
        Row("10,000 tokens at 100 a second: longest task (0: none over 50 ms)", "<= 50 ms", longest, " ms"),
        Row("... share of the main thread", "< 25 %", shares, " %"),
        Row("5,000 messages scrolled up and down: longest task (0: none over 50 ms)", "<= 50 ms", scrolled, " ms"),
    ]


def main() -> None:
    options = options_of(__doc__, rounds=3)
    report = asyncio.run(measure(options.rounds))
    chromium = subprocess.run([CHROMIUM, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    text = written(report, options.rounds, MARKS, f"Chromium {chromium}, headless")
    tell(text, MARKS, lasting=not options.quick)


if __name__ == "__main__":
    main()
