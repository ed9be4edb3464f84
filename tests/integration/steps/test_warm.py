"""What the jobs of a run share, with real processes: who works, and who ends when somebody is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypermix.steps.warm import Request, Work

STAGE = "tests.integration.steps.stand_in"
RUN = """
import sys
from hypermix.steps import warm
warm.start(sys.argv[1], sys.argv[2:])
print("started", flush=True)
sys.stdin.read()
"""
JOB = """
import sys
from pathlib import Path
from hypermix.steps import warm
token, module, log, act, out, size = sys.argv[1:]
values = {"where": Path(out), "all": [Path("a"), "a"], "text": "x" * int(size)}
warm.run(module, token, log, "toy job", act=act, out=Path(out), values=values)
"""
IDLE = """
from hypermix.steps import keeper
keeper.IDLE_SECONDS = 0.05
keeper.main()
"""
SECONDS = 20.0
Process = subprocess.Popen[str]


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a run; what pytest tells in it would make that of each job another one."""
    told = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return {**told, "PYTHONPATH": os.pathsep.join(sys.path), **more}


def until(holds: Callable[[], Any]) -> Any:
    """Wait until something holds, and return it."""
    deadline = time.monotonic() + SECONDS
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.01)
    return found


def is_alive(process: int) -> bool:
    """Tell whether a process runs; one that has ended may wait to be buried."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_refused(connection: socket.socket) -> bool:
    """Tell whether a connection is closed without a word; what was not read on the way makes it an error."""
    connection.settimeout(SECONDS)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def is_closed(address: str) -> bool:
    """Tell whether nobody listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as visitor:
        return visitor.connect_ex(address) != 0


def gone(*processes: int) -> bool:
    return not any(map(is_alive, processes))


