"""The pytest plugin of the suite: options, markers, fixtures and hooks.

The modules of this package implement each hook of pytest once. A hook calls functions of other modules, in the order
in which they depend on each other.
"""

pytest_plugins = [
    # Modules with fixtures. pytest rewrites their assertions only if no module before them imports them.
    "lumen_conformance.registry",
    "lumen_conformance.registry.declaration",
    "lumen_conformance.registry.measurement",
    "lumen_conformance.run",
    "lumen_conformance.targets.target",
    "lumen_conformance.targets.launch",
    "lumen_conformance.processes.squatters",
    "lumen_conformance.gateway.server",
    # Modules with hooks.
    "lumen_conformance.plugin.configuration",
    "lumen_conformance.plugin.collection",
    "lumen_conformance.plugin.execution",
    "lumen_conformance.plugin.session",
]
