"""Owns the command line: `python3 -m psdd_checker LEDGER_DIR_OR_DB [--notes FILE]...`; exit 0 none, 1 findings, 2 unusable."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from .check import check
from .findings import Unusable


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="psdd_checker", description="Judge a psdd ledger by docs/ledger.md.")
    parser.add_argument("ledger", type=Path, metavar="LEDGER_DIR_OR_DB")
    parser.add_argument("--notes", type=Path, action="append", default=[], metavar="FILE", help="what clients saw (JSON Lines)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument(
        "--sample-signatures", type=int, metavar="N",
        help="verify about N indicium signatures, and the first of every certificate, instead of all",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true",
        help="no indicium signatures, the newest checkpoint only, no SQLite integrity check",
    )  # fmt: skip
    arguments = parser.parse_args(argv)
    if arguments.sample_signatures is not None and arguments.sample_signatures < 1:
        parser.error("--sample-signatures must be at least 1 (use --quick for none)")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Run; returns the exit code."""
    arguments = _arguments(argv)
    try:
        outcome = check(arguments.ledger, arguments.notes, arguments.sample_signatures, arguments.quick)
    except Unusable as error:
        if arguments.json:
            print(json.dumps({"unusable": str(error)}))
        else:
            print(f"unusable: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        report = dataclasses.asdict(outcome)
        for finding, said in zip(report["findings"], outcome.findings, strict=True):
            finding["line"] = said.line()
        print(json.dumps(report))
    else:
        for finding in outcome.findings:
            print(finding.line())
        print(
            f"{outcome.records} records of {outcome.psds} PSDs, {outcome.signatures} of {outcome.indicia} indicium signatures, "
            f"{outcome.checkpoints} checkpoints, {outcome.notes} notes in {outcome.seconds} s: "
            f"{len(outcome.findings)} findings, root {outcome.root}",
            file=sys.stderr,
        )
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
