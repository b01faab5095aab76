"""Write the tables of settings: `make docs`. With `--check`, write nothing and fail if a table differs.

Names, values, defaults and English meanings come from `lumen_proxy.config`, Korean texts from `settings.ko.toml`.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lumen_proxy.config import BY_VARIABLE, SETTINGS, Setting, parsers, to_text

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- settings: begin (written by `make docs`) -->", "<!-- settings: end -->"
ENGLISH = {
    "texts": {
        "none": "none",
        "chosen": "the platform's own place",
        "between": "{kind} between {low} and {high}",
        "at_least": "{kind} of at least {low}",
    },
    "kinds": parsers.KINDS,
    "meanings": {setting.variable: setting.meaning for setting in SETTINGS},
}
HEADS = {
    "en": "| variable | option | default | accepts | meaning |",
    "ko": "| 변수 | 옵션 | 기본값 | 허용하는 값 | 뜻 |",
}
Texts = dict[str, dict[str, str]]


def row(setting: Setting, texts: Texts) -> str:
    """One row of a guide."""
    none = texts["texts"]["none"]
    option = none if setting.secret else f"`--{setting.field.replace('_', '-')}`"
    cells = (f"`{setting.variable}`", option, default(setting, texts), accepted(setting.parse, texts))
    return f"| {' | '.join(cells)} | {texts['meanings'][setting.variable]} |"


def default(setting: Setting, texts: Texts) -> str:
    """The default as a user types it, or a text."""
    if callable(setting.default):
        return texts["texts"]["chosen"]
    return texts["texts"]["none"] if setting.default in (None, ()) else f"`{to_text(setting.default)}`"


def accepted(parse: parsers.SettingParser[Any], texts: Texts) -> str:
    """What a setting accepts."""
    if parse.choices:
        return ", ".join(f"`{word}`" for word in parse.choices)
    kind = texts["kinds"][parse.kind]
    if parse.low is None:
        return kind
    bounds = texts["texts"]["at_least" if parse.high is None else "between"]
    return bounds.format(kind=kind, low=f"{parse.low:g}", high=f"{parse.high or 0:g}")


def guide(text: str, language: str, texts: Texts) -> str:
    """The guide with its table."""
    head, rest = text.split(BEGIN)
    table = [HEADS[language], "|---|---|---|---|---|", *(row(setting, texts) for setting in SETTINGS)]
    return "\n".join([f"{head}{BEGIN}", *table, f"{END}{rest.split(END)[1]}"])


def behaviour(text: str) -> str:
    """The page with the present meanings; people write its other columns."""

    def with_meaning(found: re.Match[str]) -> str:
        return f"| `{found[1]}` | {BY_VARIABLE[found[1]].meaning} |" if found[1] in BY_VARIABLE else found[0]

    head, mark, rest = text.partition("\n## Variables")
    return head + mark + re.sub(r"^\| `([A-Z_]+)` \| [^|]* \|", with_meaning, rest, flags=re.MULTILINE)


def main() -> int:
    """Write or check; 1 if a table differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a table differs")
    parser.add_argument("--root", type=Path, default=HERE.parent, help="the folder of the documents")
    args = parser.parse_args()
    korean = tomllib.loads((HERE / "settings.ko.toml").read_text("utf-8"))
    pages: dict[str, Callable[[str], str]] = {
        "QUICKSTART.md": lambda text: guide(text, "en", ENGLISH),
        "QUICKSTART.ko.md": lambda text: guide(text, "ko", korean),
        "docs/behaviour.md": behaviour,
    }
    differ = [name for name, page in pages.items() if not write(args.root / name, page, check=args.check)]
    for name in differ:
        print(f"{name} differs from the program's settings; run: make docs", file=sys.stderr)  # noqa: T201 - a script
    return int(bool(differ))


def write(path: Path, page: Callable[[str], str], *, check: bool) -> bool:
    """True unless a check finds a difference."""
    before = path.read_text("utf-8")
    after = page(before)
    if before != after and not check:
        path.write_text(after, "utf-8")
    return before == after or not check


if __name__ == "__main__":
    sys.exit(main())
