"""A sweep ends before its end, by a signal, a full disk or a torn file; the same command goes on."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fcray.sweep.search import mend_journal
from fcray.training.checkpoints import position
from tests.sweeps import (
    descendants,
    results_in,
    running,
    said,
    trials_in,
    wait_for,
    write_spec,
)

pytestmark = [pytest.mark.faults, pytest.mark.ray, pytest.mark.timeout(600)]


def goes_on(folder: Path, spec_file: Path) -> None:
    """The same command ends well, with the same trials, and no result is lost, doubled or changed."""
    before = trials_in(folder)
    kept = {(t.number, r.step): (r.score, r.seconds) for t in before for r in t.results}
    with running(spec_file, f"{folder}-again") as process:
        process.wait(timeout=300)
        assert process.returncode == 0, said(process)
        wait_for(lambda: not descendants(f"{folder}-again"), 60)
    trials = trials_in(folder)
    assert [trial.number for trial in trials] == [0, 1]
    assert all(trial.status in ("completed", "stopped") for trial in trials)
    after = {(t.number, r.step): (r.score, r.seconds) for t in trials for r in t.results}
    assert kept.items() <= after.items()
    for trial in trials:
        steps = [result.step for result in trial.results]
        assert steps == sorted(set(steps))
        assert Path(trial.results[-1].checkpoint).is_dir()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_an_ended_sweep_leaves_nothing_and_goes_on(
    tiny_folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    spec_file = write_spec(tmp_path, tiny_folder)
    with running(spec_file, f"{tmp_path}-first") as process:
        wait_for(lambda: results_in(tmp_path) >= 1 or process.poll() is not None, 240)
        assert process.poll() is None
        process.send_signal(number)
        process.wait(timeout=60)
        # After a SIGKILL nobody can clean up but Ray itself: its processes notice and end.
        wait_for(lambda: not descendants(f"{tmp_path}-first"), 90)
        words = said(process)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert words.endswith("fcray: stopped; the same command goes on from here\n")
    assert results_in(tmp_path)
    goes_on(tmp_path, spec_file)


def first_results(folder: Path) -> int:
    """How many checkpoints of trial 0 are scored."""
    return sum(len(trial.results) for trial in trials_in(folder) if trial.number == 0)


def test_a_torn_checkpoint_is_passed_over(tiny_folder: Path, tmp_path: Path) -> None:
    spec_file = write_spec(tmp_path, tiny_folder)
    with running(spec_file, f"{tmp_path}-first") as process:
        wait_for(lambda: first_results(tmp_path) >= 2 or process.poll() is not None, 240)
        process.kill()
        process.wait(timeout=60)
        wait_for(lambda: not descendants(f"{tmp_path}-first"), 90)
    folders = sorted((tmp_path / "runs/tiny/trials/trial_0000").glob("checkpoint_*/"))
    last, torn = position(folders[-2]), position(folders[-1])
    for part in folders[-1].rglob("*.safetensors"):
        os.truncate(part, part.stat().st_size // 2)
    goes_on(tmp_path, spec_file)
    results = {result.step: result for result in trials_in(tmp_path)[0].results}
    assert results[8].begun == last > 0
    assert all(results[step].checkpoint != str(folders[-1]) for step in results)
    assert torn in results


def test_a_result_that_was_not_noted_is_found_again(tiny_folder: Path, tmp_path: Path) -> None:
    """The command died after a worker had reported, and before the study knew of it."""
    spec_file = write_spec(tmp_path, tiny_folder, budget={"trials": 1})
    with running(spec_file, f"{tmp_path}-first") as process:
        process.wait(timeout=300)
        assert process.returncode == 0, said(process)
    before = trials_in(tmp_path)[0]
    assert [result.step for result in before.results] == [2, 4, 8]
    journal = tmp_path / "runs/tiny/study.journal"
    lines = journal.read_text().splitlines(keepends=True)
    noted = [index for index, line in enumerate(lines) if '"results"' in line]
    journal.write_text("".join(lines[: noted[-1]]))
    assert [result.step for result in trials_in(tmp_path)[0].results] == [2, 4]
    (tmp_path / "runs/tiny/summary.json").unlink()
    shutil.rmtree(tmp_path / "runs/registry")
    with running(spec_file, f"{tmp_path}-again") as process:
        process.wait(timeout=300)
        assert process.returncode == 0, said(process)
    after = trials_in(tmp_path)[0]
    assert after.status == "completed"
    assert [(r.step, r.score, r.checkpoint) for r in after.results] == [
        (r.step, r.score, r.checkpoint) for r in before.results
    ]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "fcray-test", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("a disk cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_the_sweep_with_a_sentence(tiny_folder: Path, small_disk: Path) -> None:
    spec_file = write_spec(small_disk, tiny_folder)
    filler = small_disk / "filler"
    with running(spec_file, f"{small_disk}-first") as process:
        wait_for(lambda: results_in(small_disk) >= 1 or process.poll() is not None, 240)
        assert process.poll() is None
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        assert shutil.disk_usage(small_disk).free == 0
        process.wait(timeout=240)
        words = said(process)
        wait_for(lambda: not descendants(f"{small_disk}-first"), 90)
    assert process.returncode == 1
    assert re.fullmatch(
        r"fcray: the disk .*is full .*; make room, and the same command goes on from here\n", words
    )
    filler.unlink()
    goes_on(small_disk, spec_file)


def test_a_torn_line_of_the_journal_is_cut_off(tmp_path: Path) -> None:
    journal = tmp_path / "study.journal"
    lines = [json.dumps({"op_code": number}) + "\n" for number in range(3)]
    journal.write_text("".join(lines) + lines[0][:7])
    mend_journal(journal)
    assert journal.read_text() == "".join(lines)
    mend_journal(journal)
    assert journal.read_text() == "".join(lines)
    mend_journal(tmp_path / "none")


def test_a_tracker_that_is_down_ends_no_trial(tiny_folder: Path, tmp_path: Path) -> None:
    spec_file = write_spec(tmp_path, tiny_folder, tracking={"wandb": "online"})
    nobody = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0" * 40}
    with running(spec_file, f"{tmp_path}-first", nobody) as process:
        process.wait(timeout=300)
        assert process.returncode == 0, said(process)
    assert all(trial.status in ("completed", "stopped") for trial in trials_in(tmp_path))
