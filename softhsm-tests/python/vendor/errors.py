"""Owns how the client fails: one exception with a message for a person."""


class Failure(Exception):
    """The daemon did not do what its contract says."""


def require(holds: bool, message: str) -> None:
    """Fail with `message` unless `holds`."""
    if not holds:
        raise Failure(message)
