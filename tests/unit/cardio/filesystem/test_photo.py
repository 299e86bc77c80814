"""The photo: recognised and measured within bounds, whatever bytes stand in its file."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import simulators.personas.persona
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import AccessNotGrantedError, CardioError, DecodeError, NoPhotoError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.filesystem.codec.photo import PhotoShape, recognise_photo
from cardio.models.files import Photo
from simulators.personas.persona import Persona, find_persona
from simulators.readers.software_reader import SoftwareReader

JPEG = (Path(simulators.personas.persona.__file__).parent / "photo.jpg").read_bytes()
# 2 by 1 pixels, written by hand after the BMP header of 54 bytes.
BMP = b"BM" + struct.pack("<IHHI", 62, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 2, 1, 1, 24, 0, 8, 0, 0, 0, 0)
BMP += bytes.fromhex("0000FF00FF000000")


def photo_of(persona: Persona, progress: list[tuple[int, int]] | None = None) -> Photo:
    reader = SoftwareReader("r", persona.card())
    with SocialSecurityCard(reader.connect(), reader, capabilities=CapabilityCache(None)) as card:
        return card.photo(progress=None if progress is None else lambda done, whole: progress.append((done, whole)))


def with_content(content: bytes) -> Persona:
    whole = find_persona("whole")
    return whole.model_copy(update={"files": whole.files | {"SSSE/EF08": {"content": content}}})


def test_the_photo_comes_in_blocks_and_without_its_fill() -> None:
    steps: list[tuple[int, int]] = []
    photo = photo_of(find_persona("whole"), steps)
    assert photo.data == JPEG
    assert (photo.media_type, photo.width, photo.height, photo.size) == ("image/jpeg", 179, 221, len(JPEG))
    assert steps == [(256 * n, 4096) for n in range(1, 17)]
    assert b"JFIF" not in repr(photo).encode() and "data" not in photo.model_dump()


def test_jpeg_and_bmp_are_recognised() -> None:
    assert recognise_photo(JPEG + bytes(200)) == PhotoShape("image/jpeg", 179, 221, len(JPEG), True)
    assert recognise_photo(BMP + b"\xff" * 30) == PhotoShape("image/bmp", 2, 1, 62, True)
    assert recognise_photo(bytes(4096)) is recognise_photo(b"\xff" * 4096) is recognise_photo(b"") is None


def test_a_photo_without_an_end_is_given_with_a_warning() -> None:
    photo = photo_of(with_content(JPEG[:-200]))
    assert photo.data == JPEG[:-200].rstrip(b"\0") and [w.code for w in photo.warnings] == ["incomplete-photo"]


@pytest.mark.parametrize(
    "content",
    [
        b"GIF89a" + bytes(100),
        b"TEST" * 20,
        JPEG[:20],
        b"BM" + bytes(10),
        BMP[:18] + struct.pack("<i", 1 << 30) + BMP[22:],
        BMP[:18] + struct.pack("<i", 0) + BMP[22:],
        b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00\xff\xd9",
        b"\xff\xd8\xff" + bytes(70_000),
    ],
)
def test_what_is_no_photo_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(DecodeError):
        recognise_photo(content)


@given(st.sampled_from([b"", JPEG[:4], BMP[:30], JPEG[:200]]), st.binary(max_size=300))
def test_any_bytes_are_a_photo_or_our_error(head: bytes, tail: bytes) -> None:
    try:
        shape = recognise_photo(head + tail)
    except DecodeError:
        return
    assert shape is None or (0 < shape.width <= 4000 and shape.size <= len(head + tail))


def test_no_photo_a_closed_one_and_a_generation_without() -> None:
    with pytest.raises(NoPhotoError):
        photo_of(with_content(b""))
    with pytest.raises(NoPhotoError):
        photo_of(find_persona("whole-first"))
    with pytest.raises(NoPhotoError):
        photo_of(find_persona("whole").model_copy(update={"omit": frozenset({"SSSE/EF08"})}))
    with pytest.raises(AccessNotGrantedError) as caught:
        photo_of(find_persona("personalised"))
    assert "PSAM" in caught.value.remedy
    with pytest.raises(CardioError):
        photo_of(with_content(b"TEST"))


@pytest.mark.parametrize("limit", [128, 0xF0, 255])
def test_a_card_that_gives_less_at_once_is_read_all_the_same(limit: int, store: CapabilityCache) -> None:
    """Its Le is refused with 6700 above what it carries; the next card of its kind is asked for less at once."""

    class Small:
        def __init__(self) -> None:
            self.card = find_persona("whole").card()
            self.atr, self.reset = self.card.atr, self.card.reset
            self.refused = 0

        def transmit(self, command: bytes) -> bytes:
            if command[1] == 0xB0 and (command[4] or 256) > max(limit, 0xF0):
                self.refused += 1
                return b"\x67\x00"
            return self.card.transmit(command)

    refused = []
    for _ in range(2):
        card = Small()
        reader = SoftwareReader("r", card)
        with SocialSecurityCard(reader.connect(), reader, capabilities=store) as held:
            assert held.photo().data == JPEG
        refused.append(card.refused)
    assert refused == [1, 0]
