"""Takes docs/page.png: a question answered on the page, by the server at the URL given."""

import asyncio
import shutil
import sys
from pathlib import Path

from playwright.async_api import async_playwright

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "page.png"
QUESTION = "How many days are in a week?"


async def take(url: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1100, "height": 720}, device_scale_factor=2, locale="en")
        await page.goto(url)
        await page.locator("#connection[data-is=connected]").wait_for()
        await page.fill("#query", QUESTION)
        await page.press("#query", "Enter")
        await page.locator('.turn[data-status="complete"]').wait_for()
        await page.screenshot(path=PICTURE)
        await browser.close()


asyncio.run(take(sys.argv[1]))
