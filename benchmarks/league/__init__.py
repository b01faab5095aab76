"""Other servers, judged by the contract: ``make league`` writes docs/league.md and docs/league-failures.md.

Each server gets an environment of its own (``.venv-league-…``), is launched by ``--proxy-command`` against the scripted
gateway, which speaks OpenAI's own words, and is asked the whole contract. Setting up needs the package indexes of
Python and Node; the runs themselves stay on this machine.
"""
