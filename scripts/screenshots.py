"""Takes the pictures of the README: the real server with the default model, sample documents, and Chromium.

`scripts/screenshots` runs it. The pictures go to docs/screens.
"""

import asyncio
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import yaml
from playwright.async_api import Browser, Page, async_playwright

ROOT = Path(__file__).resolve().parent.parent
SCREENS = ROOT / "docs" / "screens"
SAMPLES = ROOT / "scripts" / "sample_documents"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 780}
EARLIER = ["Why is drinking water important?", "What is photosynthesis?", "What does a compiler do?"]
OF_DOCUMENTS = "When is the boiler serviced?"
LISTENING = re.compile(r"listening on (http://\S+)")


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    """The server on a folder of its own, with the shipped configuration but for the temperature."""
    settings = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))
    for model in settings["models"].values():
        model["path"] = str(ROOT / model["path"])
        model["params"]["temperature"] = 0  # the same pictures each time
    settings["documents"]["embedder"] = str(ROOT / settings["documents"]["embedder"])
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(settings), "utf-8")
    command = [sys.executable, "-m", "neuralbridge", "serve", "--port", "0", "--config", str(config)]
    process = await asyncio.create_subprocess_exec(
        *command, "--data-dir", str(folder / "data"), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            if found := LISTENING.search(line.decode()):
                yield found[1]
                break
    finally:
        process.terminate()
        await process.communicate()


async def prepare(url: str) -> None:
    """Documents in the library, and conversations of before."""
    async with aiohttp.ClientSession(url, raise_for_status=True) as http:
        for path in sorted(SAMPLES.iterdir()):
            body = {"content": path.read_text("utf-8"), "source_document": path.name}
            await http.post("/api/knowledge/ingest", json=body)
        for number, question in enumerate(EARLIER):
            body = {"query": question, "session_id": f"earlier-{number}", "max_tokens": 60, "retrieval": "off"}
            await http.post("/api/proxy/query", json=body)


@asynccontextmanager
async def opened(browser: Browser, url: str, size: dict[str, int], scheme: str = "light") -> AsyncIterator[Page]:
    touch = size is PHONE
    context = await browser.new_context(
        viewport=size, device_scale_factor=2, locale="en-GB", color_scheme=scheme, has_touch=touch, is_mobile=touch
    )
    page = await context.new_page()
    await page.goto(url)
    await page.locator("#connection[data-is=connected]").wait_for(state="attached")
    yield page
    await context.close()


async def ask(page: Page, question: str) -> None:
    await page.fill("#query", question)
    await page.press("#query", "Enter")
    await page.locator(".turn[data-last]").get_by_text(question).wait_for()
    await page.locator(".turn[data-last][data-status=complete]").wait_for()
    await page.mouse.move(0, 0)


async def take(page: Page, name: str) -> None:
    await page.wait_for_load_state("networkidle")  # icons come when they are first shown
    await page.evaluate("Promise.all(document.getAnimations().map((animation) => animation.finished))")
    await page.screenshot(path=SCREENS / f"{name}.png")
    print(SCREENS / f"{name}.png")


async def main() -> None:
    SCREENS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder)) as url, async_playwright() as playwright:
            await prepare(url)
            browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            async with opened(browser, url, DESKTOP) as page:
                await take(page, "first-visit")
                await ask(page, OF_DOCUMENTS)
                await page.locator(".citation").first.wait_for()
                conversation = page.url
                await take(page, "light")
                await page.locator(".citation").last.click()
                await page.locator("#evidence mark").first.wait_for()
                await take(page, "sources")
                await page.goto(f"{url}/#/documents")
                await page.get_by_text("Lending agreement").first.wait_for()
                await take(page, "documents")
            async with opened(browser, conversation, DESKTOP, "dark") as page:
                await page.locator(".citation").first.wait_for()
                await take(page, "dark")
            async with opened(browser, conversation, PHONE) as page:
                await page.locator(".citation").first.wait_for()
                await take(page, "phone")
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
