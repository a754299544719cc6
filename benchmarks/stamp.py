"""A function that shows a control's value in the picture, as page/barcode.js writes numbers."""

from typing import Annotated

from rtcstream import Image, Range

BITS = 12
BLOCKS = 2 + BITS + 2


def stamp(image: Image, number: Annotated[int, Range(0, 2**BITS - 1)] = 0) -> Image:
    side = image.shape[1] // BLOCKS
    for index, white in enumerate(blocks(number)):
        image[:side, index * side : (index + 1) * side] = 255 if white else 0
    return image


def blocks(number: int) -> list[bool]:
    bits = [bool(number >> place & 1) for place in reversed(range(BITS))]
    return [True, False, *bits, sum(bits[::2]) % 2 == 1, sum(bits[1::2]) % 2 == 1]
