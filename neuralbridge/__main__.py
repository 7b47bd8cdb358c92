"""`python -m neuralbridge` is `neuralbridge`."""

from neuralbridge.cli import main

if __name__ == "__main__":
    main()
