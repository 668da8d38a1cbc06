"""Owns running the checker over a built ledger."""

from __future__ import annotations

from pathlib import Path

from psdd_checker.check import check
from psdd_checker.findings import Finding


def run(ledger: Path, *notes: Path) -> dict[str, Finding]:
    """The findings by code."""
    return {finding.code: finding for finding in check(ledger, list(notes), None, False).findings}


def places(found: dict[str, Finding]) -> dict[str, tuple[str, int]]:
    """Where each code was found first, and how often."""
    return {code: (finding.where, finding.count) for code, finding in found.items()}
