"""The entry point of `lumen-proxy` and `python -m lumen_proxy`."""

from lumen_proxy import safe_path

safe_path.leave_current_folder()  # before the next import, which would search it first

import sys  # noqa: E402
import warnings  # noqa: E402

if not sys.warnoptions:  # warnings of packages are for developers
    warnings.simplefilter("ignore")

from lumen_proxy.cli.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
