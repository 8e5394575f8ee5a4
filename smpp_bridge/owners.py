"""Which account of a connection a deliver_sm belongs to. Pure; what it remembers is given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final, Protocol

from smpp_bridge.configuration import Account
from smpp_bridge.protocol.pdu import DataSm, DeliverSm, SubmitSm
from smpp_bridge.protocol.receipts import ReceiptRules, candidates_of, parse_receipt

_DIGEST: Final = 8
"""Octets: among 400,000 entries a wrong one is found once in 5 * 10^13 questions."""


class Known(Protocol):
    """Remembers digest → account; the newest win."""

    def get(self, digest: bytes, /) -> str | None:
        """The account, or `None`."""

    def put(self, digest: bytes, account: str, /) -> None:
        """Remember."""


class Owners:
    """The only account of a connection owns everything; among several, who sent the message.

    `key`: makes digests of ids and addresses that nobody without it can try out.
    """

    def __init__(
        self, accounts: Sequence[Account], rules: ReceiptRules, known: Known, key: bytes
    ) -> None:
        self._only = accounts[0].system_id if len(accounts) == 1 else None
        self._names = {account.system_id for account in accounts}
        self._patterns = [
            (pattern, account.system_id) for account in accounts for pattern in account.senders
        ]
        self._rules = rules
        self._known = known
        self._hash = hashlib.blake2b(digest_size=_DIGEST, key=key[:64], person=b"owner")

    @property
    def accounts(self) -> int:
        """How many the connection has."""
        return len(self._names)

    def sent(self, request: SubmitSm | DataSm, account: str) -> None:
        """A message passes: replies of this person to this sender are the account's."""
        person, sender = request.destination_addr, request.source_addr
        if self._only is None and self._may_use(account, sender):
            self._known.put(self._digest(b"person", person, sender), account)
            self._known.put(self._digest(b"sender", sender), account)

    def named(self, smsc_message_id: bytes, account: str) -> None:
        """The SMSC gave it an id, kept in the one spelling that each receipt tries."""
        if smsc_message_id and self._only is None:
            name = smsc_message_id.decode("latin-1").casefold()
            self._known.put(self._id(name.lstrip("0") or name), account)

    def owner_of(self, request: DeliverSm | DataSm) -> str | None:
        """By the id of a receipt, then person and sender, then sender, then configured senders."""
        if self._only is not None:
            return self._only
        for digest in self._ids(request):
            found = self._known.get(digest)
            if found in self._names:  # it may have left the configuration since
                return found
        person, sender = request.source_addr, request.destination_addr
        for parts in ((b"person", person, sender), (b"sender", sender)):
            found = self._known.get(self._digest(*parts))
            if found in self._names and self._may_use(found, sender):
                return found
        return next(self._configured(sender), None)

    def _may_use(self, account: str | None, sender: bytes) -> bool:
        """A sender that is configured belongs to whom it is configured for, whoever uses it."""
        configured = set(self._configured(sender))
        return not configured or account in configured

    def _configured(self, sender: bytes) -> Iterator[str]:
        address = sender.decode("latin-1")
        return (name for pattern, name in self._patterns if fnmatchcase(address, pattern))

    def _ids(self, request: DeliverSm | DataSm) -> Iterator[bytes]:
        receipt = parse_receipt(request, self._rules)
        if receipt is not None and receipt.message_id:
            yield self._id(receipt.message_id)
            yield from map(self._id, candidates_of(receipt.message_id, receipt.other_id))

    def _id(self, spelling: str) -> bytes:
        return self._digest(b"id", spelling.encode())

    def _digest(self, *parts: bytes) -> bytes:
        digest = self._hash.copy()
        digest.update(b"\0".join(parts))  # a C-octet string holds no NUL
        return digest.digest()
