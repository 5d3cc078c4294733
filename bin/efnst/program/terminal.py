"""What is shown to a person: control characters of files are written out, so that no terminal obeys them."""

from contextlib import ExitStack, redirect_stderr, redirect_stdout
from typing import TextIO

OBEYED = [code for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\r\t"]
WRITTEN_OUT = {code: f"\\x{code:02x}" for code in OBEYED}
WRITTEN_OUT |= {code: f"\\u{code:04x}" for code in range(0xD800, 0xE000)}  # halves of letters, which no file can hold


def printable(text: str) -> str:
    """`text` with its control characters written out; line breaks and tabs stay."""
    return text.translate(WRITTEN_OUT)


class Printable:
    """A stream that writes `printable` text."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(printable(text))

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def printable_output(output: TextIO, errors: TextIO) -> ExitStack:
    """While this is open, messages are printable, and so is what a terminal gets; a file gets the output as it is."""
    streams = ExitStack()
    streams.enter_context(redirect_stderr(Printable(errors)))
    if output.isatty():
        streams.enter_context(redirect_stdout(Printable(output)))
    return streams
