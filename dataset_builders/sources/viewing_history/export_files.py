"""The files of an export, whether it is one file, a folder or a zip archive, and their text as UTF-8 on disk."""

import codecs
import errno
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

from ...input_error import InputError, did_you_mean_file
from ..delimited import copy_as_utf8

MAX_UNPACKED_BYTES = 4 << 30
"""What the files of an archive that are read may take unpacked, all together. Real exports stay far below."""

WESTERN = "cp1252"
"""Windows' Latin-1, what text without a byte order mark is taken for that is no UTF-8."""

_HEAD_BYTES = 1 << 16
_CHUNK = 1 << 20
_SUFFIXES = {".csv", ".json", ".html"}
_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 1
# What zipfile raises over archives with damaged bytes.
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, LookupError, NotImplementedError)
_ZIP_START = b"PK\x03\x04"
_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class ExportFile:
    """One file of an export.

    Args:
        name (`str`): How reports call it: its path below the folder or inside the archive.
        path (`Path`): The file, or the archive that holds it.
        archive (`zipfile.ZipFile`, *optional*): The archive, open; `name` is then the name of a member.
        encoding (`str`, *optional*): How its text is encoded, where the user said so.
        guessed (`bool`, *optional*, defaults to `False`): Whether `WESTERN` was assumed for lack of information.
    """

    name: str
    path: Path
    archive: zipfile.ZipFile | None = None
    encoding: str | None = None
    guessed: bool = False

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The bytes of the file.

        Raises:
            InputError: The archive is damaged.
        """
        if self.archive is None:
            with self.path.open("rb") as file:
                yield file
            return
        try:
            with self.archive.open(self.name) as file:
                yield file
        except _ZIP_ERRORS as error:
            raise _damaged(self.path, self.name, error) from error
        except OSError as error:
            if error.errno != errno.EINVAL:  # a damaged table of contents points outside the archive
                raise
            raise _damaged(self.path, self.name, error) from error


@contextmanager
def open_export(path: str | Path, encoding: str | None = None) -> Iterator[list[ExportFile]]:
    """The files that an export may consist of, by name; an archive stays open meanwhile.

    Args:
        path (`str` or `Path`): A file; a folder, searched with all folders in it for `.csv` and `.json`; or a zip
            archive, searched in the same way.
        encoding (`str`, *optional*): How the text is encoded; by default each file tells, see `encoding_of`.

    Yields:
        `list[ExportFile]`: One for a file; possibly none for a folder or an archive.

    Raises:
        InputError: There is nothing at the path, or the archive cannot be read.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        yield [replace(file, encoding=encoding) for file in _files_below(path)]
    elif not path.is_file():
        raise InputError(f"There is no file or folder {path}. {did_you_mean_file(path)}")
    elif _begins(path, _ZIP_START) and not zipfile.is_zipfile(path):
        raise InputError(f"{path} is a truncated zip archive. Download it again.")
    elif zipfile.is_zipfile(path):
        with _opened_archive(path) as archive:
            yield [ExportFile(name, path, archive, encoding) for name in _members(path, archive)]
    else:
        yield [ExportFile(path.name, path, encoding=encoding)]


def head_of(file: ExportFile) -> str:
    """The first 64 kB of a file as text."""
    with file.open() as source:
        head = source.read(_HEAD_BYTES)
    told = _marked_encoding(head) or file.encoding
    try:
        # Not final: the head may end in the middle of a letter.
        return codecs.getincrementaldecoder(told or "utf-8")().decode(head)
    except UnicodeError:
        return head.decode(file.encoding or WESTERN, "replace")


def unpack(files: Sequence[ExportFile], folder: Path) -> list[ExportFile]:
    """Put the text of files on disk as UTF-8; a plain UTF-8 file stays where it is.

    Args:
        files (`list[ExportFile]`): As `open_export` yields them.
        folder (`Path`): An empty folder for the copies.

    Returns:
        `list[ExportFile]`: The same names, in UTF-8; no members of archives. Bytes that cannot be decoded became
        U+FFFD.

    Raises:
        InputError: An archive is damaged, or larger than `MAX_UNPACKED_BYTES`.
    """
    _refuse_large(files)
    copies = []
    for number, file in enumerate(files):
        plain = file.path if file.archive is None else _extracted(file, folder / f"{number}.unpacked")
        encoding = encoding_of(plain, file.encoding)
        text = plain if encoding is None else copy_as_utf8(plain, folder / f"{number}.text", encoding)
        copies.append(ExportFile(file.name, text, guessed=encoding == WESTERN and file.encoding is None))
    return copies


def encoding_of(path: Path, said: str | None = None) -> str | None:
    """How the text of a file is encoded.

    Args:
        path (`Path`): Any file.
        said (`str`, *optional*): What the user says. A byte order mark knows better.

    Returns:
        `str` or `None`: A Python codec; `None` for clean UTF-8. A file without a byte order mark that is no clean
        UTF-8 is UTF-8 with damage when some letter of it is right UTF-8, else `WESTERN`.
    """
    with path.open("rb") as file:
        marked = _marked_encoding(file.read(3))
    if marked == "utf-16" or said is not None:
        return marked or said
    try:
        for _ in _decoded(path, "strict"):
            pass
    except UnicodeDecodeError:
        plain = all(text.isascii() for text in _decoded(path, "ignore"))
        return WESTERN if plain else "utf-8"
    return None


def _decoded(path: Path, errors: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def _may_be_read(name: str) -> bool:
    path = PurePosixPath(name)
    # macOS writes a second, binary file "._name" beside each file.
    return path.suffix.lower() in _SUFFIXES and not name.endswith("/") and not path.name.startswith("._")


def _files_below(folder: Path) -> list[ExportFile]:
    named = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
    return [ExportFile(name, file) for name, file in named.items() if _may_be_read(name)]


def _begins(path: Path, start: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(start)) == start


def _opened_archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _ZIP_ERRORS as error:
        raise _damaged(path, "the table of contents", error) from error


def _members(path: Path, archive: zipfile.ZipFile) -> list[str]:
    found = [info for info in archive.infolist() if _may_be_read(info.filename)]
    for info in found:
        if info.flag_bits & _ENCRYPTED or info.compress_type not in _COMPRESSIONS:
            raise InputError(
                f"{info.filename} in {path} is encrypted or packed in an unusual way. Unpack the archive yourself and "
                "give the folder."
            )
    return sorted({info.filename for info in found})


def _refuse_large(files: Sequence[ExportFile]) -> None:
    # zipfile never yields more of a member than the size it declares.
    declared = sum(file.archive.getinfo(file.name).file_size for file in files if file.archive is not None)
    if declared > MAX_UNPACKED_BYTES:
        raise InputError(
            f"{files[0].path} would take {declared:,} bytes unpacked, far more than a personal export; at most "
            f"{MAX_UNPACKED_BYTES:,} are read. If the archive is genuine, unpack it yourself and give the folder."
        )


def _extracted(file: ExportFile, target: Path) -> Path:
    with file.open() as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink, _CHUNK)
    return target


def _marked_encoding(head: bytes) -> str | None:
    return next((encoding for mark, encoding in _BYTE_ORDER_MARKS.items() if head.startswith(mark)), None)


def _damaged(path: Path, what: str, error: Exception) -> InputError:
    return InputError(f"{path} is damaged or truncated: {what} cannot be read ({error}). Download it again.")
