"""The report: how each check ended, and one page that a person reviews."""

pytest_plugins = [
    f"lumen_conformance.report.{module}"
    for module in (
        "output_paths",
        "baseline",
        "selection",
        "id_selection",
        "shards",
        "entries",
        "report_redaction",
        "crashes",
        "results",
        "run_result",
        "verdict_records",
        "summary",
        "baseline_writer",
        "counts",
        "announcement",
        "terminal",
        "page",
        "run_record",
        "replay",
    )
]
