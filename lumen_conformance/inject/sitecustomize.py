"""Python imports this module at the start of every child process: it installs the guard, mutation and conditions."""

import os
import sys

import lumen_guard

lumen_guard.install()

if os.environ.get("E2E_LUMEN_MUTATION"):
    import lumen_mutation

    lumen_mutation.install()

if os.environ.get("E2E_LUMEN_CONDITIONS"):
    import lumen_conditions

    lumen_conditions.install()


def _run_next() -> None:
    """Run the next module sitecustomize on the path, which this one hides."""
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 -- pathlib costs 10 ms in each child
    others = [entry for entry in sys.path if os.path.abspath(entry) != here]  # noqa: PTH100
    for finder in sys.meta_path:
        spec = finder.find_spec("sitecustomize", others)
        if spec is not None and spec.loader is not None:
            module = type(sys)("sitecustomize")
            module.__spec__, module.__file__ = spec, spec.origin
            spec.loader.exec_module(module)
            return


_run_next()
