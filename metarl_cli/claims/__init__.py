"""The papers' claims and what results say of them: measures, statistics, verdicts, and the words for these."""
