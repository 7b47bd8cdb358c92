"""What axe-core finds on a page: the parts that somebody could not use."""

from pathlib import Path
from typing import Any

from playwright.async_api import Page

AXE = Path(__file__).parent.parent.parent / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")
RUN = """
    async (within) => {
        const { violations } = await axe.run(document.querySelector(within), { resultTypes: ["violations"] });
        const places = (nodes) => nodes.map(({ target }) => target.join(" "));
        return violations.map(({ id, impact, nodes }) => ({ id, impact, at: places(nodes) }));
    }
"""


async def serious_findings(page: Page, within: str = "html") -> list[dict[str, Any]]:
    """The page's policy lets no foreign script in; what the debugger evaluates is not in its power."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text(encoding="utf-8"))
    return [found for found in await page.evaluate(RUN, within) if found["impact"] in SERIOUS]
