import startup


def test_commands_run_and_load_nothing_heavy(tiny_model):
    lines = startup.commands(str(tiny_model))
    seconds = startup.time_runs({name: lines[name] for name in ("python -c pass", "beholder score ONE.jpg")}, runs=1)
    assert seconds["beholder score ONE.jpg"] > seconds["python -c pass"]
    assert startup.modules_loaded(str(tiny_model)) == []
