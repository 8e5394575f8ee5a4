"""Whose a receipt or a reply is: rules without sockets, and what a restart leaves of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smpp_bridge.adapters.owner_log import OwnerLog
from smpp_bridge.configuration import Account
from smpp_bridge.owners import Owners
from smpp_bridge.protocol.pdu import DeliverSm, SubmitSm
from smpp_bridge.protocol.receipts import ReceiptRules
from tests.support.proxy import account

KEY = b"k" * 16


def owners(log: OwnerLog, *accounts: Account) -> Owners:
    """Of one connection."""
    return Owners(accounts, ReceiptRules(), log, KEY)


@pytest.fixture
def log(tmp_path: Path) -> OwnerLog:
    """An empty one."""
    return OwnerLog(tmp_path / "owners.log")


@pytest.mark.parametrize(
    ("submitted", "received"),
    [
        (b"281605133", b"281605133"),
        (b"10C8F40D", b"281605133"),
        (b"281605133", b"10C8F40D"),
        (b"0012ab", b"12AB"),
        (b"12AB", b"0012ab"),
        (b"77", b"77@smsc1"),
        (b"77@smsc1", b"77@SMSC1"),
        (b"000", b"000"),
        (b"ID_\xe9", b"id_\xe9"),
    ],
)
def test_an_id_is_recognised_in_every_spelling(
    log: OwnerLog, submitted: bytes, received: bytes
) -> None:
    """Hexadecimal, decimal, zeros, case, suffix: the receipt finds its account."""
    some = owners(log, account("a"), account("b"))
    some.named(submitted, "a")
    body = b"id:%b stat:DELIVRD err:000" % received
    assert some.owner_of(DeliverSm(esm_class=4, short_message=body)) == "a"


def test_without_an_id_the_addresses_decide_and_at_last_the_configuration(log: OwnerLog) -> None:
    """Person and sender, then sender, then a configured pattern, then nobody."""
    names = ("set", "person", "sender")
    some = owners(log, *(account(name, senders=("1069*",)) for name in names))
    reply = DeliverSm(source_addr=b"86138", destination_addr=b"10690001")
    assert some.owner_of(reply) == "set"
    some.sent(SubmitSm(source_addr=b"10690001", destination_addr=b"86138"), "person")
    some.sent(SubmitSm(source_addr=b"10690001", destination_addr=b"86139"), "sender")
    assert some.owner_of(reply) == "person"
    stranger = DeliverSm(source_addr=b"86137", destination_addr=b"10690001")
    assert some.owner_of(stranger) == "sender"
    assert some.owner_of(DeliverSm(destination_addr=b"95555")) is None


def test_a_configured_sender_stays_with_its_account_whoever_uses_it(log: OwnerLog) -> None:
    """Else one customer of a connection reads the replies to another, by sending in its name."""
    some = owners(log, account("shop", senders=("1069*",)), account("thief"), account("other"))
    person = DeliverSm(source_addr=b"86138", destination_addr=b"10690001")
    some.sent(SubmitSm(source_addr=b"10690001", destination_addr=b"86138"), "thief")
    assert some.owner_of(person) == "shop"
    some.named(b"77", "thief")
    body = b"id:77 stat:DELIVRD err:000"
    receipt = DeliverSm(destination_addr=b"10690001", esm_class=4, short_message=body)
    assert some.owner_of(receipt) == "thief"  # it has sent that message
    some.sent(SubmitSm(source_addr=b"95555", destination_addr=b"86138"), "other")
    assert some.owner_of(DeliverSm(source_addr=b"86138", destination_addr=b"95555")) == "other"


def test_accounts_that_share_a_configured_sender_are_told_apart_by_person(log: OwnerLog) -> None:
    """Both may use it, so whoever wrote to the person gets the reply."""
    some = owners(log, *(account(name, senders=("1069*",)) for name in "ab"))
    some.sent(SubmitSm(source_addr=b"10690001", destination_addr=b"86138"), "b")
    some.sent(SubmitSm(source_addr=b"10690001", destination_addr=b"86139"), "a")
    assert some.owner_of(DeliverSm(source_addr=b"86138", destination_addr=b"10690001")) == "b"


def test_what_was_learned_before_a_sender_was_configured_counts_no_more(log: OwnerLog) -> None:
    """The configuration is the operator's last word."""
    before = owners(log, account("a"), account("b"))
    before.sent(SubmitSm(source_addr=b"10690001", destination_addr=b"86138"), "b")
    after = owners(log, account("a", senders=("1069*",)), account("b"))
    assert after.owner_of(DeliverSm(source_addr=b"86138", destination_addr=b"10690001")) == "a"


