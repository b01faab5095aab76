"""The pytest plugin of the suite: options, markers, fixtures, hooks. A module stands before those that import it."""

pytest_plugins = [
    "lumen_conformance.registry",
    "lumen_conformance.run",
    "lumen_conformance.report",
    "lumen_conformance.isolation",
    "lumen_conformance.targets.target",
    "lumen_conformance.targets.environment",
    "lumen_conformance.targets.readiness",
    "lumen_conformance.processes.reaper",
    "lumen_conformance.processes.leak_audit",
    "lumen_conformance.processes.external_connections",
    "lumen_conformance.targets.launch",
    "lumen_conformance.processes.squatters",
    "lumen_conformance.gateway.server",
]
