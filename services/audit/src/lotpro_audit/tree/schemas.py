"""HTTP shapes of the log's tree."""

from datetime import datetime

from pydantic import Field

from lotpro_kit.api import Answer


class CheckpointAnswer(Answer):
    """What the log was at a size, signed: keep one, and nobody can change what it covers without your seeing it."""

    size: int = Field(description="How many events the log had, of all organisations.", examples=[48213])
    logged_at: datetime
    note: str = Field(
        description="The signed note (C2SP tlog-checkpoint): size, root hash and signature.",
        examples=[
            "lotpro.space/audit\n48213\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— lotpro.space/audit Az3g...\n"
        ],
    )
    log_key: str = Field(
        description="The key that signed it (C2SP verifier key).", examples=["lotpro.space/audit+3f2a9c01+Af8..."]
    )


class ConsistencyAnswer(Answer):
    """The proof that the log of the new size begins with the log of the old one (RFC 6962, 2.1.2)."""

    old: int
    new: int
    path: list[str] = Field(description="Hashes, base64.")


class LogKeyAnswer(Answer):
    """The public key of the log."""

    key: str = Field(description="C2SP verifier key.", examples=["lotpro.space/audit+3f2a9c01+Af8..."])
