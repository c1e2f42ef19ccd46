"""What comes from strangers and means harm: names in archives, pickles as checkpoints, weights that are not whole."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from record import beholder_command
from sandbox import Ended, Outcome, run_inside

from beholder.batch.files import read_rows

LIMIT_S = 600.0

MEMBERS = (
    "../evil.jpg",
    "../../../../../../tmp/evil.jpg",
    "/tmp/evil.jpg",
    "a/../../evil.jpg",
    "a/b/../../../evil.jpg",
    "a\\..\\..\\evil.jpg",
    "C:\\evil.jpg",
    "..",
)
"""Names that lead out of an archive."""

LINKS = {"symlink.jpg": tarfile.SYMTYPE, "hardlink.jpg": tarfile.LNKTYPE, "device.jpg": tarfile.CHRTYPE}
"""Members that are no files; the links lead to a picture outside."""


def hostile_tar(file: Path, picture: bytes, outside: Path) -> int:
    """An archive with two honest members among hostile ones; the number of all that have a picture's name."""
    with tarfile.open(file, "w") as archive:
        for name in ("first.jpg", *MEMBERS, "last.jpg"):
            info = tarfile.TarInfo(name)
            info.size = len(picture)
            archive.addfile(info, io.BytesIO(picture))
        for name, kind in LINKS.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(outside)
            archive.addfile(info)
    return 2 + len([name for name in MEMBERS if name.endswith(".jpg")]) + len(LINKS)


def climb_out(picture: bytes, sandbox: Path, model: str, upscaler: Path | None) -> list[Outcome]:
    """A hostile archive through `score`, `select` and `upscale`: honest members pass, no others, and no file strays."""
    sandbox.mkdir(parents=True)
    archive, outside = sandbox / "shard.tar", sandbox / "outside.jpg"
    outside.write_bytes(picture)
    n_members = hostile_tar(archive, picture, outside)
    rows = sandbox / "rows.csv"

    def run(out: Path, *words: str) -> Ended:
        return run_inside(sandbox, beholder_command(*words), out=out, limit_s=LIMIT_S)

    scored = run(rows, "score", str(archive), "-o", str(rows), "--model", model, "--max-bad", "100%")
    broken = scored.complaints(0)
    table = read_rows(rows).to_pylist() if rows.exists() else []
    passed = [row["path"].partition("::")[2] for row in table if row["status"] == "ok"]
    if passed != ["first.jpg", "last.jpg"] or len(table) != n_members:
        broken.append(f"{len(table)} rows of {n_members}, scored: {passed}")
    outcomes = [Outcome("names in archives, score", n_members, tuple(broken), "2 honest members scored, others a row")]
    best = sandbox / "best"
    selected = run(best, "select", str(rows), "--top", "100%", "--copy", str(best))
    outcomes.append(_contained("names in archives, select", n_members, selected, best))
    if upscaler is not None:
        larger = sandbox / "larger"
        enlarged = run(larger, "upscale", str(archive), "-o", str(larger), "--model", str(upscaler))
        outcomes.append(_contained("names in archives, upscale", n_members, enlarged, larger))
    return outcomes


def _contained(name: str, tries: int, ended: Ended, out: Path) -> Outcome:
    made = [path for path in out.rglob("*") if path.is_file()] if out.exists() else []
    broken = ended.complaints(0, 1, 2)
    broken += [f"{path.name} is a link" for path in made if path.is_symlink()]
    said = (ended.said.strip().splitlines() or [""])[-1].removeprefix("beholder: ").split(". ")[0]
    seen = f"{len(made)} files inside" if made else said.replace(f"{out.parent}/", "")
    return Outcome(name, tries, tuple(broken), seen[:160])


EACH = """
import contextlib, io, json, sys
from pathlib import Path
from beholder.cli import main
lines, ran = json.loads(sys.argv[1]), Path(sys.argv[2])
answers = []
for line in lines:
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        code = main(line)
    answers.append([code, ran.exists(), said.getvalue()])
    ran.unlink(missing_ok=True)
print(json.dumps(answers))
"""
"""Commands one after the other in one process, since each new one would load torch anew: exit code, whether the pickle
was run, and what was said."""


