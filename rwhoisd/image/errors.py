"""What is wrong with an image, or with what was to go into one."""


class ImageError(Exception):
    """The image is missing, torn, foreign or of another format, or cannot be built.

    The text says what was found and what to do about it.
    """


class DamagedImageError(ImageError):
    """The image looked whole when it was opened and is not: only a build mends it."""
