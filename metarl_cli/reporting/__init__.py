"""From CSV to figure: statistics, plots, claims."""
