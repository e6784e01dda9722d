"""The figures of the papers from nothing: what they need, what it costs, and how it compares with what is published."""
