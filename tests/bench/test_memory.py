import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux")

HOLDS = "import time; held = bytearray(50_000_000); time.sleep(1)"


def test_memory_of_children_is_counted():
    import memory

    alone = memory.watch([sys.executable, "-c", HOLDS])
    starts = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDS!r}])"
    with_child = memory.watch([sys.executable, "-c", f"held = bytearray(40_000_000); {starts}"])
    assert 50 < alone.rss_mb < 90
    assert with_child.rss_mb > 90
    assert 0 < alone.pss_mb <= alone.rss_mb


def test_a_failing_command_is_an_error():
    import memory
    from record import CommandError

    with pytest.raises(CommandError, match="exit code 3"):
        memory.watch([sys.executable, "-c", "raise SystemExit(3)"])
