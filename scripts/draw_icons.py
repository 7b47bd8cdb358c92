"""Draws static/icon-192.png and icon-512.png, for systems that take no SVG: the lines of static/icon.svg on a tile."""

import math
import struct
import sys
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

STATIC = Path(__file__).parent.parent / "static"
SIZES = (192, 512)
SIDE = 32  # of icon.svg's own measure
SCALE = 0.75  # of the lines on the tile
WIDTH = 3
CORNER = 6
LINE, TILE = (0x8A, 0x5A, 0x2B), (0xFA, 0xF8, 0xF4)
CURVE_STEPS = 16

Point = tuple[float, float]
Segment = tuple[Point, Point]


def main() -> None:
    for size in SIZES:
        (STATIC / f"icon-{size}.png").write_bytes(png(size, b"".join(rows(size))))
        sys.stdout.write(f"icon-{size}.png\n")


def strokes() -> list[Segment]:
    """M3 22h26 M6 22c0-7 4-12 10-12s10 5 10 12 M16 10v12"""
    left = curve((6, 22), (6, 15), (10, 10), (16, 10))
    right = curve((16, 10), (22, 10), (26, 15), (26, 22))
    return [((3, 22), (29, 22)), *left, *right, ((16, 10), (16, 22))]


def curve(start: Point, first: Point, second: Point, end: Point) -> list[Segment]:
    points = [on_curve(start, first, second, end, step / CURVE_STEPS) for step in range(CURVE_STEPS + 1)]
    return list(pairwise(points))


def on_curve(start: Point, first: Point, second: Point, end: Point, t: float) -> Point:
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    points = (start, first, second, end)
    x = sum(weight * point[0] for weight, point in zip(weights, points, strict=True))
    y = sum(weight * point[1] for weight, point in zip(weights, points, strict=True))
    return x, y


def rows(size: int) -> Iterator[bytes]:
    """RGBA, each row after its filter byte."""
    segments, pixel = strokes(), SIDE / size
    for row in range(size):
        y = (row + 0.5) * pixel
        cells = bytearray(b"\0")
        for column in range(size):
            x = (column + 0.5) * pixel
            inner = (SIDE / 2 + (x - SIDE / 2) / SCALE, SIDE / 2 + (y - SIDE / 2) / SCALE)
            away = min(distance(inner, segment) for segment in segments) - WIDTH / 2
            share = covered(away * SCALE / pixel)
            colour = (round(line * share + tile * (1 - share)) for line, tile in zip(LINE, TILE, strict=True))
            cells += bytes((*colour, round(255 * covered(outside_tile(x, y) / pixel))))
        yield bytes(cells)


def covered(pixels_away: float) -> float:
    """The share of a pixel that lies inside, by how far its middle is outside of the edge."""
    return min(1.0, max(0.0, 0.5 - pixels_away))


def distance(point: Point, segment: Segment) -> float:
    (x, y), ((ax, ay), (bx, by)) = point, segment
    dx, dy = bx - ax, by - ay
    along = min(1.0, max(0.0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)))
    return math.hypot(x - ax - along * dx, y - ay - along * dy)


def outside_tile(x: float, y: float) -> float:
    beyond = [abs(at - SIDE / 2) - (SIDE / 2 - CORNER) for at in (x, y)]
    return math.hypot(*(max(0.0, each) for each in beyond)) + min(0.0, max(beyond)) - CORNER


def png(size: int, pixels: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in parts)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


if __name__ == "__main__":
    main()
