"""An independent judge of psdd ledgers, written from docs/ledger.md and daemon/wire/psdd.cddl alone."""
