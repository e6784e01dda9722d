"""Answers without Monte-Carlo error on small MDPs: what the estimators estimate, and how far from it they are."""
