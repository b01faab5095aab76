"""Recovery of servers under a supervisor: ``make league-recovery`` writes docs/league-recovery.md and .json.

Each server runs the same chat application (`tests/fixtures/foreign`), which forwards to the scripted gateway, under
another supervisor. Our own proxy is measured in the same run.
"""
