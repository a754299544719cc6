"""Drawings for the gallery, of what cannot be photographed: sound, numbers, words."""

from typing import Any

import cv2
import numpy as np

WIDTH, HEIGHT = 640, 360
GROUND, INK, SOFT = (66, 52, 44), (215, 200, 120), (150, 125, 95)
WARM = (90, 160, 250)


def blank() -> Any:
    """An empty picture: a dusk without hills."""
    shade = np.linspace(1.25, 0.75, HEIGHT)[:, None, None]
    return np.clip(shade * np.array(GROUND) * np.ones((HEIGHT, WIDTH, 1)), 0, 255).astype(np.uint8)


def wave(image: Any, heights: Any, colour: Any = INK, middle: int = HEIGHT // 2) -> Any:
    """A curve of heights, -1..1, across the picture."""
    across = np.arange(WIDTH)
    heights = np.interp(across, np.linspace(0, WIDTH - 1, len(heights)), heights)
    points = np.stack([across, middle - 110 * heights], axis=1).astype(np.int32)
    return cv2.polylines(image, [points], False, colour, 3, cv2.LINE_AA)


def bars(image: Any, heights: Any, colour: Any = INK) -> Any:
    """A voice as the bars of its loudness, 0..1."""
    step = (WIDTH - 80) / len(heights)
    for number, height in enumerate(heights):
        left = round(40 + number * step)
        half = max(int(120 * height), 3)
        low, high = (left, HEIGHT // 2 + half), (left + max(round(step) - 6, 3), HEIGHT // 2 - half)
        cv2.rectangle(image, low, high, colour, -1)
    return image


def words(image: Any, lines: list[str], colour: Any = INK) -> Any:
    """Lines of text, the last one as bright as the others."""
    for number, line in enumerate(lines):
        place = (60, 130 + 60 * number)
        cv2.putText(image, line, place, cv2.FONT_HERSHEY_SIMPLEX, 1.1, colour, 2, cv2.LINE_AA)
    return image


def talk(image: Any, lines: list[str]) -> Any:
    """Two who speak, each in a bubble."""
    for number, line in enumerate(lines):
        left, top = ((190, 70), (50, 200))[number]
        colour = (INK, WARM)[number]
        cv2.rectangle(image, (left, top), (left + 400, top + 90), colour, 2, cv2.LINE_AA)
        place = (left + 28, top + 55)
        cv2.putText(image, line, place, cv2.FONT_HERSHEY_SIMPLEX, 1.0, colour, 2, cv2.LINE_AA)
    return image


def voice(seed: int, count: int = 40) -> Any:
    """How loud somebody is, word after word."""
    rng = np.random.default_rng(seed)
    words = np.abs(np.sin(np.linspace(0, 9, count) + seed))
    return words * rng.uniform(0.35, 1.0, count)


def framed(image: Any, box: tuple[int, int, int, int], label: str, colour: Any = WARM) -> Any:
    """A picture with a box (left, top, width, height) and its name on it."""
    left, top, width, height = box
    cv2.rectangle(image, (left, top), (left + width, top + height), colour, 3, cv2.LINE_AA)
    (across, down), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.7, 2)
    cv2.rectangle(image, (left - 1, top - down - 16), (left + across + 14, top), colour, -1)
    place = (left + 6, top - 8)
    cv2.putText(image, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, GROUND, 2, cv2.LINE_AA)
    return image


def somebody(image: Any, middle: int = 320) -> Any:
    """Head and shoulders in front of a picture."""
    skin, hair, coat = (150, 185, 235), (50, 60, 80), (120, 90, 70)
    cv2.ellipse(image, (middle, 390), (130, 120), 0, 180, 360, coat, -1, cv2.LINE_AA)
    cv2.ellipse(image, (middle, 170), (78, 96), 0, 0, 360, hair, -1, cv2.LINE_AA)
    cv2.ellipse(image, (middle, 190), (64, 84), 0, 0, 360, skin, -1, cv2.LINE_AA)
    for side in (-1, 1):
        cv2.circle(image, (middle + 25 * side, 175), 7, hair, -1, cv2.LINE_AA)
    cv2.ellipse(image, (middle, 218), (26, 16), 0, 20, 160, hair, 4, cv2.LINE_AA)
    return image


def drawings(scene: Any) -> dict[str, Any]:
    """A picture for each example that has no camera, by name."""
    time = np.linspace(0, 1, 2000)
    number = cv2.putText(
        blank(), "42", (210, 240), cv2.FONT_HERSHEY_SIMPLEX, 5, INK, 12, cv2.LINE_AA
    )
    noise = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    noise[:, WIDTH // 2 :] = (0, 124, 255)
    film = scene.copy()
    cv2.fillPoly(film, [np.array([[285, 130], [285, 230], [370, 180]])], (255, 255, 255))
    strip = np.hstack([cv2.resize(scene, (WIDTH // 3, HEIGHT // 3))] * 3)
    strip = cv2.resize(strip, (WIDTH, HEIGHT // 3))
    repeated = blank()
    repeated[HEIGHT // 3 : 2 * HEIGHT // 3] = strip
    hidden = somebody(scene.copy())
    blocks = cv2.resize(hidden, (29, 16), interpolation=cv2.INTER_AREA)
    blocks = cv2.resize(blocks, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    hidden[80:290, 235:405] = blocks[80:290, 235:405]
    read = words(blank(), ["", "what is written"])
    read = framed(read, (52, 154, 310, 50), "what is written 98%")
    reel = framed(film.copy(), (372, 46, 116, 182), "balloon 93%")
    answer = bars(blank(), np.concatenate([voice(2, 18), np.zeros(4), np.zeros(18)]))
    answer = bars(answer, np.concatenate([np.zeros(22), voice(2, 18) * 0.8]), WARM)
    slow, fast = np.sin(2 * np.pi * 5 * time), np.sin(2 * np.pi * 8 * time)
    return {
        "my_generator": number,
        "fake_diffusion": noise,
        "tone": wave(blank(), np.sin(2 * np.pi * (3 * time + 5 * time**2))),
        "voice_changer": wave(wave(blank(), 0.7 * slow, SOFT), 0.7 * fast, WARM),
        "audio_meter": bars(blank(), voice(5)),
        "play_file": film,
        "keep_repeating_audio": bars(blank(), np.tile(voice(3, 12), 3)),
        "keep_repeating_video": repeated,
        "object_detection": framed(somebody(scene.copy()), (250, 98, 140, 180), "face 99%"),
        "face_blur": hidden,
        "read_text": read,
        "track_object": framed(scene.copy(), (372, 46, 116, 182), "target 97%", INK),
        "detect_in_file": reel,
        "echo_bot": answer,
        "conversation": talk(blank(), ["What is the time?", "It is ten to eight."]),
        "transcribe": words(blank(), ["what you say,", "as text,", "while you say it"]),
    }
