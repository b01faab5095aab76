"""The report: how each check ended, and one page that a person reviews."""
