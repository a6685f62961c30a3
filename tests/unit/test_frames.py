"""The byte layout, and cutting a stream into frames wherever the reads end."""

import pytest

from weaver.errors import ProtocolError
from weaver.frames import (
    HAS_DEADLINE,
    HEADER,
    HEADER_SIZE,
    IS_LARGE,
    KIND_NAMES,
    MAX_PART,
    MAX_PAYLOAD,
    NO_FIELDS,
    PONG,
    REPLY,
    REQUEST,
    REQUEST_PART,
    RESULT_PART,
    USUAL_REPLY,
    USUAL_REQUEST,
    WORDS,
    Fields,
    Frame,
    FrameDecoder,
    decode_fields,
    encode_fields,
)

EVERYTHING = 0x1F
STREAM = b"".join(
    HEADER.pack(len(body), call, 7, REQUEST, 0) + body
    for call, body in enumerate([b"", b"a", b"0123456789abcdef", bytes(300)], 1)
)
FRAMES: list[Frame] = [
    (REQUEST, 0, 7, 1, b""),
    (REQUEST, 0, 7, 2, b"a"),
    (REQUEST, 0, 7, 3, b"0123456789abcdef"),
    (REQUEST, 0, 7, 4, bytes(300)),
]


def test_usual_headers_are_headers() -> None:
    assert WORDS.pack(5, 9, USUAL_REPLY) == HEADER.pack(5, 9, 0, REPLY, 0)
    request = HEADER.pack(5, 9, 0xFFFE, REQUEST, HAS_DEADLINE)
    assert WORDS.pack(5, 9, USUAL_REQUEST << 16 | 0xFFFE) == request


def test_the_header_is_laid_out_as_drawn() -> None:
    packed = HEADER.pack(0x01020304, 0x05060708, 0x090A, REPLY, IS_LARGE)
    assert packed == bytes.fromhex("04030201 08070605 0a09 07 10")
    assert HEADER_SIZE == 12
    assert len(KIND_NAMES) == PONG + 1


@pytest.mark.parametrize(
    ("fields", "flags", "encoded"),
    [
        (NO_FIELDS, 0, ""),
        (Fields(deadline_ms=1), 0x01, "01000000"),
        (Fields(trace=b"t" * 24), 0x02, "74" * 24),
        (Fields(credit=(2, 3)), 0x04, "02000000 03000000"),
        (Fields(metadata=b"ab"), 0x08, "0200 6162"),
        (Fields(total=4), 0x10, "04000000"),
        (
            Fields(1, b"t" * 24, (2, 3), b"ab", 4),
            0x1F,
            "01000000" + "74" * 24 + "02000000 03000000 0200 6162 04000000",
        ),
    ],
)
def test_fields_are_laid_out_as_drawn_and_read_back(
    fields: Fields, flags: int, encoded: str
) -> None:
    assert encode_fields(fields) == (flags, bytes.fromhex(encoded))
    payload = bytes.fromhex(encoded) + b"body"
    assert decode_fields(flags, payload, EVERYTHING) == (fields, b"body")


def test_every_payload_too_short_for_its_fields_is_refused() -> None:
    flags, encoded = encode_fields(Fields(1, b"t" * 24, (2, 3), b"ab", 4))
    for size in range(len(encoded)):
        with pytest.raises(ProtocolError, match="too short"):
            decode_fields(flags, encoded[:size], EVERYTHING)


def test_a_flag_that_may_not_be_there_is_refused() -> None:
    with pytest.raises(ProtocolError, match="0x01"):
        decode_fields(HAS_DEADLINE, bytes(4), IS_LARGE)


def test_frames_split_at_every_byte_are_the_same_frames() -> None:
    assert list(FrameDecoder().frames(STREAM)) == FRAMES
    for cut in range(len(STREAM) + 1):
        decoder = FrameDecoder()
        assert [*decoder.frames(STREAM[:cut]), *decoder.frames(STREAM[cut:])] == FRAMES
        assert decoder.buffered == 0


@pytest.mark.parametrize("size", [1, 2, 3, 11, 12, 13, 100])
def test_frames_in_pieces_of_any_size_are_the_same_frames(size: int) -> None:
    decoder = FrameDecoder()
    got: list[Frame] = []
    for at in range(0, len(STREAM), size):
        got += decoder.frames(STREAM[at : at + size])
    assert got == FRAMES


def test_only_one_incomplete_frame_is_held() -> None:
    decoder = FrameDecoder()
    assert list(decoder.frames(STREAM[:-1])) == FRAMES[:-1]
    assert decoder.buffered == HEADER_SIZE + 299


@pytest.mark.parametrize("pieces", [1, 12])
def test_an_absurd_length_is_refused_from_the_header_alone(pieces: int) -> None:
    for length, kind in (
        (MAX_PAYLOAD + 1, REQUEST),
        (MAX_PART + 1, REQUEST_PART),
        (2**32 - 1, RESULT_PART),
    ):
        header = HEADER.pack(length, 1, 0, kind, 0)
        decoder = FrameDecoder()
        last = HEADER_SIZE - HEADER_SIZE // pieces
        assert [f for at in range(last) for f in decoder.frames(header[at : at + 1])] == []
        with pytest.raises(ProtocolError, match=str(length)):
            list(decoder.frames(header[last:]))
        assert decoder.buffered <= HEADER_SIZE


def test_frames_before_an_impossible_one_are_still_decoded() -> None:
    decoded = FrameDecoder().frames(STREAM + HEADER.pack(0, 0, 0, 99, 0))
    assert [next(decoded) for _ in FRAMES] == FRAMES
    with pytest.raises(ProtocolError, match="unknown kind 99"):
        next(decoded)


@pytest.mark.parametrize(("kind", "longest"), [(REQUEST, MAX_PAYLOAD), (REQUEST_PART, MAX_PART)])
def test_the_longest_frame_is_accepted(kind: int, longest: int) -> None:
    body = bytes(longest)
    header = HEADER.pack(longest, 1, 0, kind, 0)
    assert list(FrameDecoder().frames(header + body)) == [(kind, 0, 0, 1, body)]
