"""A vendor's client of psdd in Python, written from daemon/wire/psdd.cddl and docs/ alone."""
