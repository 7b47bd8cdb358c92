"""Whole visits over a real socket, with a scripted model."""

from tests.conftest import Served

TOPIC = "proxy:s"


async def test_a_streamed_answer_is_its_tokens_put_together(served: Served) -> None:
    async with served.client() as client:
        await client.join(TOPIC)
        await client.push(TOPIC, "stream_query", {"query": "olá?"})
        frames = await client.until("stream_complete")
    assert [frame[3] for frame in frames[:2]] == ["stream_start", "stream_token"]
    text = "".join(frame[4]["token"] for frame in frames[1:-1])
    assert text == frames[-1][4]["response"] == "You asked: olá?"
