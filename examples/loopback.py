"""Your camera, through Python and back: what the way there and back costs, and nothing else."""

from rtcstream import Image, Stream


def loopback(image: Image) -> Image:
    """Your camera, through Python and back."""
    return image


stream = Stream(loopback)

if __name__ == "__main__":
    stream.run()
