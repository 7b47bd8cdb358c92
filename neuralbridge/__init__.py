"""NeuralBridge: an offline assistant on a Phoenix channel. See ARCHITECTURE.md for the path of one message."""

__version__ = "0.1.0"
