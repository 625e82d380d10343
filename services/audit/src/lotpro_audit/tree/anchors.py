"""Signed checkpoints outside of the database: immutable blobs that a database rolled back or rewritten cannot fit.

`checkpoints/<era>/<size>` holds the checkpoint's note. Eras count how often people took a restored log as it was;
`restorations/<era>` holds, signed, what they took. Numbers are spelled so that the newest name comes first.
"""

from base64 import b64encode
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from lotpro_audit.tree import domain, notes
from lotpro_audit.tree.notes import NoteRefused, SigningKey, VerifierKey
from lotpro_kit.blobs import BlobExists, Blobs

#: Where checkpoints are; infra lets those go that are old enough, and nothing else.
CHECKPOINTS = "checkpoints/"
_RESTORATIONS = "restorations/"
_TYPE = "text/plain; charset=utf-8"
#: One more than the largest era and size there can be: names are what is left to it.
_MAX_ERA, _MAX_SIZE = 10**4, 10**19
_RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class Anchor:
    """What the tree was, as it is known outside of the database."""

    era: int
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Restoration:
    """That a person took a restored log as it was: what it was, and how far it is what was anchored before.

    `fork` is the largest anchored size at which the tree is what it was; `lost` the largest that is given up.
    """

    era: int
    size: int
    root: bytes
    fork: int
    lost: int

    def text(self) -> str:
        """The lines that are signed."""
        numbers = f"{self.era}\n{self.size}\n{b64encode(self.root).decode()}\n{self.fork}\n{self.lost}"
        return f"{notes.ORIGIN}\n{_RESTORED}\n{numbers}\n"

    @classmethod
    def read(cls, text: str) -> "Restoration":
        """What `text` wrote; raises NoteRefused."""
        lines = text.split("\n")
        if len(lines) != 8 or lines[:2] != [notes.ORIGIN, _RESTORED]:
            raise NoteRefused("this is no note of a restoration")
        try:
            era, size, fork, lost = (int(lines[number]) for number in (2, 3, 5, 6))
        except ValueError as error:
            raise NoteRefused("this is no note of a restoration") from error
        return cls(era, size, notes.unbase64(lines[4]), fork, lost)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an anchor is kept; or what a restoration itself says the tree was."""

    size: int
    name: str = ""
    said: Anchor | None = None


class Anchors:
    """The log's anchors in audit's own container."""

    def __init__(self, blobs: Blobs, *, folder: str = "") -> None:
        """`folder`: what all names begin with, where several logs share a container."""
        self._blobs, self._folder = blobs, folder

    async def newest(self, key: VerifierKey) -> Anchor:
        """The newest anchor; that of an empty tree while there is none. Raises NoteRefused and Unavailable."""
        known = Anchor(0, 0, domain.EMPTY_ROOT)
        for name in await self._blobs.names(f"{self._folder}{_RESTORATIONS}", limit=1):
            restored = await self._restoration(name, key)
            known = Anchor(restored.era, restored.size, restored.root)
        for name in await self._blobs.names(self._era(known.era), limit=1):
            known = await self.at(Place(0, name), key, era=known.era)
        return known

    async def at(self, place: Place, key: VerifierKey, *, era: int = 0) -> Anchor:
        """The anchor at a place; raises NoteRefused, Unavailable, and BlobMissing for a name that is not there."""
        if place.said is not None:
            return place.said
        signed = notes.open((await self._blobs.get(place.name)).content.decode(), key)
        if place.name.rpartition("/")[2] != f"{_MAX_SIZE - signed.size:019}":
            raise NoteRefused("an anchor has another one's name")
        return Anchor(era, signed.size, signed.root)

    async def add(self, note: str, *, size: int, era: int) -> None:
        """Anchor a checkpoint; the same one again changes nothing. Raises Unavailable."""
        with suppress(BlobExists):
            await self._blobs.put(f"{self._era(era)}{_MAX_SIZE - size:019}", note.encode(), content_type=_TYPE)

    async def restore(self, restoration: Restoration, key: SigningKey) -> None:
        """Begin an era; raises BlobExists when somebody else did, and Unavailable."""
        name = f"{self._folder}{_RESTORATIONS}{_MAX_ERA - 1 - restoration.era:04}"
        await self._blobs.put(name, key.sign_text(restoration.text()).encode(), content_type=_TYPE)

    async def binding(self, key: VerifierKey) -> list[Place]:
        """Every anchor that the tree must still fit, the smallest first; raises NoteRefused and Unavailable.

        Of an era that was given up, these are the ones up to where the next one went another way.
        """
        found = await self._blobs.names(f"{self._folder}{_RESTORATIONS}")
        restorations = {made.era: made for made in [await self._restoration(name, key) for name in found]}
        places: list[Place] = []
        most = _MAX_SIZE
        for era in range(max(restorations, default=0), -1, -1):
            places += (place for place in await self._of_era(era) if place.size <= most)
            if era in restorations:
                made = restorations[era]
                if made.size <= most:
                    places.append(Place(made.size, said=Anchor(era, made.size, made.root)))
                most = min(most, made.fork)
        return sorted(places, key=lambda place: place.size)

    async def _of_era(self, era: int) -> Sequence[Place]:
        names = await self._blobs.names(self._era(era))
        try:
            return [Place(_MAX_SIZE - int(name.rpartition("/")[2]), name) for name in names]
        except ValueError as error:
            raise NoteRefused("there is something else among the anchors") from error

    async def _restoration(self, name: str, key: VerifierKey) -> Restoration:
        made = Restoration.read(notes.open_text((await self._blobs.get(name)).content.decode(), key))
        if name.rpartition("/")[2] != f"{_MAX_ERA - 1 - made.era:04}":
            raise NoteRefused("a restoration has another one's name")
        return made

    def _era(self, era: int) -> str:
        return f"{self._folder}{CHECKPOINTS}{_MAX_ERA - 1 - era:04}/"
