"""What is done with the trainer and the estimators: runs, evaluation, and the comparisons with exact answers."""
