"""llama.cpp's own server as the peer: peer_llama_server.py SLOTS PORT MODEL.gguf [CTX_PER_SLOT]  (pip install xllamacpp)"""

import sys, time
import xllamacpp as x

slots, port, model = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
ctx = int(sys.argv[4]) if len(sys.argv) > 4 else 1024
p = x.CommonParams()
p.model.path = model
p.n_parallel, p.n_ctx, p.port, p.hostnames = slots, ctx * slots, port, ["127.0.0.1"]
p.cpuparams.n_threads = 2
server = x.Server(p)
print(server.listening_address, flush=True)
time.sleep(3600)
