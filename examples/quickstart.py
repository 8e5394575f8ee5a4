"""Send one SMS and wait for its receipt, in twelve lines.

Start an SMSC first (more in docs/client.md), then:

    python -m simulator smsc --password PASSWORD &
    python examples/quickstart.py --password PASSWORD
"""

from __future__ import annotations

import argparse

from smpp_bridge import Connection


def main() -> None:
    """Bind, send, read the receipt, unbind."""
    options = _options()
    with Connection(
        system_id=options.system_id,
        password=options.password,
        host=options.host,
        port=options.port,
    ) as connection:
        connection.bind_transceiver()
        message_ids = connection.submit_sm(
            source_addr="10690001",
            dest_addr=options.to,
            short_message="亲爱的小明,您有一份来自云店的优惠券,快点击链接领取吧!",
        )
        print("accepted as", ", ".join(message_ids))
        delivery = connection.read(timeout_s=options.wait_s)
        if delivery is None:
            print("no receipt yet")
        elif delivery.receipt is not None:
            print("receipt:", delivery.receipt.message_id, delivery.receipt.state)
        else:
            print("reply:", delivery.text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2775)
    parser.add_argument("--system-id", default="smslab")
    parser.add_argument("--password", required=True)
    parser.add_argument("--to", default="8613800000001")
    parser.add_argument("--wait-s", type=float, default=30.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
