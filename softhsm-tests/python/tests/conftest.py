"""Owns the import path of the tests, and the right ledger that they share."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]


@pytest.fixture(scope="session")
def valid(tmp_path_factory):
    """A valid ledger and its builder."""
    from ledger_builder import scenario
    from ledger_writer import write

    b = scenario()
    return b, write(b, tmp_path_factory.mktemp("valid"))
