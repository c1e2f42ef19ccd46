import json

import pytest
import record

from beholder.errors import UserError
from beholder.evaluate.tables import fill, render_stored

TABLE = record.Table(["what", "MB"], [["a|b", "1"], ["c", "2.5 [2, 3]"]])


def test_a_result_holds_the_table_the_numbers_and_the_machine(tmp_path, capsys):
    limits = [record.at_most("peak", 2.5, 2), record.at_least("speed", 3, 3)]
    file = record.publish(
        "toy", "A title", TABLE, measured={"peak": 2.5}, limits=limits, busy_before=0.5, folder=tmp_path / "results"
    )
    stored = json.loads(file.read_text())
    assert stored["table"] == {"columns": ["what", "MB"], "rows": [["a|b", "1"], ["c", "2.5 [2, 3]"]]}
    assert stored["measured"] == {"peak": 2.5}
    assert [limit["met"] for limit in stored["limits"]] == [False, True]
    assert stored["machine"]["cores"] >= 1
    assert stored["versions"]["beholder"]
    assert "50% of the machine was busy" in stored["notes"][0]
    shown = capsys.readouterr().out
    assert "A title" in shown
    assert "MISSED  peak: 2.5, at most 2" in shown


def test_no_result_names_a_folder_of_this_machine(tmp_path, monkeypatch):
    model = tmp_path / "secret" / "model-a"
    monkeypatch.setattr("sys.argv", [str(record.ROOT / "bench/speed.py"), "--model", str(model), "--count", "3"])
    file = record.publish("toy", "t", TABLE, measured={}, busy_before=0.0, folder=tmp_path)
    assert json.loads(file.read_text())["command"] == "python bench/speed.py --model model-a --count 3"
    assert str(tmp_path) not in file.read_text()
    assert str(record.ROOT) not in file.read_text()


def test_a_failed_command_says_what_it_said():
    with pytest.raises(record.CommandError, match=r"(?s)exit code 1 .*no such folder"):
        record.run_quietly(record.beholder_command("score", "x.jpg", "--model", "no such folder"))


def test_a_stored_table_is_rendered_between_its_markers(tmp_path):
    record.publish("toy", "Two rows", TABLE, measured={}, notes=["Mind it."], busy_before=None, folder=tmp_path)
    document = tmp_path / "README.md"
    document.write_text("<!-- table:toy -->\nold\n<!-- /table -->\n")
    assert fill(document, tmp_path) == ["toy"]
    shown = document.read_text()
    assert shown.startswith(
        "<!-- table:toy -->\n| what | MB |\n| --- | ---: |\n| a\\|b | 1 |\n| c | 2.5 [2, 3] |\n\nTwo rows. Measured on "
    )
    assert shown.endswith(" Mind it.\n<!-- /table -->\n")
    assert fill(document, tmp_path, check=True) == []


@pytest.mark.parametrize(
    "text", ["", "{}", '{"table": 3}', '{"table": {"columns": [], "rows": []}}', '{"table": {"rows": []}}']
)
def test_a_json_without_a_table_is_refused(tmp_path, text):
    file = tmp_path / "toy.json"
    file.write_text(text)
    with pytest.raises(UserError, match="holds no table"):
        render_stored(file)
