"""The whole page under axe-core: first visit, a conversation with everything in it, editing, and the model's panel."""

from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.axe import serious_findings
from tests.browser.conftest import ScriptedServer, Visits
from tests.browser.test_page_details import PHONE

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

EVERYTHING = """## A heading

Words with **weight**, `code`, [a link](https://example.org/) and $x^2$.

```python
def answer(question: str) -> str:
    return f"You asked: {question}"  # 42
```

| name | size |
|---|---:|
| one | 98 MB |

> Quoted.

- [x] done
- [ ] not yet
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "pt-BR"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
async def test_nothing_serious_is_found(
    visit: Visits, scripted: ScriptedServer, scheme: Any, locale: str, device: dict[str, Any]
) -> None:
    scripted.runner.reply = lambda question: EVERYTHING
    page = await visit(scripted.url, locale=locale, color_scheme=scheme, reduced_motion="reduce", **device)
    await page.open()
    found = await serious_findings(page.page)
    for question in ["one", "two"]:
        await page.ask(question)
        await page.sees("complete")
    await expect(page.turn().locator(".hljs-keyword").first).to_be_visible()
    await page.turn().locator(".confidence").click()
    found += await serious_findings(page.page)
    await page.turn().locator("[data-act=edit]").click()
    found += await serious_findings(page.page)
    await page.page.keyboard.press("Escape")
    await page.page.click("#model")
    found += await serious_findings(page.page)
    assert found == []


async def test_the_whole_of_a_visit_can_be_done_by_keyboard(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.page.keyboard.type("by keyboard")
    await page.page.keyboard.press("Enter")
    await page.sees("complete")
    await page.turn().locator(".confidence").focus()
    await page.page.keyboard.press("Enter")
    await expect(page.turn().locator(".reasons li").first).to_be_visible()
    await page.page.keyboard.press("Tab")
    copy = page.turn().get_by_role("button", name="Copy the answer")
    await expect(copy).to_be_focused()
    await expect(copy).to_have_css("opacity", "1")
    assert await copy.evaluate("(button) => getComputedStyle(button).outlineStyle") == "solid"


async def test_a_button_without_a_name_would_be_found(visit: Visits, scripted: ScriptedServer) -> None:
    page = await visit(scripted.url)
    await page.open()
    await page.page.evaluate("document.querySelector('#send').replaceChildren()")
    assert [found["id"] for found in await serious_findings(page.page)] == ["button-name"]
