"""A Slurm of two nodes on this machine, from Debian's packages, as long as a test needs it: all that it writes is in a
folder of its own, it listens on loopback alone, and it ends what it started, by process id."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

NODES = ("n1", "n2")
DEADLINE = 300.0  # seconds, on a busy machine
PATH = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "sinfo", "scontrol", "scancel")
ACCOUNTING_PROGRAMS = ("slurmdbd", "sacct", "sacctmgr", "mariadbd", "mariadb", "mariadb-install-db")

CONTROLLER = """\
ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={slurmctld}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=5,batch_sched_delay=0
ReturnToService=2
SlurmdTimeout=10
MinJobAge=600
JobCompType=jobcomp/none
MpiDefault=none
MailProg=/bin/true
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={n1} {node}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={n2} {node}
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""
NODE = "CPUs=1 Boards=1 SocketsPerBoard=1 CoresPerSocket=1 ThreadsPerCore=1 RealMemory=9000 State=UNKNOWN"
WITHOUT_ACCOUNTING = "AccountingStorageType=accounting_storage/none\nJobAcctGatherType=jobacct_gather/none\n"
WITH_ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={slurmdbd}
AccountingStoragePass={folder}/munge.socket
AccountingStorageEnforce=associations,limits
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
"""
DATABASE = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={slurmdbd}
SlurmUser=root
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={mariadb}
StorageUser=slurm
StoragePass=on-loopback-for-a-test
"""


def missing(*, accounting: bool) -> str:
    """Why there can be no Slurm on this machine; empty if there can."""
    wanted = PROGRAMS + (ACCOUNTING_PROGRAMS if accounting else ())
    if absent := [name for name in wanted if not shutil.which(name, path=PATH)]:
        return f"no {', '.join(absent)} on this machine; `make cluster-packages` installs them on Debian, as root"
    return "" if os.geteuid() == 0 else "a Slurm that starts the jobs of others has to be root"


def wait_for(fact: Callable[[], bool], what: str, *, log: Path | None = None) -> None:
    """Until ``fact`` holds. Raises ``AssertionError`` saying ``what`` did not come true, and how the ``log`` ends."""
    deadline = time.monotonic() + DEADLINE
    while not fact():
        assert time.monotonic() < deadline, (
            f"not within {DEADLINE:g} s: {what}\n{log.read_text()[-2000:] if log else ''}"
        )
        time.sleep(0.2)


@dataclass
class Slurm:
    folder: Path
    accounting: bool
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """That in which Slurm's commands find this one."""
        path = f"{self.folder}/bin{os.pathsep}{PATH}"
        known = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH", "SRUN"))}
        return known | {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path}

    def ask(self, *command: str) -> str:
        """What one of Slurm's commands says."""
        ran = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
        return ran.stdout

    def answers(self, *command: str) -> str:
        """The same, or nothing while it fails."""
        ran = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        return ran.stdout if ran.returncode == 0 else ""

    def start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as output:
            self.daemons[name] = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_controller(self) -> None:
        self.start("slurmctld", "slurmctld", "-D")
        self.wait_up("slurmctld", lambda: "UP" in self.answers("scontrol", "ping"))

    def kill_controller(self, job: str) -> None:
        """Once it has saved what it knows, as it does every few seconds if anything has changed, such as this ``job``:
        what it has not saved it finds out again only after minutes."""
        saved = self.folder / "state" / "job_state"
        before = saved.stat().st_mtime_ns if saved.exists() else 0
        self.ask("scontrol", "update", f"JobId={job}", "AdminComment=changed")
        wait_for(lambda: saved.exists() and saved.stat().st_mtime_ns != before, "the controller has saved its state")
        self.kill("slurmctld")

    def start_node(self, node: str) -> None:
        self.start(node, "slurmd", "-D", "-N", node)
        self.wait_up(node, lambda: self.answers("sinfo", "-h", "-N", "-n", node, "-o", "%t").strip() == "idle")

    def wait_up(self, name: str, fact: Callable[[], bool]) -> None:
        wait_for(fact, f"{name} is up", log=self.folder / f"{name}.out")

    def kill(self, name: str) -> None:
        """A daemon, at once."""
        daemon = self.daemons.pop(name)
        daemon.kill()
        daemon.wait()

    def crash(self, node: str) -> None:
        """A node, with all that runs on it, as when its power fails."""
        self.kill(node)
        for process in self.processes(node):
            _kill(process)

    def processes(self, node: str | None = None) -> list[psutil.Process]:
        """What this Slurm's jobs have running, on all nodes or on one, with what supervises them."""
        found = []
        for process in psutil.process_iter():
            try:
                given = process.environ()
                if given.get("SLURM_CONF") != self.environment["SLURM_CONF"] or "SLURM_JOB_ID" not in given:
                    continue
                if node in (None, given.get("SLURMD_NODENAME")):
                    above = process.parent()
                    found += [above] if above and above.name().startswith("slurmstepd") else []
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def commands(self, job: str) -> list[list[str]]:
        """What a job has running."""
        found = []
        for process in self.processes():
            try:
                if process.environ().get("SLURM_JOB_ID") == job:
                    found.append(process.cmdline())
            except psutil.Error:
                continue
        return found

    def jobs(self, *states: str) -> list[str]:
        """The ids of all jobs that there have been, or of those in these states."""
        listed = self.ask("squeue", "-h", "-t", "all", "-o", "%i %T").split("\n")
        pairs = [line.split() for line in listed if line]
        return [job for job, state in pairs if not states or state in states]

    def node_of(self, job: str) -> str:
        return self.ask("squeue", "-h", "-j", job, "-o", "%N").strip()


