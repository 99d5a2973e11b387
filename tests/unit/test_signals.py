"""What the tests inherit from the process that starts them."""

from __future__ import annotations

import subprocess
import sys

from sopslab.layout import PROJECT

PROBE = "tests/unit/test_runner.py::test_a_keyboard_interrupt_is_no_success"


def test_a_test_of_signals_passes_where_its_starter_ignores_them() -> None:
    pytest = [sys.executable, "-m", "pytest", "-q", PROBE]
    done = subprocess.run(
        ["sh", "-c", "trap '' INT HUP; exec \"$@\"", "sh", *pytest],
        cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
