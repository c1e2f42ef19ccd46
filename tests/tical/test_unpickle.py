from __future__ import annotations

import os
import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest

from beholder.errors import UserError
from beholder.tical.unpickle import unpickle


class Calls:
    """Pickles as a call of anything."""

    def __init__(self, function: object, *given: object) -> None:
        self.call = (function, given)

    def __reduce__(self) -> object:
        return self.call


def read(tmp_path: Path, data: bytes, **options: int) -> object:
    (tmp_path / "p.pkl").write_bytes(data)
    return unpickle(tmp_path / "p.pkl", **options)


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_containers_come_back_in_every_protocol(protocol: int, tmp_path: Path) -> None:
    content = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "t": np.array(["ä", "b"]),
        "o": np.array(["x", "yz"], dtype=object),
        "s": np.float64(0.5),
        "n": [1, (2, None), {3}, OrderedDict(k=1), defaultdict(list, k=[1]), frozenset({4}), b"\xff", True],
    }
    back = read(tmp_path, pickle.dumps(content, protocol))
    assert isinstance(back, dict)
    for name in ("a", "f", "t", "o"):
        assert np.array_equal(back[name], content[name])
    assert back["a"].dtype == np.float32
    assert (back["s"], back["n"]) == (content["s"], content["n"])


def test_the_old_names_of_numpy_and_of_python_2_are_known(tmp_path: Path) -> None:
    data = pickle.dumps(np.arange(3), 2)
    assert b"numpy._core" in data
    old = data.replace(b"numpy._core", b"numpy.core")
    assert np.array_equal(read(tmp_path, old), np.arange(3))
    assert read(tmp_path, b"c__builtin__\nset\n((lI3\natR.") == {3}


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (Calls(os.system, "touch HARM"), "posix.system"),
        (Calls(eval, "open('HARM', 'w')"), "builtins.eval"),
        (Calls(getattr, [], "append"), "builtins.getattr"),
        (Calls(np.load, "x.npy", None, True), "numpy.load"),
        (Calls(np.fromfile, "/etc/passwd"), "numpy.fromfile"),
        (Calls(bytearray, 10**12), "builtins.bytearray"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_hostile_pickle_is_refused_by_the_name_of_what_it_calls(
    call: Calls, name: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"wants to call .*{name.split('.')[1]}"):
        read(tmp_path, pickle.dumps({"train": call}, protocol))
    assert not (tmp_path / "HARM").exists()


def test_a_dotted_name_is_not_followed(tmp_path: Path) -> None:
    data = b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93."
    with pytest.raises(UserError, match=r"numpy\.ndarray\.dump"):
        read(tmp_path, data)


@pytest.mark.parametrize(
    "data",
    [
        b"cnumpy\nndarray\n((I1000000000000\ntd.",  # an obj of no class
        b"cnumpy\nndarray\n(I1000000000000\ntR.",  # calls it: would reserve 8 TB
        b"cnumpy\nndarray\n(I1000000000000\nt\x81.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1000000000000\ntS'b'\ntR.",
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O8'\ntRS'x'\ntR.",
        b"c_codecs\nencode\n(Vx\nVzip\ntR.",
        pickle.dumps(np.arange(9))[:-9],
        b"",
        b"no pickle",
        b"r\xff\xff\xff\x7f.",  # LONG_BINPUT
        b"(" * 100_000,
    ],
)
def test_what_is_damaged_or_greedy_is_an_error_of_one_line(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be read as a pickle of arrays"):
        read(tmp_path, data)


def test_lists_that_hold_each_other_many_times_are_refused(tmp_path: Path) -> None:
    nested: list[object] = [0.5]
    for _ in range(40):
        nested = [nested] * 10
    endless: list[object] = []
    endless.append(endless)
    for content in (nested, endless):
        with pytest.raises(UserError, match="more entries than the file has bytes"):
            read(tmp_path, pickle.dumps(content))


def test_a_large_file_is_not_even_begun(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--max-gb"):
        read(tmp_path, pickle.dumps(list(range(100))), max_bytes=50)
