"""The table of pictures' blobs: none is stored that does not stand here before, so that none is forgotten."""

from sqlalchemy import Column, DateTime, Table, Uuid

from lotpro_identity.db import METADATA

PICTURE_BLOBS = Table(
    "picture_blobs",
    METADATA,
    Column("id", Uuid, primary_key=True),
    #: Nobody shows it (yet, or any more): the blob is removed then. None while an account shows it.
    Column("remove_after", DateTime(timezone=True)),
)
