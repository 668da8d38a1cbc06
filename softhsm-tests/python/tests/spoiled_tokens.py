"""Owns the ways to spoil exactly one digital token, each with the code that must name it."""

from __future__ import annotations

from twists import Row, setting

TOKENS: list[Row] = [
    ("digital token with a wrong digit", "tokened", setting(16, "12345 67891 6"), "digital-token"),
    ("digital token with two digits swapped", "tokened", setting(16, "12354 67890 6"), "digital-token"),
    ("digital token with another check digit", "tokened", setting(16, "12345 67890 7"), "digital-token"),
    ("digital token without groups", "tokened", setting(16, "12345678906"), "digital-token"),
    ("digital token with hyphens", "tokened", setting(16, "12345-67890-6"), "digital-token"),
    ("digital token with a half of three digits", "tokened", setting(16, "123 4567890 6"), "digital-token"),
    ("digital token with letters", "tokened", setting(16, "12345 6789O 6"), "digital-token"),
    ("digital token of a PSD without the keys", "two:3", setting(16, "12345 67890 6"), "digital-token"),
    ("digital token that is no text", "tokened", setting(16, 12345), "value"),
    ("secret key of the post with a public key's algorithm", "postal-mac", setting(10, 1), "value"),
]
