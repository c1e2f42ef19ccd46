from __future__ import annotations

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import RenderPicture
from tar_files import entry, jpeg, write_tar

from beholder.imaging import archive
from beholder.imaging.find import NothingFoundError, find_images
from beholder.imaging.open import open_image
from beholder.imaging.status import ImageError


@pytest.fixture(scope="module")
def pictures(render_picture: RenderPicture) -> list[bytes]:
    return [jpeg(render_picture(i, (64 + i, 48))) for i in range(6)]


@pytest.fixture
def shard(pictures: list[bytes], tmp_path: Path) -> str:
    """A WebDataset shard: pictures with their texts, and what macOS adds."""
    content: dict[str, bytes] = {}
    for i, picture in enumerate(pictures):
        content |= {f"{i:04d}.txt": b"a caption", f"{i:04d}.jpg": picture, f"._{i:04d}.jpg": b"shadow"}
    return str(
        write_tar(tmp_path / "shard.tar", content | {"__MACOSX/x.jpg": b"shadow", "deep/er/café.JPG": pictures[0]})
    )


NAMES = [*(f"{i:04d}.jpg" for i in range(6)), "deep/er/café.JPG"]


def test_an_archive_leads_to_its_pictures_in_its_order(shard: str) -> None:
    assert find_images([shard]) == [f"{shard}::{name}" for name in NAMES]
    assert find_images([str(Path(shard).parent / "*.tar")]) == find_images([shard])
    assert find_images([f"{shard}::0003.jpg"]) == [f"{shard}::0003.jpg"]


def test_archives_inside_a_folder_are_left_alone(shard: str) -> None:
    with pytest.raises(NothingFoundError, match="holds no pictures"):
        find_images([str(Path(shard).parent)])


def test_an_archive_without_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(NothingFoundError, match=r"archive '.*x\.tar' holds no pictures"):
        find_images([str(write_tar(tmp_path / "x.tar", {"a.txt": b"words"}))])


def test_a_member_has_the_pixels_of_the_file_in_any_order(shard: str, pictures: list[bytes], tmp_path: Path) -> None:
    for i in (3, 0, 5, 5, 1):
        (tmp_path / "one.jpg").write_bytes(pictures[i])
        member = open_image(f"{shard}::{i:04d}.jpg")
        assert np.array_equal(member.rgb, open_image(tmp_path / "one.jpg").rgb)
        assert member.width == 64 + i


def test_threads_do_not_mix_up_their_places(shard: str) -> None:
    wanted = [i % 6 for i in range(200)]
    with ThreadPoolExecutor(4) as pool:
        widths = list(pool.map(lambda i: open_image(f"{shard}::{i:04d}.jpg").width, wanted))
    assert widths == [64 + i for i in wanted]


def test_an_archive_that_was_replaced_is_read_again(shard: str, pictures: list[bytes]) -> None:
    assert open_image(f"{shard}::0002.jpg").width == 66
    write_tar(Path(shard), {"0002.jpg": pictures[5]})
    assert open_image(f"{shard}::0002.jpg").width == 69


