"""What Linux tells of memory is read, and where nothing is told nothing is made up."""

import os
from pathlib import Path

from neuralbridge.memory import Memory, memory

PAGE = os.sysconf("SC_PAGE_SIZE")
MACHINE = "MemTotal:       16326428 kB\nMemFree:         1 kB\nMemAvailable:   12000000 kB\nHugePages_Total:       0\n"


def test_both_files_are_read_as_linux_writes_them(tmp_path: Path) -> None:
    (tmp_path / "statm").write_text("500 100 30 1 0 20 0\n")
    (tmp_path / "meminfo").write_text(MACHINE)
    has = memory(tmp_path / "statm", tmp_path / "meminfo")
    assert has == Memory(100 * PAGE, 12_000_000 * 1024, 16_326_428 * 1024)


def test_another_system_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"\xff\xfe MemTotal: many kB")
    for of_process, of_machine in ((tmp_path / "none", tmp_path / "none"), (tmp_path / "odd", tmp_path / "odd")):
        assert memory(of_process, of_machine) == Memory(None, None, None)
