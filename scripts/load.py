#!/usr/bin/env python3
"""Closed-loop load on a streaming chat server: time to first token, tokens per second, fairness.

  load.py openai  http://127.0.0.1:8080  --model gpt-4 -c 8 -n 32 --max-tokens 128
  load.py phoenix ws://127.0.0.1:4000/socket --model gpt-4 -c 8 -n 32 --max-tokens 128

Each of the c workers sends its share of n requests one after another. Loopback only.
"""

import argparse, asyncio, json, random, time
from urllib.parse import urlparse
import aiohttp

TOPICS = [
    "hash tables",
    "the water cycle",
    "photosynthesis",
    "binary search",
    "plate tectonics",
    "compound interest",
    "the French revolution",
    "how bread rises",
    "TCP congestion control",
    "the moons of Jupiter",
    "vaccines",
    "how a bicycle stays upright",
    "public key cryptography",
    "glaciers",
    "the Roman senate",
    "sourdough starters",
]


def prompt(i, words):
    base = f"[{random.getrandbits(40):010x}] Explain {TOPICS[i % len(TOPICS)]} in detail, with many examples."  # no prompt twice, from its first token
    return base + (" Background:" + " lorem ipsum dolor sit amet" * (words // 5) if words else "")


async def openai(session, url, model, text, max_tokens, temperature):
    body = {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": max_tokens,
        "temperature": temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    t0 = time.perf_counter()
    stamps = []
    n = 0
    async with session.post(url.rstrip("/") + "/v1/chat/completions", json=body) as r:
        r.raise_for_status()
        async for line in r.content:
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                break
            d = json.loads(data)
            n = (d.get("usage") or {}).get("completion_tokens", n)
            if d.get("choices") and d["choices"][0].get("delta", {}).get("content"):
                stamps.append(time.perf_counter())
    return t0, stamps, n or len(stamps)


async def phoenix(session, url, model, text, max_tokens, temperature, sid):
    async with session.ws_connect(url.rstrip("/") + "/websocket?vsn=2.0.0&user_id=load", max_msg_size=0) as ws:
        topic = f"proxy:load_{sid}"
        await ws.send_json(["1", "1", topic, "phx_join", {"user_id": "load"}])
        t0 = None
        stamps = []
        n = 0
        async for m in ws:
            join_ref, ref, tp, ev, payload = json.loads(m.data)
            if ev == "phx_reply" and ref == "1":
                assert payload["status"] == "ok", payload
                t0 = time.perf_counter()
                await ws.send_json(
                    [
                        "1",
                        "2",
                        topic,
                        "stream_query",
                        {
                            "query": text,
                            "model": model,
                            "retrieval": "off",
                            "cache": False,
                            "temperature": temperature,
                            "max_tokens": max_tokens,
                        },
                    ]
                )
            elif ev == "stream_token":
                stamps.append(time.perf_counter())
            elif ev == "stream_complete":
                n = ((payload.get("metadata") or {}).get("tokens") or {}).get("completion", 0)
                break
            elif ev in ("stream_error", "error", "phx_error"):
                raise RuntimeError((ev, payload))
        return t0, stamps, n or len(stamps)


async def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("kind", choices=["openai", "phoenix"])
    ap.add_argument("url")
    ap.add_argument("--model", default="gpt-4")
    ap.add_argument("-c", type=int, default=1)
    ap.add_argument("-n", type=int, default=8)
    ap.add_argument("--max-tokens", type=int, default=128)
    ap.add_argument("--temperature", type=float, default=0.7)
    ap.add_argument("--words", type=int, default=0)
    ap.add_argument("--json", action="store_true")
    a = ap.parse_args()
    assert urlparse(a.url).hostname in ("127.0.0.1", "localhost", "::1"), "loopback only"
    out, errors = [], []
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=600), connector=aiohttp.TCPConnector(limit=0, force_close=True)
    ) as s:

        async def worker(k):
            for i in range(k, a.n, a.c):
                try:
                    if a.kind == "openai":
                        out.append(await openai(s, a.url, a.model, prompt(i, a.words), a.max_tokens, a.temperature))
                    else:
                        out.append(
                            await phoenix(
                                s,
                                a.url,
                                a.model,
                                prompt(i, a.words),
                                a.max_tokens,
                                a.temperature,
                                f"{k}_{i}_{time.time_ns()}",
                            )
                        )
                except Exception as e:
                    errors.append(repr(e))

        t = time.perf_counter()
        await asyncio.gather(*(worker(k) for k in range(a.c)))
        wall = time.perf_counter() - t
    ok = [(t0, x) for t0, x, _ in out if x]
    toks = sum(n for _, x, n in out if x)  # as the server reports them; events where it does not
    ttft = sorted(x[0] - t0 for t0, x in ok)
    gaps = sorted(b - a_ for _, x in ok for a_, b in zip(x, x[1:]))
    q = lambda v, p: v[min(len(v) - 1, int(p * len(v)))] * 1e3 if v else float("nan")
    r = dict(
        kind=a.kind,
        c=a.c,
        n=len(ok),
        errors=len(errors),
        empty=len(out) - len(ok),
        tokens=toks,
        wall_s=round(wall, 2),
        tok_s=round(toks / wall, 1),
        ttft_ms_p50=round(q(ttft, 0.5), 1),
        ttft_ms_p99=round(q(ttft, 0.99), 1),
        gap_ms_p50=round(q(gaps, 0.5), 1),
        gap_ms_p99=round(q(gaps, 0.99), 1),
    )
    print(json.dumps(r) if a.json else "  ".join(f"{k}={v}" for k, v in r.items()))
    if errors:
        print("first error:", errors[0][:300])


asyncio.run(main())
