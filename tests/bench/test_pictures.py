import pictures
from PIL import Image


def test_the_same_pictures_every_time(tmp_path):
    first, again = pictures.squares(tmp_path / "a", 3, side=64), pictures.squares(tmp_path / "b", 3, side=64)
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]
    assert {Image.open(file).size for file in first} == {(64, 64)}
    assert len({file.read_bytes() for file in first}) == 3


def test_mixed_pictures_differ_in_size_and_shape(tmp_path):
    sizes = {Image.open(file).size for file in pictures.mixed(tmp_path, 12)}
    assert len(sizes) >= 6
    assert any(width < height for width, height in sizes)


def test_links_are_many_names_of_few_files(tmp_path):
    files = pictures.squares(tmp_path / "files", 2, side=64)
    folder = pictures.links(tmp_path / "links", files, 5)
    assert len(list(folder.iterdir())) == 5
    assert len({file.stat().st_ino for file in folder.iterdir()}) == 2


def test_a_panorama_is_one_large_jpeg(tmp_path):
    with Image.open(pictures.panorama(tmp_path / "p.jpg", side=1300, progressive=True)) as picture:
        assert picture.size == (1300, 1300)
        assert picture.info["progressive"]
        assert picture.getpixel((1299, 1299)) != (0, 0, 0), "tiled to the last corner"
