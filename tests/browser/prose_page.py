# ruff: noqa: E501 - texts are given as they come
"""A page with nothing but one element for prose, served from static/ with the policy of threats.md, or without one."""

from aiohttp import web

from neuralbridge.web.assets import Assets
from tests.browser.conftest import ROOT

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; worker-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types nb dompurify"
)
DOT = bytes.fromhex("47494638396101000100000000002c00000000010001000002003b")
STYLES = "".join(
    f'<link rel="stylesheet" href="/static/css/{name}.css">' for name in ("tokens", "layout", "parts", "prose")
)
PAGE = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Prose</title>
<link rel="icon" href="data:,">{STYLES}<script type="module" src="/kit.js"></script></head>
<body><main><h1>Answers</h1><h2>An answer</h2><h3>Its text</h3><div id="prose" class="prose"></div></main></body></html>"""

# What tests use in the page. `grown` shows a text as it comes, cut at random places that `seed` decides.
KIT = """
import { Prose } from "/static/js/text/prose.js";
import { mark, unmark } from "/static/js/text/marks.js";
import { copyText } from "/static/js/text/copy.js";
import { fragment, policy } from "/static/js/text/sanitise.js";

const words = { copyCode: "Copy", copied: "Copied", code: "Code", table: "Table", imageNotLoaded: "image not loaded" };
const frame = () => new Promise(requestAnimationFrame);
const fresh = () => {
  const element = document.createElement("div");
  element.className = "prose";
  document.querySelector("#prose").replaceChildren(element);
  return element;
};
const show = async (text, element = fresh()) => {
  const prose = new Prose(element, { words });
  prose.show(text, { live: false });
  await prose.finished();
  return element;
};
const grown = async (text, seed, largest = 60, element = fresh()) => {
  const prose = new Prose(element, { words });
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let end = 0; end < text.length; ) {
    end += 1 + Math.floor(random() * largest);
    prose.show(text.slice(0, end), { live: true });
    if (random() < 0.7) await frame();
  }
  prose.show(text, { live: false });
  await prose.finished();
  return element;
};
window.ran = [];
window.hacked = (...what) => window.ran.push(what);
window.kit = { Prose, mark, unmark, copyText, fragment, policy, words, frame, fresh, show, grown };
document.documentElement.dataset.ready = "";
"""


def prose_app() -> web.Application:
    async def strict(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html", headers={"Content-Security-Policy": POLICY})

    async def loose(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def kit(_: web.Request) -> web.Response:
        return web.Response(text=KIT, content_type="text/javascript")

    async def dot(_: web.Request) -> web.Response:
        return web.Response(body=DOT, content_type="image/gif")

    app = web.Application()
    app.add_routes([web.get("/", strict), web.get("/loose", loose), web.get("/kit.js", kit), web.get("/dot.gif", dot)])
    assets = Assets(ROOT / "static")  # as the server does: no file stays open when a page is left

    async def static(request: web.Request) -> web.StreamResponse:
        return await assets.answer(request, request.match_info["name"])

    app.router.add_get("/static/{name:.+}", static)
    return app
