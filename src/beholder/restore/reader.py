"""Originals read in a process of its own, so that one that hangs or crashes its decoder costs its row and not the run.

A few kilobytes can keep a decoder busy for hours (a progressive JPEG of a thousand scans) or bring it down.
"""

from __future__ import annotations

import multiprocessing
import signal
import warnings
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, Self

from PIL import Image

from beholder.batch.worker import end_with_parent, mute_native_code
from beholder.batch.workers import PYTHON_EXCEPTION, no_interrupt, no_main_module
from beholder.imaging.status import ImageError
from beholder.restore.original import Original, read_original


class Reader:
    """Use as a context manager: leaving it ends the process, whatever it does.

    The process starts at once, so that it is ready when the model is.
    """

    def __init__(self, *, max_pixels: int, timeout_s: float) -> None:
        self._max_pixels = max_pixels
        self._timeout_s = timeout_s
        self._is_ready: bool
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def read(self, path: str) -> Original:
        """`original.read_original`. What is wrong with a picture may also be that it takes longer than the time limit
        (`timeout`) or that its decoder died (`crashed`). Raises `RuntimeError` for a bug of ours."""
        try:
            if not self._is_ready:
                self._is_ready = bool(self._pipe.recv())
            self._pipe.send(path)
            if not self._pipe.poll(self._timeout_s):
                self._start_again()
                raise ImageError("timeout", f"reading it took longer than {self._timeout_s:g} s")
            answer = self._pipe.recv()
        except (EOFError, OSError):
            code = self._start_again()
            if code == PYTHON_EXCEPTION:
                raise RuntimeError("reading a picture ended with an exception; its traceback is on stderr") from None
            raise ImageError("crashed", f"the process that read it died (exit code {code})") from None
        if isinstance(answer, ImageError):
            raise answer
        original, exif_bytes = answer
        whole: Original = replace(original, exif=_exif(exif_bytes))
        return whole

    def _start(self) -> None:
        context: Any = multiprocessing.get_context("spawn")  # torch has threads of its own, which no fork survives
        self._is_ready = False
        ours, theirs = context.Pipe()
        self._pipe: Connection = ours
        self._process = context.Process(target=_work, args=(theirs, self._max_pixels), daemon=True)
        with no_main_module(), no_interrupt():
            self._process.start()
        theirs.close()

    def _start_again(self) -> int | None:
        """Its exit code, if it had died by itself."""
        self._process.join(timeout=1)  # the pipe closes before the exit code is known
        code: int | None = self._process.exitcode
        self._end()
        self._start()
        return code

    def _end(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _work(pipe: Connection, max_pixels: int) -> None:
    """Answer each path with an original or an `ImageError` until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent ends us
    warnings.filterwarnings("ignore", module="PIL")  # about damaged metadata, without a file name; rows have notes
    mute_native_code()
    Thread(target=end_with_parent, daemon=True).start()
    with suppress(EOFError, BrokenPipeError):
        pipe.send(True)
        while True:
            path = pipe.recv()
            try:
                original = read_original(path, max_pixels=max_pixels)
            except ImageError as error:
                pipe.send(error)
            else:
                # Pillow's Exif loses what it reads lazily from a file when it is pickled; its bytes are whole.
                exif = original.exif
                pipe.send((replace(original, exif=None), None if exif is None else exif.tobytes()))


def _exif(content: bytes | None) -> Image.Exif | None:
    if content is None:
        return None
    exif = Image.Exif()
    exif.load(content)
    return exif
