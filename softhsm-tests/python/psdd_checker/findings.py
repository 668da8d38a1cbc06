"""Owns the stable finding codes and the collection of findings: the first place of each, and how many more."""

from __future__ import annotations

from dataclasses import dataclass, field

CODES: dict[str, str] = {
    # the database
    "sqlite": "SQLite finds the database itself damaged",
    "schema": "a documented table or column is missing",
    "format": "meta.format is not 4",
    "row": "a row has a value of the wrong type or length",
    # records
    "gap": "leaves are not 0, 1, 2, ... without a gap",
    "size": "a record is longer than 65,535 bytes",
    "cbor": "a record is not deterministic CBOR",
    "kind": "an unknown record kind",
    "keys": "a record lacks a key of its kind or has one that is not",
    "value": "the value under a key is not what the page says",
    "owner": "a record of a PSD stands as one of the appliance or the other way round",
    "genesis": "kind 1 is always and only leaf 0, and consistent in itself",
    # from record to record
    "clock": "time runs backwards within an epoch, or the epoch falls",
    "first": "the first record of a PSD is not kind 3, or kind 3 is not the first",
    "sequence": "the sequence of a PSD does not rise by one",
    "registers": "ascending + descending != control total",
    "registers-moved": "registers do not move as the kind says",
    "created": "a PSD is created with registers not zero, limits that contradict each other, or a currency not of its format",
    "key-created": "a created key is inconsistent with its algorithm or an earlier key of the PSD",
    "key-weaker": "a created key is weaker than the newest of its role",
    "certificate": "a certificate is not for its key or serial, its serial stands twice, or its key has one or is out of use",
    "chain": "a certificate does not chain to the authority root of leaf 0",
    "key-step": "a key takes a step that its life does not allow",
    "key-change": "a change of a key is ordered of no such key, of a PSD at its end, or while one is ordered already",
    "authority-key": "an authority key's certificate is not signed by the root, or of an unusable key",
    "lifecycle": "a step of the lifecycle that no PSD may take",
    "inspection": "the lock for an overdue inspection is set before it is due or with something else, or ends without an acceptance",
    "policy-version": "the version of the authority's policy is not the one after the last",
    "locks": "a lock reason of the authority's comes or goes without its instruction",
    "value-number": "a download, refund or withdrawal begins or ends out of turn",
    "value-state": "value is requested, applied, refunded or withdrawn in a state in which it may not be",
    "value-purpose": "a download, refund or withdrawal is ended by a kind that ends another",
    "value-amount": "value applied, refunded, voided or withdrawn is not the amount requested",
    "value-request": "the COSE_Sign1 of a value request does not hold",
    "value-void": "the COSE_Sign1 of a voided value does not hold",
    "value-authorisation": "the COSE_Sign1 of a value authorisation does not hold",
    "refund": "a refund is not of a mark of the PSD, of its postage, once",
    "withdrawal": "a withdrawal is not of the whole descending register",
    "withdrawal-request": "the COSE_Sign1 of a withdrawal request does not hold",
    "withdrawal-acknowledgement": "the COSE_Sign1 of a withdrawal acknowledgement does not hold",
    "withdrawal-report": "the COSE_Sign1 of a final report does not hold",
    "loaded": "the value loaded under a licence is not the sum of its downloads",
    "ceiling": "the value loaded under a licence is above a ceiling",
    "instruction": "the COSE_Sign1 of an instruction does not hold",
    "instruction-number": "the number of an instruction is not above the last of its purpose",
    "effect": "an instruction is not followed by its effect, or a ceiling follows no instruction",
    "ceremony": "a ceremony or a step of it is out of turn, or its file is not that of its digest",
    "approval": "an approval of a birth or a ceremony does not hold, or there are too few",
    "countersignature": "the authority's countersignature of a birth does not hold or is missing",
    "transcript": "the transcript of a ceremony does not hold",
    "operators": "operators and a quorum that could never decide, or that stand twice",
    "revoked": "a revocation of no operator, one that leaves no quorum, or a second one",
    "not-active": "a piece while the PSD is not active, is locked or is being withdrawn",
    "paid-twice": "an indicium stands in more than one kind 29",
    "paid-unproven": "an indicium that paid does not stand in an earlier kind 16 with these bytes and this postage",
    "paid-and-refunded": "an indicium stands in a kind 29, and its postage came back or was asked to",
    "run": "a run, a piece of one or its closing is not as it was announced, or not the sum of its pieces",
    "rates-taken": "a rate table is taken again under its name and version",
    "scale-registered": "a scale is registered as it was, or removed and was not registered",
    "unfounded": "a certification, or the opening of a run, names a scale or a rate table that was not in force where it stands",
    "certification": "a certification is not in its one form, or says otherwise than its record",
    "limits": "a postage, refill or descending register outside the limits of the PSD",
    "key-uuid": "an idempotency key is not a UUID of version 7",
    "key-twice": "an idempotency key of a tenant stands in more than one kind 16 or 29",
    "indicium-key": "a piece carries the serial of no certificate of this PSD's keys of the role that signs it",
    "key-in-use": "a piece carries another certificate than that of the key in use",
    "indicium-field": "a field of the symbol is not that of the record",
    "indicium-signature": "the symbol or certification does not verify under its certificate",
    "state-digest": "a state digest is not the digest of the fold before it",
    # tables
    "head": "head is not the size, root and time of the entries",
    "tile": "a tile is missing, surplus or other than the tree's",
    "piece": "a kind 16 or 29 without its row in piece, or a row without its record",
    "digital-token": "a digital token is not one, or was made without a token-mac key and a postal-mac key in use",
    "digital-token-row": "a piece with a digital token without its row in digital_token, or a row without such a piece",
    "paid-by": "a paying indicium without its row in paid_by, or a row without its kind 29",
    "in-run": "a piece of a run without its row in in_run, or a row without its kind 29",
    "tenant": "the tenant table does not number the tenants of piece",
    "live": "the live table is not the newest record of each slot, now and at the last state digest",
    "register": "the register cache is not the registers after the last record",
    "snapshot": "the snapshot is not the registers at the last state digest",
    "body": "a body row without a salted hash, not its preimage, or of a key that was destroyed",
    "checkpoint": "a checkpoint does not parse or verify, or has another root",
    # what clients saw
    "seen-record": "an answer seen by a client has no record, or another one",
    "seen-twice": "retries of one key did not return identical bytes",
    "seen-refused": "a key that was only ever refused has a record",
    "seen-value": "a value seen applied, refunded, voided or withdrawn is not in the ledger, or its number ended more than once",
    "seen-checkpoint": "a checkpoint seen by a client is not one of this ledger's tree",
}


class Unusable(Exception):
    """The input cannot be judged at all (exit code 2)."""


@dataclass
class Finding:
    """One code, the first place where it does not hold, and how often it was seen."""

    code: str
    where: str
    message: str
    count: int = 1

    def line(self) -> str:
        """The finding in one line."""
        more = f" (and {self.count - 1} more)" if self.count > 1 else ""
        message = " ".join(self.message.split())
        return f"{self.where}: {self.code}: {message}{more}"


@dataclass
class Findings:
    """The findings of one run, in the order in which they were met."""

    by_code: dict[str, Finding] = field(default_factory=dict)

    def add(self, where: str, code: str, message: str) -> None:
        """Note that `code` does not hold at `where`; only the first place is kept."""
        if code not in CODES:
            raise KeyError(code)
        known = self.by_code.get(code)
        if known is None:
            self.by_code[code] = Finding(code, where, message)
        else:
            known.count += 1

    def leaf(self, leaf: int, code: str, message: str) -> None:
        """Note a finding about one record."""
        self.add(f"leaf {leaf}", code, message)

    def all(self) -> list[Finding]:
        """Every finding, first met first."""
        return list(self.by_code.values())
