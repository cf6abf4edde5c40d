"""Whether the files of this process are the user's own, so that they are read without a guard."""

from __future__ import annotations

__all__ = ["trust_files", "trusted_files"]

_trusted = False


def trust_files(trusted: bool = True) -> None:
    """Read files in this process, which is a little faster, and follow symbolic links.

    For files of one's own: HDF5 and Pillow can crash, hang or take all memory on damaged files, and
    then end this process. Every check of what a file says stays.

    Args:
        trusted: False returns to reader processes with limits.

    Examples:
        >>> wsolbench.trust_files()
        >>> len(wsolbench.AnnotationStore.open("demo/mini.h5"))
        240
        >>> wsolbench.trust_files(False)
    """
    global _trusted
    _trusted = bool(trusted)


def trusted_files() -> bool:
    """Whether files are read without a guard."""
    return _trusted
