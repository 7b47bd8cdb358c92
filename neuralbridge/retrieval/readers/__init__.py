"""Documents of many formats, each read into an `Extract`. Runs in a child process only (`child.py`)."""
