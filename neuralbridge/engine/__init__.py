"""The model on its own thread: continuous batching over llama.cpp. Knows no chat roles, HTTP or SQL."""
