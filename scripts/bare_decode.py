"""The upper bound for one client: a bare `llama_decode` loop over the same prompts, without a server.

bare_decode.py MODEL.gguf THREADS REQUESTS MAX_TOKENS prints {"tok_s": ...}: tokens chosen per second of wall time,
prompts included, which is how load.py counts.
"""

import json
import secrets
import sys
import time

import llama_cpp as llama

path, threads, requests, max_tokens = sys.argv[1], *map(int, sys.argv[2:5])


@llama.llama_log_callback
def silent(level: int, text: bytes, user_data: object) -> None:
    """llama.cpp's load messages are of no interest here."""


llama.llama_log_set(silent, None)
llama.llama_backend_init()
model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
vocab = llama.llama_model_get_vocab(model)
parameters = llama.llama_context_default_params()
parameters.n_ctx, parameters.n_batch, parameters.n_ubatch, parameters.n_seq_max = 8192, 512, 512, 16
parameters.kv_unified = True
parameters.n_threads = parameters.n_threads_batch = threads
context = llama.llama_init_from_model(model, parameters)
batch = llama.llama_batch_init(512, 0, 1)


def tokens_of(text: str) -> list[int]:
    raw = text.encode()
    room = (llama.llama_token * (len(raw) + 8))()
    return room[: llama.llama_tokenize(vocab, raw, len(raw), room, len(raw) + 8, False, True)]


def decode(tokens: list[int], position: int) -> None:
    batch.n_tokens = len(tokens)
    for at, token in enumerate(tokens):
        batch.token[at], batch.pos[at], batch.n_seq_id[at] = token, position + at, 1
        batch.seq_id[at][0], batch.logits[at] = 0, at == len(tokens) - 1
    if llama.llama_decode(context, batch) != 0:
        sys.exit("llama_decode failed")


def sampler() -> object:
    chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
    llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_top_k(40))
    llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_top_p(0.95, 1))
    llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_min_p(0.05, 1))
    llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_temp(0.7))
    llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_dist(1))
    return chain


def answer() -> int:
    # As long as load.py's prompts, and like them never twice the same from its first token
    text = f"[{secrets.token_hex(5)}] Explain how bread rises in detail, with many examples."
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    tokens = tokens_of(f"{system}<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n")
    llama.llama_memory_clear(llama.llama_get_memory(context), False)
    chain, chosen = sampler(), 0
    decode(tokens, 0)
    while True:
        token = llama.llama_sampler_sample(chain, context, -1)
        chosen += 1
        if chosen >= max_tokens or llama.llama_vocab_is_eog(vocab, token):
            return chosen
        decode([token], len(tokens) + chosen - 1)


answer()
started = time.perf_counter()
total = sum(answer() for _ in range(requests))
print(json.dumps({"tok_s": total / (time.perf_counter() - started), "tokens": total}))
