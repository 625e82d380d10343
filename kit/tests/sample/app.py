"""The sample's table, doors and wiring."""

from pathlib import Path
from typing import Annotated, ClassVar
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from sqlalchemy import BigInteger, Column, MetaData, String, Table, Uuid, select

from lotpro.identity.v1 import events_pb2, identity_pb2, identity_pb2_grpc
from lotpro_kit import api, bus, db, errors, ids, inbox, outbox, rpc, service
from lotpro_kit.caller import Caller, system
from lotpro_kit.crypto import table as data_keys_table
from lotpro_kit.settings import ServiceSettings

METADATA: MetaData = db.metadata()
outbox.table(METADATA)
inbox.table(METADATA)
api.idempotency_table(METADATA)
data_keys_table(METADATA)
NOTES = Table(
    "notes",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("org_id", Uuid, nullable=False),
    Column("store_id", Uuid, nullable=False),
    Column("title", String, nullable=False),
    Column("version", BigInteger, nullable=False),
)


class Settings(ServiceSettings):
    service: ClassVar[str] = "sample"


class NoteTaken(errors.Conflict):
    code = "sample.note_taken"
    message = "There is a note of this title."


class AddNote(api.Body):
    store_id: UUID
    title: str


class Note(api.Answer):
    id: UUID
    title: str


def wire(runtime: service.Runtime[Settings]) -> service.Parts:
    database = runtime.database
    router = APIRouter(prefix="/api/sample/v1")
    adding = api.requires("inventory:vehicle:add")

    @router.post("/notes", status_code=201, responses=api.problems(NoteTaken))
    async def add_note(body: AddNote, caller: Annotated[Caller, Depends(adding)], once: api.Idempotent) -> Response:
        async def make() -> api.Made:
            note_id = ids.new()
            await session.execute(
                NOTES.insert().values(
                    id=note_id, org_id=caller.org_id, store_id=body.store_id, title=body.title, version=1
                )
            )
            await outbox.put(session, events_pb2.StoreOpened(org_id=str(caller.org_id), store_id=str(body.store_id)))
            return 201, Note(id=note_id, title=body.title), api.etag(1)

        if body.title == "taken":
            raise NoteTaken
        if body.title == "broken":
            raise RuntimeError("contains jane@example.com")
        async with database.begin(caller) as session:
            return await once.answer(session, caller, make)

    @router.get("/notes")
    async def list_notes(caller: Annotated[Caller, Depends(adding)]) -> list[Note]:
        async with database.begin(caller) as session:
            rows = await session.execute(select(NOTES.c.id, NOTES.c.title).order_by(NOTES.c.id))
            return [Note(id=row.id, title=row.title) for row in rows]

    class Identity(identity_pb2_grpc.IdentityServiceServicer):
        async def GetOrganisation(self, request, context):  # noqa: N802 - gRPC's name
            if request.org_id == "missing":
                raise errors.NotFound
            return identity_pb2.GetOrganisationResponse(org_id=request.org_id, name=rpc.caller().service)

    async def on_store_opened(event: events_pb2.StoreOpened, delivery: bus.Delivery) -> None:
        async with database.begin(system(UUID(event.org_id))) as session:
            if not await inbox.claim(session, delivery.id):
                return
            await session.execute(
                NOTES.insert().values(
                    id=ids.new(), org_id=UUID(event.org_id), store_id=UUID(event.store_id), title="opened", version=1
                )
            )

    return service.Parts(
        routers=[router],
        servicers=[
            rpc.Servicer(
                identity_pb2.DESCRIPTOR, identity_pb2_grpc.add_IdentityServiceServicer_to_server, Identity()
            )
        ],
        consumers=[bus.Consumer("identity", {events_pb2.StoreOpened: on_store_opened})],
        jobs=[service.housekeeping(database)],
    )


SERVICE: service.Service[Settings] = service.Service(
    name="sample",
    title="Sample",
    description="A sample.",
    settings=Settings,
    metadata=METADATA,
    migrations=Path(__file__).parent / "migrations",
    wire=wire,
)
