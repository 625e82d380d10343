"""Inventory, wired: the only place where its parts meet."""

from lotpro.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro_inventory.clients.identity import IdentityOverGrpc
from lotpro_inventory.clients.vin_decoder import UltravinDecoder
from lotpro_inventory.customers import api as customers_api
from lotpro_inventory.db import METADATA, ROOM
from lotpro_inventory.deliveries import api as deliveries_api
from lotpro_inventory.participant.rpc import ParticipantRpc
from lotpro_inventory.ports import Ports
from lotpro_inventory.sales import api as sales_api
from lotpro_inventory.sales.rpc import InventoryRpc
from lotpro_inventory.settings import Settings
from lotpro_inventory.stores import consumers as stores_consumers
from lotpro_inventory.vehicles import api as vehicles_api
from lotpro_kit import rpc, service


def wire(runtime: service.Runtime[Settings]) -> service.Parts:
    """Inventory's doors on a runtime."""
    database, cursors = runtime.database, runtime.cursors
    ports = Ports(
        identity=IdentityOverGrpc(runtime.channel(runtime.settings.identity_grpc)),
        vin_decoder=UltravinDecoder(),
        keyring=runtime.keyring,
        blind_index=runtime.blind_index,
        security_log=runtime.security_log,
        clock=runtime.clock,
    )
    return service.Parts(
        routers=[
            vehicles_api.router(database, cursors, ports),
            customers_api.router(database, cursors, ports),
            sales_api.router(database, cursors, ports),
            deliveries_api.router(database, cursors, ports),
        ],
        servicers=[
            rpc.Servicer(
                inventory_pb2.DESCRIPTOR,
                inventory_pb2_grpc.add_InventoryServiceServicer_to_server,
                InventoryRpc(database),
            ),
            rpc.Servicer(
                participant_pb2.DESCRIPTOR,
                participant_pb2_grpc.add_PrivacyParticipantServiceServicer_to_server,
                ParticipantRpc(database, ports),
            ),
        ],
        consumers=[stores_consumers.consumer(database, ports.identity)],
        jobs=[service.housekeeping(database)],
    )


SERVICE: service.Service[Settings] = service.Service(
    name="inventory",
    title="Inventory",
    description="Vehicles, sales, customers and deliveries of a dealer, isolated by store.",
    settings=Settings,
    metadata=METADATA,
    migrations=ROOM / "migrations",
    wire=wire,
)
