"""A real Slurm on this machine alone, in a folder of its own: munged, slurmctld, slurmd; for tests only.

Needs Debian's slurm-wlm and munge, and root (Slurm's own user is root here; nothing listens beyond this machine).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
CONF = """
ClusterName=questline
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SchedulerParameters=sched_interval=2,batch_sched_delay=0
ReturnToService=2
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE OverSubscribe=NO State=UP
"""


def missing() -> str:
    """Why no Slurm can be started here; empty where one can."""
    gone = [name for name in PROGRAMS if shutil.which(name, path=search_path()) is None]
    if gone:
        return f"no {', '.join(gone)}: apt-get install slurm-wlm munge, or make test-cluster"
    return "" if os.geteuid() == 0 else "Slurm's daemons are started as root"


def search_path() -> str:
    """PATH with the folders of system programs."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class OneNode:
    """The cluster; ``environment`` is what its commands need."""

    def __init__(self, folder: Path, *, memory_mb: int = 12_000) -> None:
        self.folder, self.memory = folder, memory_mb
        path = os.pathsep.join([str(folder / "bin"), search_path()])
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> OneNode:
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)
        values = {"host": socket.gethostname().split(".")[0], "folder": self.folder, "memory": self.memory}
        values |= {"controller": free_port(), "daemon": free_port(), "cpus": os.cpu_count()}
        (self.folder / "slurm.conf").write_text(CONF.format(**values))
        self.write_srun()
        try:
            self.start_munge()
            self.start("slurmctld", "-D")
            self.start("slurmd", "-D")
            self.wait(lambda: "idle" in self.run("sinfo", "-h", "-o", "%t"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def write_srun(self) -> None:
        """An srun that knows the configuration: the executor plugin takes every SLURM_ variable from a job."""
        srun = self.folder / "bin" / "srun"
        srun.parent.mkdir()
        real = shutil.which("srun", path=search_path())
        srun.write_text(f'#!/bin/sh\nSLURM_CONF="{self.folder}/slurm.conf" exec "{real}" "$@"\n')
        srun.chmod(0o755)

    def start_munge(self) -> None:
        """munged with a key and a socket of its own."""
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        self.start(
            "munged",
            "--foreground",
            "--force",
            f"--key-file={key}",
            f"--socket={self.folder / 'munge.socket'}",
            f"--pid-file={self.folder / 'munged.pid'}",
            f"--seed-file={self.folder / 'munged.seed'}",
            f"--log-file={self.folder / 'munged.log'}",
        )
        self.wait((self.folder / "munge.socket").exists)

    def start(self, *command: str) -> None:
        said = (self.folder / f"{command[0]}.out").open("wb")
        self.processes.append(subprocess.Popen(command, env=self.environment, stdout=said, stderr=said))

    def run(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        return done.stdout + done.stderr

    def wait(self, happened, seconds: float = 120) -> None:
        """Waits, and says what the daemons said if it takes too long or one of them ends."""
        until = time.monotonic() + seconds
        while not happened():
            ended = [process.args[0] for process in self.processes if process.poll() is not None]
            if ended or time.monotonic() > until:
                logs = "".join(path.read_text()[-1500:] for path in self.folder.glob("*.log"))
                raise RuntimeError(f"Slurm does not start ({ended}): {logs}")
            time.sleep(0.2)

    def __exit__(self, *_: object) -> None:
        self.run("scancel", "-u", "root")
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