class Touches:
    """Unpickled, it makes a file: what a hostile checkpoint would do, and worse."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.file), "w")


def hostile_checkpoints(sandbox: Path, upscaler: Path | None, onnx_model: Path) -> list[Outcome]:
    """Pickles where weights are expected, and weights that are truncated: refused by name, nothing run."""
    sandbox.mkdir(parents=True)
    picture = sandbox / "picture.png"
    picture.write_bytes(_png())
    ran = sandbox / "ran"
    hostile = sandbox / "hostile.pth"
    hostile.write_bytes(pickle.dumps({"weight": Touches(ran)}))
    zipped = sandbox / "zipped.pth"
    arrays = sandbox / "arrays.npz"
    np.savez(arrays, id=np.array([Touches(ran)], dtype=object), label=np.zeros(1), face=np.zeros((1, 2)))
    ran.unlink(missing_ok=True)
    lines = {
        "a pickle, convert alignvar": (
            *("convert", "alignvar", "--tokenizer", str(hostile), "--transformer", str(hostile)),
            *("--out", str(sandbox / "out")),
        ),
        "a pickle, convert uniqa": ("convert", "uniqa", "--backbone", str(hostile), "--out", str(sandbox / "out")),
        "a pickle in .npz, emotion": ("emotion", "fit", str(arrays), "-o", str(sandbox / "out")),
    }
    if upscaler is not None:
        import torch

        torch.save({"weight": Touches(ran)}, zipped)
        ran.unlink(missing_ok=True)
        lines["a pickle in torch's archive, convert uniqa"] = (
            *("convert", "uniqa", "--backbone", str(zipped), "--out", str(sandbox / "out")),
        )
        for name in ("model.safetensors", "tokeniser.safetensors"):
            folder = _truncated(upscaler, sandbox / name.partition(".")[0], name)
            lines[f"truncated {name}, upscale"] = (
                *("upscale", str(picture), "-o", str(sandbox / "out"), "--model", str(folder)),
            )
    onnx = next(onnx_model.glob("*.onnx")).name
    folder = _truncated(onnx_model, sandbox / "onnx", onnx)
    lines["truncated ONNX, score"] = ("score", str(picture), "--model", str(folder))
    ended = run_inside(
        sandbox,
        [sys.executable, "-c", EACH, json.dumps(list(lines.values())), str(ran)],
        out=sandbox / "out",
        limit_s=LIMIT_S,
    )
    broken_all = ended.complaints(0)
    answers = json.loads(ended.out) if ended.code == 0 else [[None, False, ""]] * len(lines)
    outcomes = []
    for (name, line), (code, was_run, said) in zip(lines.items(), answers, strict=True):
        broken = [*broken_all, *([] if code == 1 else [f"exit code {code}"])]
        if was_run:
            broken.append("the pickle was run")
        last = (said.strip().splitlines() or [""])[-1]
        wanted = "safetensors" if "safetensors" in name else onnx if "ONNX" in name else Path(line[2]).suffix
        if wanted not in last:
            broken.append(f"the message does not name the file: {last}")
        outcomes.append(Outcome(name, 1, tuple(broken), _short(last, sandbox)))
    return outcomes


def _truncated(folder: Path, to: Path, name: str) -> Path:
    shutil.copytree(folder, to)
    content = (to / name).read_bytes()
    (to / name).write_bytes(content[: len(content) // 2])
    return to


def _short(said: str, sandbox: Path) -> str:
    text = said.removeprefix("beholder: ").replace(f"{sandbox}/", "")
    return text if len(text) <= 100 else text[:100].rsplit(" ", 1)[0] + " …"


def _png() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (40, 40), "teal").save(file, "PNG")
    return file.getvalue()
