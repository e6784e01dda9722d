"""The algorithm box, one noun per file: policies, rollouts, returns, baselines, adaptation, objectives, optimisers."""
