"""The report of a run: an HTML page, verdicts, a summary, sections of the terminal, a baseline."""
