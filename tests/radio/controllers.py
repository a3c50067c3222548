"""Virtual Bluetooth controllers, each at a port, and who of them hears whom.

    controllers.py <port>,<port>,... <port>-<port>[:<rssi>] ...

The controllers are Bumble's: real HCI, and a link layer without a radio. What is ours is the air between them: those of
a pair named hear each other, at that strength, all others do not. A controller is new with each host that connects to its port, and gone
with it, as if the adapter was pulled out: those that were connected to it notice.

It says "ready" when all ports are open, and ends with its standard input.
"""

import asyncio
import sys

from bumble import core, hci, ll
from bumble.controller import Controller, LegacyAdvertiser
from bumble.link import LocalLink
from bumble.transport.common import PacketParser

# What adapters of today take in one piece.
ACL_BYTES = 251

# How strong a signal is, in dBm, unless it is said.
RSSI = -50

# What an adapter says of a peer that is not heard any more.
CONNECTION_TIMEOUT = 0x08

# What it says of one that did not hear that it was connected to.
NOT_ESTABLISHED = 0x3E


class Air(LocalLink):
    """Carries what is sent to those who are in range of the sender."""

    def __init__(self, pairs):
        super().__init__()
        self.pairs = pairs

    def hear(self, one, other):
        return frozenset((one.port, other.port)) in self.pairs

    def strength_between(self, address, hearer):
        """How strong the one who advertises from an address is heard."""
        for other in self.controllers:
            if other.random_address == address and self.hear(other, hearer):
                return self.pairs[frozenset((other.port, hearer.port))]
        return RSSI

    def send_advertising_pdu(self, sender_controller, packet):
        loop = asyncio.get_running_loop()
        for other in self.controllers:
            if self.hear(sender_controller, other):
                loop.call_soon(other.on_ll_advertising_pdu, packet)
        if isinstance(packet, ll.ConnectInd):
            loop.call_soon(self.look_whether_heard, sender_controller, packet)

    def look_whether_heard(self, initiator, packet):
        """Whoever connects to somebody who has just stopped listening is told, as adapters do."""
        connection = initiator.le_connections.get(packet.advertiser_address)
        if connection and self.peer_of(connection) == (None, None):
            initiator.on_le_disconnected(connection, NOT_ESTABLISHED)

    def peer_of(self, connection):
        """The other controller, and its end of the connection. Addresses change while connections last."""
        for other in self.controllers:
            for theirs in other.le_connections.values():
                if (
                    other is not connection.controller
                    and theirs.self_address == connection.peer_address
                    and theirs.peer_address == connection.self_address
                ):
                    return other, theirs
        return None, None

    def send_ll_control_pdu(self, sender_address, receiver_address, packet):
        for controller in list(self.controllers):
            theirs = controller.le_connections.get(sender_address)
            if theirs and theirs.self_address == receiver_address:
                asyncio.get_running_loop().call_soon(
                    controller.on_ll_control_pdu, sender_address, packet
                )
                return


class Advertiser(LegacyAdvertiser):
    """Also advertises that it is there when nobody can connect to it."""

    @property
    def connectable(self):
        return self.advertising_type != hci.HCI_LE_Set_Advertising_Parameters_Command.AdvertisingType.ADV_NONCONN_IND

    def send_advertising_data(self):
        if self.connectable:
            super().send_advertising_data()
        elif self.enabled:
            self.controller.send_advertising_pdu(
                ll.AdvNonConnInd(advertiser_address=self.address, data=self.advertising_data)
            )


