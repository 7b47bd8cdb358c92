"""`neuralbridge search`: what a server finds, and what is said when nothing fits or nobody answers."""

import json

import pytest

from neuralbridge.commands.lookup import listed
from neuralbridge.protocol.knowledge import Results
from tests.commands.command import run, terminal
from tests.conftest import Served
from tests.web.test_documents_in_answers import BOAT, PUMP, asking


async def test_passages_stand_under_their_places_the_best_first(served: Served) -> None:
    async with asking(served, pump=PUMP, boat=BOAT):
        status, out, err = await run("search", "the XK-204 pump", "--url", served.url)
    assert (status, err) == (0, "")
    first, text, *_ = out.splitlines()
    assert first.startswith("1. pump.md (")
    assert text == f"    {PUMP}"


async def test_as_many_as_wanted_and_filters_are_the_searchs(served: Served) -> None:
    async with asking(served, pump=PUMP, boat=BOAT):
        _, out, _ = await run("search", "pump boat", "--limit", "1", "--json", "--url", served.url)
        assert len(json.loads(out)["results"]) == 1
        _, out, _ = await run("search", 'file:"boat" harbour', "--json", "--url", served.url)
        assert [result["source_document"] for result in json.loads(out)["results"]] == ["boat.md"]


async def test_where_nothing_fits_it_says_so_and_that_is_no_failure(served: Served) -> None:
    assert await run("search", "anything", "--url", served.url) == (0, "", "No passage fits.\n")
    assert await run("search", "anything", "--json", "--url", served.url) == (0, '{"results":[]}\n', "")


async def test_a_terminal_is_not_told_what_to_do_by_a_document(served: Served) -> None:
    async with asking(served, pump=f"{PUMP} \x9b31m red"), terminal("search", "pump", "--url", served.url) as shown:
        assert await shown.status() == 0
    assert "31m red" in shown.seen
    assert "\x9b" not in shown.seen


@pytest.mark.parametrize(("query", "said"), [("before:never pump", "before"), ("x" * 8_001, "8,000")])
async def test_what_cannot_be_looked_for_is_one_line(served: Served, query: str, said: str) -> None:
    status, out, err = await run("search", query, "--url", served.url)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert said in err


@pytest.mark.parametrize("limit", ["0", "101", "many"])
async def test_a_limit_out_of_range_is_wrong_usage(limit: str) -> None:
    status, _, err = await run("search", "pump", "--limit", limit)
    assert status == 2
    assert "--limit" in err


def test_place_and_text_of_a_passage_are_told_apart() -> None:
    result = {
        "document_id": "d",
        "source_document": "a.pdf",
        "text": "one\ntwo",
        "start": 0,
        "end": 7,
        "page": 3,
        "heading": "Rent > When",
        "score": 0.5,
        "ranks": {"vector": 1, "text": None},
    }
    found = Results.model_validate({"results": [result, {**result, "page": None, "heading": ""}]})
    assert [*listed(found, terminal=False)] == [
        "1. a.pdf, page 3, Rent > When (0.50)\n    one\n    two\n",
        "2. a.pdf (0.50)\n    one\n    two\n",
    ]