@dataclass
class Run:
    """A process that stands for Snakemake, and jobs of it."""

    folder: Path
    token: str
    modules: tuple[str, ...] = (STAGE,)
    jobs: dict[str, Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        command = [sys.executable, "-c", RUN, self.token, *self.modules]
        self.process = subprocess.Popen(
            command, env=environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "started\n"

    def address(self) -> str:
        """Return where its keeper listens."""
        return f"\0hypermix-{self.token}-{STAGE}"

    def start(self, act: str, name: str = "job", *, module: str = STAGE, size: int = 0, **more: str) -> Process:
        """Start a job as Snakemake does, in a process group of its own."""
        self.folder.mkdir(exist_ok=True)
        paths = [str(self.folder / f"{name}.log"), act, str(self.folder / f"{name}.json"), str(size)]
        job = subprocess.Popen(
            [sys.executable, "-c", JOB, self.token, module, *paths],
            cwd=self.folder,
            env=environment(**more),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.jobs[name] = job
        return job

    def do(self, act: str, name: str = "job", **more: str) -> tuple[int, str, str]:
        """Run a job to its end; return its status, standard output and standard error."""
        job = self.start(act, name, **more)
        output, errors = job.communicate(timeout=SECONDS)
        return job.returncode, output, errors

    def told(self, name: str = "job") -> dict[str, Any]:
        """Wait for what the worker tells of itself."""
        path = self.folder / f"{name}.json"
        until(path.is_file)
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return said

    def log(self, name: str = "job") -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8")

    def by_themselves(self) -> set[str]:
        """Name the jobs that did their work themselves."""
        worked = {name for name in self.jobs if (self.folder / f"{name}.json").is_file()}
        return {name for name in worked if self.told(name)["pid"] == self.jobs[name].pid}

    def end(self) -> None:
        """End it as Snakemake ends, and its jobs."""
        for process in [self.process, *self.jobs.values()]:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Return a run for many tests, whose keeper none may end; each names its jobs."""
    run = Run(tmp_path_factory.mktemp("shared"), os.urandom(8).hex())
    yield run
    run.end()
    assert run.by_themselves() <= {"elsewhere", "large"}


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Run]:
    """Return a run of this test's own."""
    run = Run(tmp_path, os.urandom(8).hex())
    yield run
    run.end()


# Who works.


def test_jobs_are_children_of_one_process_and_import_once(alone: Run) -> None:
    jobs = [alone.start("tell", str(number)) for number in range(4)]
    assert [job.wait(SECONDS) for job in jobs] == [0, 0, 0, 0]
    told = [alone.told(str(number)) for number in range(4)]
    assert len({said["pid"] for said in told}) == 4
    assert len({said["parent"] for said in told}) == 1
    assert len({said["imported"] for said in told}) == 1
    assert all(said["shared"] for said in told)
    assert not alone.by_themselves()


def test_runs_side_by_side_share_nothing(shared: Run, alone: Run) -> None:
    assert shared.do("tell", "beside")[0] == alone.do("tell")[0] == 0
    assert shared.told("beside")["parent"] != alone.told()["parent"]


@pytest.mark.parametrize("token", ["nobody", ""])
def test_job_without_a_keeper_does_its_work(shared: Run, token: str) -> None:
    lonely = Run(shared.folder, "other" + shared.token)
    lonely.token = token
    job = lonely.start("tell", "lonely" + token)
    assert job.wait(SECONDS) == 0
    assert lonely.told("lonely" + token)["pid"] == job.pid
    assert not lonely.told("lonely" + token)["shared"]
    lonely.end()


def test_another_environment_is_not_shared(shared: Run) -> None:
    assert shared.do("tell", "same")[0] == 0
    job = shared.start("tell", "elsewhere", OMP_NUM_THREADS="7")
    assert job.wait(SECONDS) == 0
    assert shared.told("elsewhere")["pid"] == job.pid != shared.told("same")["pid"]


def test_folder_that_a_shell_tells_is_the_childs_own(shared: Run) -> None:
    assert shared.do("tell", "in another folder", PWD="/nowhere")[0] == 0
    told = shared.told("in another folder")
    assert told["pid"] != shared.jobs["in another folder"].pid
    assert told["PWD"] == str(shared.folder)


def test_child_is_what_the_job_would_have_been(shared: Run, tmp_path: Path) -> None:
    assert shared.do("tell", "child")[0] == 0
    plain = Run(tmp_path, "plain" + shared.token, modules=())
    assert plain.do("tell", "child")[0] == 0
    child, job = shared.told("child"), plain.told("child")
    assert child["folder"] == str(shared.folder)
    assert job["folder"] == str(plain.folder)
    assert child["blocked"] == job["blocked"] == []
    assert [stream.split(":")[0] for stream in child["streams"]] == ["/dev/null", "pipe", "pipe"]
    # Standard input and output, the log, and the folder that lists them: nothing of the keeper's.
    assert child["handles"] == job["handles"]
    assert child["values"]["all"] == job["values"]["all"] == [["Path", "a"], ["str", "a"]]
    assert child["values"]["where"][0] == job["values"]["where"][0] == "Path"
    plain.end()


def test_large_arguments_are_no_obstacle(shared: Run) -> None:
    assert shared.start("tell", "large", size=3_000_000).wait(SECONDS) == 0
    assert len(shared.told("large")["values"]["text"][1]) == 3_000_000


# What a job shows.


def test_streams_and_log_are_the_jobs(shared: Run) -> None:
    status, output, errors = shared.do("speak", "speaks")
    assert (status, output) == (0, "on standard output\n")
    assert errors == "toy job: in the log\non standard error\n"
    assert shared.log("speaks").endswith("in the log\n")


def test_errors_stand_in_the_log_and_give_the_status(shared: Run) -> None:
    jobs = {act: shared.start(act, act) for act in ("fail", "break", "stop")}
    assert [job.communicate(timeout=SECONDS) for job in jobs.values()] == [("", "")] * 3
    assert [job.returncode for job in jobs.values()] == [1, 1, 3]
    assert shared.log("fail").endswith("toy.csv: has no rows; write some\n")
    assert "KeyError: 'lost'" in shared.log("break")


def test_log_that_cannot_be_written_is_told(shared: Run) -> None:
    (shared.folder / "closed.log").mkdir()
    status, _, errors = shared.do("tell", "closed")
    assert status == 1
    assert "IsADirectoryError" in errors


def test_stage_that_cannot_be_imported_is_told_each_time(tmp_path: Path) -> None:
    absent = "tests.integration.steps.absent"
    run = Run(tmp_path, os.urandom(8).hex(), modules=(absent,))
    for name in ("first", "second"):
        assert run.start("tell", name, module=absent).wait(SECONDS) == 1
        assert "No module named 'tests.integration.steps.absent'" in run.log(name)
    run.end()


def test_folder_that_is_gone_makes_no_second_keeper(alone: Run) -> None:
    assert alone.do("tell", "before")[0] == 0
    code = "from pathlib import Path; Path.cwd = classmethod(lambda kind: kind('/nowhere'))" + JOB
    paths = [str(alone.folder / "no.log"), "tell", str(alone.folder / "no.json"), "0"]
    command = [sys.executable, "-c", code, alone.token, STAGE, *paths]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False, cwd=alone.folder
    )
    assert done.returncode == 1
    assert "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere'" in done.stderr
    (keeper,) = _children(alone.process.pid)
    assert _children(keeper) == []
    assert alone.do("tell", "after")[0] == 0
    assert alone.told("after")["parent"] == keeper


# Who ends when somebody is killed.


def test_killed_child_fails_its_job_with_a_sentence(shared: Run) -> None:
    status, output, errors = shared.do("die", "dies")
    assert (status, output, errors) == (128 + signal.SIGKILL, "", "")
    assert "toy job: SIGKILL ended the job's process; if memory was short" in shared.log("dies")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_child_ends_with_its_job(shared: Run, number: signal.Signals) -> None:
    job = shared.start("wait", number.name)
    child = shared.told(number.name)["pid"]
    job.send_signal(number)
    assert job.wait(SECONDS) == -number
    until(lambda: gone(child))


def test_other_jobs_go_on_when_one_is_killed(shared: Run) -> None:
    one, other = shared.start("wait", "one"), shared.start("wait", "another")
    child = shared.told("one")["pid"]
    assert shared.told("another")["parent"] == shared.told("one")["parent"]
    one.kill()
    until(lambda: gone(child))
    (shared.folder / "another.go").touch()
    assert other.wait(SECONDS) == 0


def test_ctrl_c_reaches_the_work(shared: Run) -> None:
    job = shared.start("wait", "interrupted")
    child = shared.told("interrupted")["pid"]
    os.killpg(job.pid, signal.SIGINT)
    output, errors = job.communicate(timeout=SECONDS)
    assert (job.returncode, output) == (130, "")
    assert errors == "toy job: interrupted; run again to go on\n"
    assert shared.log("interrupted").endswith("interrupted; run again to go on\n")
    assert gone(child)


def test_ctrl_c_before_the_work_ends_the_job(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
        token = os.urandom(8).hex()
        silent.bind(f"\0hypermix-{token}-{STAGE}")
        silent.listen()
        run = Run(tmp_path, token, modules=())
        job = run.start("tell")
        connection, _ = silent.accept()
        assert connection.recv(1 << 20)
        job.send_signal(signal.SIGINT)
        assert job.communicate(timeout=SECONDS) == ("", "")
        assert job.returncode == 130
        connection.close()
        run.end()


def test_job_of_a_killed_keeper_works_by_itself(alone: Run) -> None:
    job = alone.start("wait")
    child = alone.told()
    (alone.folder / "job.json").unlink()
    os.kill(child["parent"], signal.SIGKILL)
    assert alone.told()["pid"] == job.pid
    assert gone(child["pid"])
    (alone.folder / "job.go").touch()
    assert job.wait(SECONDS) == 0
    assert alone.do("tell", "later")[0] == 0


def test_children_outlive_snakemake_and_then_all_is_gone(alone: Run) -> None:
    job = alone.start("wait")
    child = alone.told()
    alone.process.kill()
    until(lambda: is_closed(alone.address()))
    assert alone.do("tell", "later")[0] == 0
    assert alone.by_themselves() == {"later"}
    (alone.folder / "job.go").touch()
    assert job.wait(SECONDS) == 0
    until(lambda: gone(child["pid"], child["parent"]))


def test_nobody_is_left_when_all_are_killed(alone: Run) -> None:
    job = alone.start("wait")
    child = alone.told()
    alone.process.kill()
    os.killpg(job.pid, signal.SIGKILL)
    until(lambda: gone(child["pid"], child["parent"]))


def test_keeper_that_nobody_asked_ends_with_snakemake(alone: Run) -> None:
    (keeper,) = _children(alone.process.pid)
    alone.process.kill()
    until(lambda: gone(keeper))


# What a keeper bears.


def test_memory_is_given_back_after_a_while(tmp_path: Path) -> None:
    token, name = os.urandom(8).hex(), "job"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"\0hypermix-{token}-{STAGE}")
        listener.listen()
        run = Run(tmp_path, token, modules=())
        job = run.start("tell", name)
        first, _ = listener.accept()
        with first:
            numbers = [listener.fileno(), first.fileno()]
            keeper = subprocess.Popen(
                [sys.executable, "-c", IDLE, STAGE, *map(str, numbers)],
                cwd=run.folder,
                env=environment(),
                stdin=subprocess.PIPE,
                pass_fds=numbers,
            )
    assert job.wait(SECONDS) == 0
    said = run.told(name)
    assert said["parent"] == keeper.pid
    until(lambda: b"hypermix.steps.keeper" in Path(f"/proc/{keeper.pid}/cmdline").read_bytes())
    assert run.do("tell", "again")[0] == 0
    again = run.told("again")
    assert again["parent"] == keeper.pid
    assert again["imported"] != said["imported"]
    run.end()
    keeper.communicate(timeout=SECONDS)


def test_nonsense_disturbs_nobody(alone: Run) -> None:
    for name in ("cold", "warm"):
        for message in (b"{", b"[]", b"{}", b'{"work": {"module": 1}}', b'{"work": {"odd": 1}}', b"\xff", b""):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
                stranger.connect(alone.address())
                stranger.send(message)
                assert is_refused(stranger)
        assert alone.do("tell", name)[0] == 0
    assert not alone.by_themselves()


def test_request_for_another_program_is_not_done(shared: Run) -> None:
    assert shared.do("tell", "before")[0] == 0
    work = Work(STAGE, str(shared.folder / "no.log"), "toy job", {"act": "tell", "out": shared.folder / "no.json"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
        stranger.connect(shared.address())
        request = Request(work, "/bin/sh", "elsewhere", str(shared.folder)).encode()
        socket.send_fds(stranger, [request], [1, 2])
        assert is_refused(stranger)
    assert not (shared.folder / "no.json").exists()


def test_process_with_threads_or_a_gpu_is_not_forked(tmp_path: Path) -> None:
    code = """
import sys, threading
from pathlib import Path
from hypermix.steps.keeper import can_fork
handles = Path(sys.argv[1])
told = [can_fork(), can_fork(handles)]
(handles / "3").symlink_to("/dev/nvidiactl")
told.append(can_fork(handles))
end = threading.Event()
threading.Thread(target=end.wait).start()
told.append(can_fork())
end.set()
print(told)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True, timeout=SECONDS)
    assert done.stdout == "[True, True, False, False]\n"


def test_request_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-do-not-tell")
    work = Work(STAGE, "toy.log", "toy", {"act": "tell"})
    assert b"sk-do-not-tell" not in Request.of(work).encode()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.builds(Path, st.text("ab/.", min_size=1)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("abc"), values))
def test_what_is_asked_arrives(arguments: dict[str, Any]) -> None:
    request = Request(Work(STAGE, "toy.log", "töy", arguments), "python", "library", "folder")
    assert Request.decode(request.encode()) == request


def test_what_cannot_be_sent_is_told() -> None:
    with pytest.raises(TypeError, match="set has no JSON form; take a text, a number or a path"):
        Request.of(Work(STAGE, "toy.log", "toy", {"act": {1}})).encode()


def _children(process: int) -> list[int]:
    told = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8")
    return [int(child) for child in told.split()]
