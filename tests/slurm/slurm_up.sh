#!/usr/bin/env bash
# slurm_up.sh FOLDER: a SLURM of one node for tests, with everything under FOLDER but its configuration. slurm_down.sh
# stops it. No systemd, no cgroups, no database. It pretends to have 8 CPUs, 16 GB and 2 GPUs, and it ends jobs that use
# more memory than they asked for.
set -euo pipefail

folder=$(realpath -m "${1:?the folder for the files of SLURM}")
host=$(hostname -s)
etc=/etc/slurm

echo "This takes over SLURM on this machine: $etc/slurm.conf and gres.conf become links into $folder;" \
    "slurm_down.sh puts back what is there now." >&2
if [ "$(id -u)" != 0 ]; then
    echo "SLURM is started by root alone; run it as root." >&2
    exit 2
fi
for daemon in slurmctld slurmd munged; do
    if pgrep -x "$daemon" >/dev/null; then
        echo "$daemon runs here already; this is not for a machine of a cluster." >&2
        exit 2
    fi
done
if ! command -v slurmctld munged >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null
fi

mkdir -p "$folder"/{ctld,d,log,munge,before} "$etc"
chmod 755 "$folder" "$folder/munge" # munge takes no socket below a folder that others may write to
if [ ! -s "$folder/munge/key" ]; then
    (umask 077 && dd if=/dev/urandom of="$folder/munge/key" bs=128 count=1 status=none)
fi
# What stands for a GPU must be a device, and its name must end with its number.
for gpu in 0 1; do ln -sfn /dev/null "$folder/gpu$gpu"; done
echo "NodeName=$host Name=gpu Type=toy File=$folder/gpu[0-1]" >"$folder/gres.conf"
read -r ctld_port slurmd_port < <(python3 -c 'import socket
ends = [socket.socket() for _ in range(2)]
[end.bind(("127.0.0.1", 0)) for end in ends]
print(*[end.getsockname()[1] for end in ends])')
cat >"$folder/slurm.conf" <<X
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort=$ctld_port
SlurmdPort=$slurmd_port
AuthType=auth/munge
AuthInfo=socket=$folder/munge/sock
StateSaveLocation=$folder/ctld
SlurmdSpoolDir=$folder/d
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=1,sched_interval=2,sched_min_interval=100000
SlurmdParameters=config_overrides
MinJobAge=600
KillWait=2
MaxArraySize=1001
ReturnToService=2
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000 Gres=gpu:toy:2 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
X

# In its own place and not named by SLURM_CONF, which Snakemake's job steps do not pass on.
for name in slurm.conf gres.conf; do
    if [ -e "$etc/$name" ] || [ -L "$etc/$name" ]; then mv "$etc/$name" "$folder/before/$name"; fi
    ln -s "$folder/$name" "$etc/$name"
done
munged --key-file="$folder/munge/key" --socket="$folder/munge/sock" --pid-file="$folder/munge/pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" --force
slurmctld
slurmd -N "$host"
for _ in $(seq 60); do
    if sinfo -h -o %T 2>/dev/null | grep -q idle; then
        exit 0
    fi
    sleep 0.5
done
echo "SLURM did not come up:" >&2
tail -n 20 "$folder"/log/*.log >&2
exit 1