class Adapter(Controller):
    """A controller with what Bumble's leaves out and hosts rely on."""

    le_acl_data_packet_length = ACL_BYTES

    def __init__(self, port, air, sink):
        super().__init__(str(port), host_sink=sink, link=air)
        self.port = port
        self.told = set()
        self.le_legacy_advertiser = Advertiser(self)

    def on_ll_advertising_pdu(self, packet):
        if isinstance(packet, ll.AdvNonConnInd):
            self.on_advertising_pdu(packet)
        elif not isinstance(packet, ll.ConnectInd) or self.le_legacy_advertiser.connectable:
            super().on_ll_advertising_pdu(packet)

    def on_hci_le_set_scan_enable_command(self, command):
        self.told.clear()
        return super().on_hci_le_set_scan_enable_command(command)

    def on_hci_acl_data_packet(self, packet):
        # As it is: what a hostile host sends is not put in order here.
        connection = self.find_connection_by_handle(packet.connection_handle)
        if connection is None:
            return
        other, theirs = self.link.peer_of(connection)
        if other:
            begins = packet.pb_flag != hci.HCI_ACL_PB_CONTINUATION
            arriving = hci.HCI_AclDataPacket(
                connection_handle=theirs.handle,
                pb_flag=hci.HCI_ACL_PB_FIRST_FLUSHABLE if begins else hci.HCI_ACL_PB_CONTINUATION,
                bc_flag=0,
                data_total_length=len(packet.data),
                data=packet.data,
            )
            asyncio.get_running_loop().call_soon(other.send_hci_packet, arriving)
        self.send_hci_packet(
            hci.HCI_Number_Of_Completed_Packets_Event(
                connection_handles=[connection.handle], num_completed_packets=[1]
            )
        )

    def on_hci_le_set_data_length_command(self, command):
        # There is no packet of the air to be made longer.
        return hci.HCI_StatusAndConnectionHandleReturnParameters(
            status=hci.HCI_ErrorCode.SUCCESS, connection_handle=command.connection_handle
        )

    def on_hci_le_create_connection_cancel_command(self, command):
        pending = self.pending_le_connection
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        self.pending_le_connection = None
        asyncio.get_running_loop().call_soon(
            self.send_hci_packet,
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=pending.peer_address_type,
                peer_address=pending.peer_address,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            ),
        )
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_advertising_pdu(self, pdu):
        pending = self.pending_le_connection
        connectable = not isinstance(pdu, ll.AdvNonConnInd)
        if pending and connectable and pending.peer_address == pdu.advertiser_address:
            self.create_le_connection(pdu.advertiser_address)
        elif self.le_scan_enable:
            # Duplicates are left out, as the host asks for.
            key = (bytes(pdu.advertiser_address), pdu.data)
            if not (self.filter_duplicates and key in self.told):
                self.told.add(key)
                report = hci.HCI_LE_Advertising_Report_Event.Report(
                    event_type=(
                        hci.HCI_LE_Advertising_Report_Event.EventType.ADV_IND
                        if connectable
                        else hci.HCI_LE_Advertising_Report_Event.EventType.ADV_NONCONN_IND
                    ),
                    address_type=pdu.advertiser_address.address_type,
                    address=pdu.advertiser_address,
                    data=pdu.data,
                    rssi=self.link.strength_between(pdu.advertiser_address, self),
                )
                self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    def pull_out(self):
        self.le_legacy_advertiser.stop()
        self.link.remove_controller(self)
        for connection in list(self.le_connections.values()):
            other, theirs = self.link.peer_of(connection)
            if other:
                other.on_le_disconnected(theirs, CONNECTION_TIMEOUT)
        self.le_connections.clear()
        self.link = None


class Sink:
    """Packets to the host."""

    def __init__(self, writer):
        self.writer = writer

    def on_packet(self, packet):
        self.writer.write(packet)


async def serve(port, air):
    async def connected(reader, writer):
        adapter = Adapter(port, air, Sink(writer))
        parser = PacketParser(adapter)
        try:
            while data := await reader.read(4096):
                parser.feed_data(data)
        except (ConnectionError, asyncio.CancelledError, core.InvalidPacketError):
            pass
        finally:
            adapter.pull_out()
            writer.close()

    await asyncio.start_server(connected, "127.0.0.1", port)


async def main(ports, pairs):
    air = Air(pairs)
    for port in ports:
        await serve(port, air)
    print("ready", flush=True)
    # Ends when whoever started it goes.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)


def pair(text):
    """A pair of ports, and how strong they hear each other."""
    ports, _, rssi = text.partition(":")
    return frozenset(map(int, ports.split("-"))), int(rssi or RSSI)


if __name__ == "__main__":
    asyncio.run(
        main(
            [int(port) for port in sys.argv[1].split(",")],
            dict(map(pair, sys.argv[2:])),
        )
    )