def test_the_only_account_of_a_connection_owns_everything(log: OwnerLog, tmp_path: Path) -> None:
    """Nothing has to be remembered for that, and nothing is written."""
    one = owners(log, account("a", senders=("1069*",)))
    one.named(b"77", "a")
    log.write()
    assert one.owner_of(DeliverSm(destination_addr=b"95555")) == "a"
    assert list(tmp_path.iterdir()) == []


def test_an_account_that_left_the_configuration_owns_nothing(log: OwnerLog) -> None:
    """Its receipts may still come; they are nobody's."""
    owners(log, account("a"), account("gone")).named(b"77", "gone")
    some = owners(log, account("a"), account("b"))
    body = b"id:77 stat:DELIVRD err:000"
    assert some.owner_of(DeliverSm(esm_class=4, short_message=body)) is None


def test_neither_ids_nor_numbers_are_in_the_file(tmp_path: Path) -> None:
    """And without the key their digests cannot be tried out."""
    files = []
    for number, key in enumerate((KEY, b"x" * 16)):
        log = OwnerLog(tmp_path / str(number), clock=lambda: 10**12)
        some = Owners((account("a"), account("b")), ReceiptRules(), log, key)
        some.sent(SubmitSm(source_addr=b"10690001", destination_addr=b"8613800000001"), "a")
        some.named(b"id-123456", "a")
        log.close()
        files.append((tmp_path / str(number)).read_bytes())
    assert files[0] != files[1]
    assert all(word not in files[0] for word in (b"1069000", b"380000000", b"123456"))


def digest(number: int) -> bytes:
    """Some key."""
    return number.to_bytes(8, "big")


def restarted(folder: Path, **keys: Any) -> OwnerLog:
    """What a new process reads; the old one was killed."""
    return OwnerLog(folder / "owners.log", **keys)


@given(entries=st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc"))), size=st.just(5))
def test_a_restart_knows_the_newest_and_no_more_than_two_generations(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[int, str]], size: int
) -> None:
    """The last `size` keys with their last account for certain; memory and files are bounded."""
    folder = tmp_path_factory.mktemp("owners")
    log = restarted(folder, size=size)
    for number, name in entries:
        log.put(digest(number), name)
        log.write()
    again = restarted(folder, size=size)
    last = dict(entries)
    newest = list(dict.fromkeys(number for number, _ in reversed(entries)))
    found = {number: again.get(digest(number)) for number in range(31)}
    assert found == {number: log.get(digest(number)) for number in range(31)}
    assert all(found[number] == last[number] for number in newest[:size])
    assert sum(name is not None for name in found.values()) <= 2 * size


@pytest.mark.parametrize("cut", range(1, 9 + 4 + 1))
def test_a_record_torn_by_a_crash_is_cut_off(tmp_path: Path, cut: int) -> None:
    """What stands before it is known, and what is written after it can be read."""
    log = restarted(tmp_path)
    for number in (1, 2):
        log.put(digest(number), "shop")
    log.close()
    path = tmp_path / "owners.log"
    path.write_bytes(path.read_bytes()[:-cut])
    torn = restarted(tmp_path)
    assert (torn.get(digest(1)), torn.get(digest(2))) == ("shop", None)
    torn.put(digest(3), "shop")
    torn.close()
    assert restarted(tmp_path).get(digest(3)) == "shop"


def test_entries_are_forgotten_by_age(tmp_path: Path) -> None:
    """Kept for one generation's age at least and two at most, and so at a restart."""
    now = [10**12]
    keys: dict[str, Any] = {"age_ms": 1000, "clock": lambda: now[0]}
    log = restarted(tmp_path, **keys)
    for number in range(30):
        log.put(digest(number), "a")
        log.write()
        log.tick()
        for one in (log, restarted(tmp_path, **keys)):
            known = [each for each in range(number + 1) if one.get(digest(each))]
            assert known == list(range(known[0], number + 1))
            assert min(number, 3) <= number - known[0] <= 8
        now[0] += 250
    now[0] += 2000
    log.tick()
    late = restarted(tmp_path, **keys)
    assert late.get(digest(29)) is log.get(digest(29)) is None
    assert list(tmp_path.iterdir()) == []


def test_entries_are_forgotten_by_age_while_nothing_passes(tmp_path: Path) -> None:
    """An account that has stopped sending leaves nothing behind for ever."""
    now = [10**12]
    log = restarted(tmp_path, age_ms=1000, clock=lambda: now[0])
    log.put(digest(1), "a")
    for later, is_known in ((0, True), (999, True), (1001, True), (1999, True), (2000, False)):
        now[0] = 10**12 + later
        log.tick()
        assert (log.get(digest(1)) is not None) == is_known
    assert list(tmp_path.iterdir()) == []
    log.put(digest(2), "b")
    log.close()
    assert restarted(tmp_path, age_ms=1000, clock=lambda: now[0]).get(digest(2)) == "b"
