"""POST /v1/embeddings."""

import base64

from aiohttp import web

from neuralbridge.errors import InvalidParams
from neuralbridge.protocol.openai import MAX_INPUTS, EmbeddingsRequest
from neuralbridge.protocol.openai_replies import Embedding, Embeddings, EmbeddingUsage
from neuralbridge.retrieval.arrays import Matrix
from neuralbridge.web.keys import SERVICES
from neuralbridge.web.v1.doors import asked, model_headers, told


async def embeddings(request: web.Request) -> web.Response:
    wanted, headers = await asked(request, EmbeddingsRequest)
    services = request.app[SERVICES]
    target = services.names.resolve(wanted.model, kind="embedding")
    texts = [wanted.input] if isinstance(wanted.input, str) else wanted.input
    if not 1 <= len(texts) <= MAX_INPUTS or not all(texts):
        raise InvalidParams(
            f"input must be a text that is not empty, or a list of 1 to {MAX_INPUTS:,} of these.", "input"
        )
    embedded = await services.library.embed(texts)
    if wanted.dimensions is not None and wanted.dimensions > embedded.dimensions:
        raise InvalidParams(f"dimensions must be a whole number from 1 to {embedded.dimensions}.", "dimensions")
    vectors = embedded.shortened(wanted.dimensions or embedded.dimensions)
    if embedded.cut:
        cut = ", ".join(map(str, embedded.cut[:20]))
        headers["Warning"] = f'299 - "only the first {embedded.limit} tokens were read of input {cut}"'
    data = [
        Embedding(index=index, embedding=as_wanted(vector, wanted.encoding_format))
        for index, vector in enumerate(vectors)
    ]
    usage = EmbeddingUsage(prompt_tokens=embedded.tokens, total_tokens=embedded.tokens)
    answer = Embeddings(data=data, model=target.echo, usage=usage)
    return told(answer, headers={**headers, **model_headers(target, embedded.model)})


def as_wanted(vector: Matrix, encoding: str) -> list[float] | str:
    if encoding == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
    return [float(value) for value in vector]