@contextmanager
def running(*, accounting: bool) -> Iterator[Slurm]:
    """Two nodes of one processor each; with ``accounting``, jobs need an account, and the user has one. Its folder is
    short enough for the names of sockets."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    slurm = Slurm(folder, accounting)
    try:
        _configure(slurm)
        if accounting:
            _start_database(slurm)
        slurm.start_controller()
        if accounting:
            for asked in ("account bench", "user root account=bench"):
                slurm.ask("sacctmgr", "-i", "add", *asked.split())
        for node in NODES:
            slurm.start_node(node)
        yield slurm
    finally:
        _end(slurm)
        shutil.rmtree(folder, ignore_errors=True)


def _configure(slurm: Slurm) -> None:
    folder = slurm.folder
    names = ("slurmctld", "slurmdbd", "mariadb", *NODES)
    values: Mapping[str, object] = {
        "folder": folder,
        "host": socket.gethostname().split(".")[0],
        "node": NODE,
    } | dict(zip(names, _free_ports(len(names)), strict=True))
    accounting = WITH_ACCOUNTING if slurm.accounting else WITHOUT_ACCOUNTING
    (folder / "slurm.conf").write_text((CONTROLLER + accounting).format_map(values))
    (folder / "slurmdbd.conf").write_text(DATABASE.format_map(values))
    (folder / "slurmdbd.conf").chmod(0o600)
    (folder / "mariadb.port").write_text(str(values["mariadb"]))
    for name in ("state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir()
    # The plug-in hides from srun in which file the configuration is; elsewhere it is in the usual place.
    (folder / "bin").mkdir()
    srun = folder / "bin" / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun", path=PATH)} "$@"\n')
    srun.chmod(0o755)
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    given = [f"--{option}={folder}/munge.{ending}" for option, ending in files.items()]
    slurm.start("munged", "munged", "--foreground", "--force", *given)
    slurm.wait_up("munged", (folder / "munge.socket").exists)


def _free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in taken]
    for server in taken:
        server.close()
    return ports


def _start_database(slurm: Slurm) -> None:
    data, port = slurm.folder / "mysql", (slurm.folder / "mariadb.port").read_text()
    where = ["--no-defaults", f"--socket={slurm.folder}/mysql.socket"]
    slurm.ask("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}", "--skip-test-db")
    options = [f"--datadir={data}", f"--pid-file={slurm.folder}/mariadb.pid", "--user=root", "--bind-address=127.0.0.1"]
    slurm.start("mariadbd", "mariadbd", *where, *options, f"--port={port}", "--innodb-buffer-pool-size=64M")
    slurm.wait_up("mariadbd", lambda: slurm.answers("mariadb", *where, "-N", "-e", "select 1") == "1\n")
    for host in ("127.0.0.1", "localhost"):
        who = f"slurm@'{host}'"
        allow = f"create user {who} identified by 'on-loopback-for-a-test'; grant all on slurm_acct_db.* to {who}"
        slurm.ask("mariadb", *where, "-e", allow)
    slurm.start("slurmdbd", "slurmdbd", "-D")
    slurm.wait_up("slurmdbd", lambda: "bench" in slurm.answers("sacctmgr", "-i", "add", "cluster", "bench"))


def _end(slurm: Slurm) -> None:
    for process in slurm.processes():
        _kill(process)
    for name in reversed([*slurm.daemons]):
        daemon = slurm.daemons.pop(name)
        daemon.terminate()
        try:
            daemon.wait(timeout=30)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()
