"""Whether a passkey may be copied; and the privacy service reads what there is about people's devices and factors."""

import sqlalchemy as sa
from alembic import op

revision = "0084"
down_revision = "0083"


def upgrade() -> None:
    op.add_column("factors", sa.Column("backup_eligible", sa.Boolean))
    for table in ("devices", "factors"):
        op.execute(f"CREATE POLICY asked ON {table} FOR SELECT USING ((SELECT lotpro_scope()) = 'directory')")
