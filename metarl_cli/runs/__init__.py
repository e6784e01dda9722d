"""A training run in its directory: begun, continued, finished, tested."""
