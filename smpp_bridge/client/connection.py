"""A small blocking SMPP client: connect, bind, send, read. For scripts and first steps.

The bridge does not use it. There is no thread: the link is served while a call waits, so an
idle program calls `read` from time to time. First steps: docs/client.md.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from smpp_bridge.client.errors import SmppError
from smpp_bridge.client.inbox import Inbox
from smpp_bridge.client.link import BlockingLink
from smpp_bridge.client.results import Delivery
from smpp_bridge.client.sender import Sender
from smpp_bridge.protocol import pdu
from smpp_bridge.protocol.constants import CommandStatus


class Connection(Sender):
    """One SMPP session with an SMSC; also a context manager that unbinds at its end.

    Args:
        system_id: The account.
        password: At most 8 characters.
        host: Host of the SMSC.
        port: Port of the SMSC.
        system_type: If the SMSC wants one.
        timeout_s: Seconds to wait for the connection and for each answer.
        window: Most requests without an answer.
        tls: For SMPP over TLS; `host` is the name that the certificate must have.
    """

    def __init__(
        self,
        *,
        system_id: str,
        password: str,
        host: str = "127.0.0.1",
        port: int = 2775,
        system_type: str = "",
        timeout_s: float = 30.0,
        window: int = 10,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._account = (system_id.encode(), password.encode(), system_type.encode())
        self._inbox = Inbox()
        link = BlockingLink(
            (host, port), tls=tls, timeout_s=timeout_s, window=window, on_request=self._receive
        )
        super().__init__(link, timeout_s)

    def bind_transceiver(self) -> None:
        """Connect and bind for both directions.

        Raises:
            BindRefused: If the SMSC does not want us.
            ConnectionLost: If it cannot be reached or hangs up.
            NotAnswered: If it stays silent.
            ValueError: If a field is too long for SMPP.
        """
        self._bind(pdu.BindTransceiver)

    def bind_transmitter(self) -> None:
        """Connect and bind for sending; raises as `bind_transceiver` does."""
        self._bind(pdu.BindTransmitter)

    def bind_receiver(self) -> None:
        """Connect and bind for receiving; raises as `bind_transceiver` does."""
        self._bind(pdu.BindReceiver)

    def read(self, timeout_s: float | None = None) -> Delivery | None:
        """The next receipt or message; `None` when none comes in time (`None`: wait for ever).

        It is acknowledged to the SMSC when it is handed out.

        Raises:
            ConnectionLost: If the connection has ended.
        """
        if not self._link.serve_until(lambda: bool(self._inbox), timeout_s):
            return None
        delivery, request = self._inbox.take()
        self._acknowledge(request, CommandStatus.ROK)
        return delivery

    def listen(
        self, on_delivery: Callable[[Delivery], None], timeout_s: float | None = None
    ) -> None:
        """Call `on_delivery` with everything that comes until nothing comes for `timeout_s`.

        The SMSC gets its acknowledgement when the call has returned. When it raises, the SMSC
        is told to send this one again, and the exception goes on.

        Raises:
            ConnectionLost: If the connection has ended.
        """
        while self._link.serve_until(lambda: bool(self._inbox), timeout_s):
            delivery, request = self._inbox.take()
            try:
                on_delivery(delivery)
            except BaseException:
                self._acknowledge(request, CommandStatus.RX_T_APPN)
                raise
            self._acknowledge(request, CommandStatus.ROK)

    def unbind(self) -> None:
        """Say goodbye and close. What was not read goes back to the SMSC, to be sent again."""
        try:
            if self._link.is_bound:
                while self._inbox:
                    self._acknowledge(self._inbox.take()[1], CommandStatus.RX_T_APPN)
                self._link.unbind()
        finally:
            self.close()

    def close(self) -> None:
        """Drop the connection without a goodbye."""
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(SmppError):  # the way out must not hide why
            self.unbind()

    def _bind(self, cls: type[pdu.Bind]) -> None:
        if self._link.is_open:
            raise ValueError("the connection is in use, must be unbound before it is bound again.")
        system_id, password, system_type = self._account
        self._inbox.clear()
        self._link.bind(cls(system_id=system_id, password=password, system_type=system_type))

    def _receive(self, request: pdu.DeliverSm | pdu.DataSm) -> None:
        if self._inbox.put(request):
            self._acknowledge(request, CommandStatus.ROK)

    def _acknowledge(self, request: pdu.Request | None, status: CommandStatus) -> None:
        if request is not None:
            self._link.respond(request, status)
