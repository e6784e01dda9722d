"""metarl: a command-line laboratory for gradient-based meta-reinforcement learning."""

__version__ = "0.1.0"
