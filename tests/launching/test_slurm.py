"""hydra/launcher=slurm, with an sbatch that runs the jobs on this machine."""

import importlib.util
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rnnexp.cli import main
from rnnexp.errors import UserError
from rnnexp.launching.on_slurm import SlurmLauncher, _result, _work
from rnnexp.process.interruption import interruptible
from tests.support.lost_worker import check_a_sweep_with_a_lost_worker
from tests.support.shrink import QUIET, SYNTHETIC_LOAD, TINY

needs_submitit = pytest.mark.skipif(
    importlib.util.find_spec("submitit") is None,
    reason="submitit is not installed: pip install rnnexp[slurm]",
)
TWO = ["train", "-m", "experiment=quickstart", "seed=0,1", *SYNTHETIC_LOAD, *TINY, *QUIET]
COMMANDS = {
    "sbatch": r"""#!/bin/bash
place=$(dirname "$0")
number=$(($(cat "$place/count" 2>/dev/null || echo 0) + 1))
echo $number > "$place/count"
script="$place/script_$number"
cp "${@: -1}" "$script"
work() {
    SLURM_JOB_ID=$1 bash "$script" && state=COMPLETED || state=FAILED
    echo "$1|$state|here" >> "$place/states"
}
export SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_JOB_NUM_NODES=1
last=$(sed -n 's/^#SBATCH --array=0-\([0-9]*\).*/\1/p' "$script")
if [ -n "$last" ]; then
    export SLURM_ARRAY_JOB_ID=$number
    for task in $(seq 0 "$last"); do
        SLURM_ARRAY_TASK_ID=$task work "${number}_$task" </dev/null >/dev/null 2>&1 &
    done
else
    work "$number" </dev/null >/dev/null 2>&1 &
fi
echo "Submitted batch job $number"
""",
    "srun": r"""#!/bin/bash
while [[ $1 == -* ]]; do
    [[ $1 == --output || $1 == --error ]] && shift
    shift
done
exec "$@" >> "$(dirname "$0")/log" 2>&1
""",
    "sacct": r"""#!/bin/bash
echo "JobID|State|NodeList"
cat "$(dirname "$0")/states" 2>/dev/null
exit 0
""",
    "scancel": "#!/bin/bash\n",
}


@pytest.fixture
def cluster(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The commands of a cluster, in a folder that keeps what they are given."""
    place = empty_folder / "cluster"
    place.mkdir()
    for name, script in COMMANDS.items():
        (place / name).write_text(script)
        (place / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    return place


@needs_submitit
@pytest.mark.slow
def test_a_lost_worker_is_resumed_and_a_failure_is_named(
    cluster: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from submitit.slurm.slurm import SlurmJob

    monkeypatch.setattr(SlurmJob, "_results_timeout_s", 0)  # for file systems that are late
    monkeypatch.setattr(SlurmJob.watcher, "_delay_s", 1)  # between two calls of sacct
    own = Path("conf", "hydra", "launcher", "ours.yaml")
    own.parent.mkdir(parents=True)
    own.write_text(
        "defaults: [slurm, _self_]\npartition: short\naccount: mine\nmemory_gb: 1.5\n"
        "setup: [source /shared/venv/bin/activate || true]\noptions: {qos: high}\n"
    )
    words = ["hydra/launcher=ours", "hydra.launcher.threads_per_job=2"]
    said = check_a_sweep_with_a_lost_worker(words, Path.cwd(), monkeypatch, capfd)
    assert "job 2 goes on in another one: its process died (FAILED)" in said

    first, again = ((cluster / f"script_{number}").read_text() for number in (1, 2))
    options = ["account=mine", "partition=short", "mem=1536MB", "cpus-per-task=2", "qos=high"]
    for option in [*options, "time=60", "signal=USR2@120"]:
        assert f"#SBATCH --{option}\n" in first and f"#SBATCH --{option}\n" in again
    assert "#SBATCH --array=0-2%3\n" in first and "--array" not in again
    activated, _, rest = first.partition("source /shared/venv/bin/activate")
    assert rest and "srun" not in activated and "export OMP_NUM_THREADS=2\n" in rest
    assert "--cpus-per-task=2 " in rest  # of srun


@needs_submitit
def test_jobs_that_sbatch_does_not_take(cluster: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cluster / "sbatch").write_text("#!/bin/bash\necho 'sbatch: error: no partition x' >&2\nexit 1")
    assert main([*TWO, "hydra/launcher=slurm"]) == 2
    said = capsys.readouterr().err
    assert "sbatch does not take the jobs ('sbatch: error: no partition x'): see" in said
    assert "Traceback" not in said


@needs_submitit
def test_a_machine_without_slurm(empty_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TWO, "hydra/launcher=slurm"]) == 2
    assert "this machine has no sbatch: type the command on a login node" in capsys.readouterr().err


def test_without_submitit(
    empty_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert main([*TWO, "hydra/launcher=slurm"]) == 2
    assert "slurm is not installed: pip install 'rnnexp[slurm]'" in capsys.readouterr().err


class Interrupted:
    """A job that a signal interrupts; it goes on to its end."""

    def __init__(self, number: int) -> None:
        self.number = number

    def run(self) -> tuple[str, float]:
        with interruptible():
            os.kill(os.getpid(), self.number)
            raise AssertionError("the signal has not come")

    def run_again(self) -> tuple[str, float]:
        return "folder", 0.5


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_the_time_limit(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    job: Any = Interrupted(number)
    before = [(one, signal.getsignal(one)) for one in (signal.SIGUSR1, signal.SIGUSR2)]
    try:
        assert _work(job, is_first=True) == (None, None, "its time limit is near")
        assert _work(job, is_first=False) == ("folder", 0.5, "")
        # The cluster itself has begun the job again.
        monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
        assert _work(job, is_first=True) == ("folder", 0.5, "")
        monkeypatch.delenv("SLURM_RESTART_COUNT")
        with pytest.raises(KeyboardInterrupt):  # scancel
            _work(Interrupted(signal.SIGTERM), is_first=True)  # type: ignore[arg-type]
    finally:
        for one, handler in before:
            signal.signal(one, handler)


@pytest.mark.parametrize("name", ["jobs", "threads_per_job", "minutes", "retries", "gpus_per_job"])
def test_numbers_that_are_none(name: str) -> None:
    with pytest.raises(
        UserError, match=rf"hydra\.launcher\.{name} is -1: it must be at least [01]"
    ):
        SlurmLauncher(**{name: -1})  # type: ignore[arg-type]


def test_memory_that_is_no_number() -> None:
    with pytest.raises(UserError, match=r"memory_gb is '8GB': it must be above 0"):
        SlurmLauncher(memory_gb="8GB")  # type: ignore[arg-type]


@needs_submitit
@pytest.mark.parametrize(
    ("state", "why"),
    [("CANCELLED by 7", "it was cancelled"), ("NODE_FAIL", "its process died (NODE_FAIL)")],
)
def test_a_job_without_a_result(state: str, why: str) -> None:
    from submitit.core.utils import UncompletedJobError

    def result() -> None:
        raise UncompletedJobError

    assert _result(SimpleNamespace(state=state, result=result)) == (None, None, why)
