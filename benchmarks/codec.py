"""How fast PDUs are decoded and encoded, and receipts read: best and median of five.

    python -m benchmarks.codec [--json] [--seconds S]

Seconds are those of this process's CPU time, so a busy machine does not matter much. The
yardstick in the same run is the plain loop over the field table.
"""

from __future__ import annotations

import argparse
import json
import statistics
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.codec import decode, encode
from smpp_bridge.protocol.constants import ESM_RECEIPT, Tag
from smpp_bridge.protocol.fields import FIELDS
from smpp_bridge.protocol.receipts import parse_receipt

RUNS: Final = 5
RECEIPT: Final = pdu.DeliverSm(
    sequence_number=7,
    source_addr_ton=1,
    source_addr_npi=1,
    source_addr=b"8613800000001",
    dest_addr_npi=1,
    destination_addr=b"10690001",
    esm_class=ESM_RECEIPT,
    short_message=b"id:34265880701 sub:001 dlvrd:001 submit date:1709260755 "
    b"done date:1709260755 stat:DELIVRD err:000 text:",
    tlvs=((Tag.RECEIPTED_MESSAGE_ID, b"34265880701\0"), (Tag.MESSAGE_STATE, b"\2")),
)
TOLERANT: Final = pdu.DeliverSm(
    esm_class=ESM_RECEIPT,
    short_message=b"stat:EXPIRED err:255 id:0000AB12 done date:2607190900",
)
SUBMIT: Final = pdu.SubmitSm(
    source_addr=b"10690001",
    dest_addr_ton=1,
    dest_addr_npi=1,
    destination_addr=b"8613800000001",
    registered_delivery=1,
    short_message=b"Hello world",
)
FRAME: Final = encode(RECEIPT)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.5, help="of one of the five runs")
    options = parser.parse_args()
    results = measure(options.seconds)
    if options.json:
        print(json.dumps(results))
        return
    for name, found in results.items():
        print(f"{name:<40} best {found['best']:>10,.0f}/s   median {found['median']:>10,.0f}/s")


def measure(seconds: float) -> Mapping[str, Mapping[str, float]]:
    """Name → operations a second."""
    cases: dict[str, Callable[[], object]] = {
        "decode deliver_sm with two TLVs": lambda: decode(FRAME),
        "the same, plain loop over the table": lambda: _plain(FRAME),
        "encode submit_sm": lambda: encode(SUBMIT, 5),
        "read a canonical receipt": lambda: parse_receipt(RECEIPT),
        "read a reordered receipt": lambda: parse_receipt(TOLERANT),
    }
    # in turns, so that a busy moment of the machine falls on all of them
    rounds = [{name: _rate(case, seconds) for name, case in cases.items()} for _ in range(RUNS)]
    return {
        name: {
            "best": max(each[name] for each in rounds),
            "median": statistics.median(each[name] for each in rounds),
        }
        for name in cases
    }


def _rate(case: Callable[[], object], seconds: float) -> float:
    count, start = 0, time.process_time()
    end = start + seconds
    while time.process_time() < end:
        for _ in range(1000):
            case()
        count += 1000
    return count / (time.process_time() - start)


def _plain(frame: bytes) -> dict[str, Any]:
    position = 16
    values: dict[str, Any] = {}
    for field in FIELDS[pdu.DeliverSm]:
        if field.kind == "octet":
            values[field.name], position = frame[position], position + 1
        elif field.kind == "c_string":
            end = frame.index(0, position)
            values[field.name], position = frame[position:end], end + 1
        else:
            end = position + 1 + frame[position]
            values[field.name], position = frame[position + 1 : end], end
    tlvs = []
    while position < len(frame):
        tag, length = struct.unpack_from(">HH", frame, position)
        tlvs.append((tag, frame[position + 4 : position + 4 + length]))
        position += 4 + length
    return values | {"tlvs": tuple(tlvs)}


if __name__ == "__main__":
    main()
