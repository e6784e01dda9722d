"""The papers' figures and tables: what each shows of the results, how it is drawn, compared and traced back."""
