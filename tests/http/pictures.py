"""Image files that are wrong, or larger than they look. Standard library only."""
import struct
import zlib


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, data, depth=8, colour=2):
    """A PNG with any header and any pixel data, already compressed."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def solid(width, height, depth=8, colour=2):
    """A black PNG: colour 0 is grey, 2 RGB, 6 RGBA."""
    bits = {0: 1, 2: 3, 6: 4}[colour] * depth * width
    rows, press = bytes((bits + 7) // 8 + 1) * 64, zlib.compressobj(9)
    parts = [press.compress(rows[: len(rows) // 64 * min(64, height - y)]) for y in range(0, height, 64)]
    return png(width, height, b"".join(parts) + press.flush(), depth, colour)


def dots(seed, side=112):
    """A small picture of its own for every seed: a grid of coloured squares."""
    rows = []
    for y in range(side):
        row = b"\0"
        for x in range(side):
            cell = zlib.crc32(bytes((seed & 255, seed >> 8, x // 28, y // 28)))
            inside = 6 < x % 28 < 22 and 6 < y % 28 < 22
            row += cell.to_bytes(4, "big")[:3] if inside and cell % 3 else b"\xf0\xf0\xf0"
        rows.append(row)
    return png(side, side, zlib.compress(b"".join(rows)))


def gif(side, frames):
    """An animation on a canvas of side x side whose frames are one pixel, 15 bytes, each."""
    screen = struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + screen + frame * frames + b"\x3b"