def test_a_file_that_is_only_called_like_a_member_is_a_file(pictures: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "x.tar::1.jpg"
    path.write_bytes(pictures[1])
    assert open_image(path).width == 65


@pytest.mark.parametrize(
    "name", ["../../etc/passwd.jpg", "/etc/passwd.jpg", "a/../../b.jpg", "a\\..\\..\\b.jpg", "\\b.jpg", "C:\\b.jpg"]
)
def test_a_name_that_leads_out_of_the_archive_gets_a_row_and_is_not_read(
    name: str, pictures: list[bytes], tmp_path: Path
) -> None:
    shard = write_tar(tmp_path / "x.tar", {name: pictures[0], "good.jpg": pictures[1]})
    paths = find_images([str(shard)])
    assert paths == [f"{shard}::{name}", f"{shard}::good.jpg"]
    with pytest.raises(ImageError, match="leads out of the archive") as failed:
        open_image(paths[0])
    assert failed.value.status == "unsupported"
    assert open_image(paths[1]).width == 65


def test_links_and_devices_are_not_followed(pictures: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(pictures[0])
    target = str(tmp_path / "secret.jpg")
    kinds = {"soft.jpg": tarfile.SYMTYPE, "hard.jpg": tarfile.LNKTYPE, "pipe.jpg": tarfile.FIFOTYPE}
    shard = write_tar(tmp_path / "x.tar", [entry(name, type=kind, linkname=target) for name, kind in kinds.items()])
    for path in find_images([str(shard)]):
        with pytest.raises(ImageError, match="not a plain file") as failed:
            open_image(path)
        assert failed.value.status == "unsupported"


def test_a_member_that_is_too_large_is_refused_by_its_header(
    monkeypatch: pytest.MonkeyPatch, pictures: list[bytes], tmp_path: Path
) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", len(pictures[0]) - 1)
    shard = write_tar(tmp_path / "x.tar", {"a.jpg": pictures[0], "empty.jpg": b""})
    with pytest.raises(ImageError, match="allowed in an archive are") as failed:
        open_image(f"{shard}::a.jpg")
    assert failed.value.status == "too_large"
    with pytest.raises(ImageError, match="file is empty"):
        open_image(f"{shard}::empty.jpg")


def damaged_rows(shard: Path) -> tuple[list[str], str]:
    """Names of the rows that an archive gives, and what opening the last of them says."""
    paths = find_images([str(shard)])
    with pytest.raises(ImageError) as failed:
        open_image(paths[-1])
    assert failed.value.status == "unreadable"
    return [path.removeprefix(f"{shard}::") for path in paths], str(failed.value)


def test_what_is_before_the_damage_is_scored_and_the_damage_has_a_row(pictures: list[bytes], tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "whole.tar", {f"{i}.jpg": picture for i, picture in enumerate(pictures)}).read_bytes()
    cut, overwritten = tmp_path / "cut.tar", tmp_path / "overwritten.tar"
    second = whole.index(b"1.jpg\0")
    cut.write_bytes(whole[: second + 700])
    assert damaged_rows(cut) == (
        ["0.jpg", "1.jpg", ""],
        "damaged or not a plain tar archive after '1.jpg': unexpected end of data",
    )
    overwritten.write_bytes(whole[:second] + b"\xff" * 512 + whole[second + 512 :])
    names, said = damaged_rows(overwritten)
    assert names == ["0.jpg", ""]
    assert "after '0.jpg': what follows is no header" in said
    assert open_image(f"{overwritten}::0.jpg").width == 64


@pytest.mark.parametrize("content", [b"\x1f\x8b" + bytes(600), b"not a tar at all" * 100, b"short"])
def test_a_file_that_is_no_plain_archive_has_a_row(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    names, said = damaged_rows(tmp_path / "x.tar")
    assert names == [""]
    assert "damaged or not a plain tar archive" in said


def negative(number: int) -> bytes:
    """A size field that is negative, in base 256 as GNU tar writes large ones."""
    return b"\xff" + number.to_bytes(11, "big", signed=True)


def header_with_size(name: str, size_field: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    head = bytearray(entry(name, type=kind)[0].tobuf(tarfile.GNU_FORMAT))
    head[124:136] = size_field
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (header_with_size("back.jpg", negative(-1024)), "lead backwards"),
        (header_with_size("@LongLink", b"77777777777\0", tarfile.GNUTYPE_LONGNAME), "a header claims 8,589,934,592"),
        (header_with_size("@LongLink", negative(-1024), tarfile.GNUTYPE_LONGNAME), "a header claims -1,024"),
        (header_with_size("pax", b"77777777777\0", tarfile.XHDTYPE), "a header claims 8,589,934,592"),
        (header_with_size("@LongLink", b"00000001000\0", tarfile.GNUTYPE_LONGNAME) * 3000, ""),
    ],
)
def test_a_header_that_lies_ends_the_archive_and_not_the_run(
    header: bytes, reason: str, pictures: list[bytes], tmp_path: Path
) -> None:
    good = write_tar(tmp_path / "good.tar", {"good.jpg": pictures[0]}).read_bytes()[: -2 * tarfile.BLOCKSIZE]
    (tmp_path / "x.tar").write_bytes(good + header + bytes(4096))
    names, said = damaged_rows(tmp_path / "x.tar")
    assert names == ["good.jpg", ""]
    assert reason in said


def test_a_zero_byte_in_a_name_does_not_make_two_paths(pictures: list[bytes], tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as file:
        info, content = entry("a.jpg", pictures[0], pax_headers={"path": "a\0/etc/passwd.jpg"})
        file.addfile(info, io.BytesIO(content))
    [path] = find_images([str(tmp_path / "x.tar")])
    assert "\0" not in path
