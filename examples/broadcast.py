"""One camera for everybody: the first to send is seen by all who watch, and all may caption."""

import cv2

from rtcstream import Image, Stream


def broadcast(image: Image, caption: str = "Live") -> Image:
    """One camera for everybody: the first to send is seen by all who watch."""
    height, scale = image.shape[0], image.shape[0] / 480
    image[-height // 8 :] //= 3
    place, white = (round(20 * scale), height - round(20 * scale)), (255, 255, 255)
    return cv2.putText(
        image, caption, place, cv2.FONT_HERSHEY_SIMPLEX, scale, white, round(2 * scale)
    )


stream = Stream(broadcast, shared=True)

if __name__ == "__main__":
    stream.run()
