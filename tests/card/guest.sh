#!/bin/bash
# The second program of the virtual machine, on the host's files: makes it a machine where haul's tests
# run, runs what the kernel's command line asks for, says how that ended, and turns the machine off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root
export PYTHONDONTWRITEBYTECODE=1
mount -t tmpfs none /tmp && mount -t tmpfs none /run
mkdir -p /dev/shm /dev/pts /run/haul && mount -t tmpfs none /dev/shm && mount -t devpts none /dev/pts
for word in $(cat /proc/cmdline); do
    case $word in
    haul.tree=*) tree=${word#*=} ;;
    haul.modules=*) modules=${word#*=} ;;
    haul.program=*) program=${word#*=} ;;
    haul.only=*) only=$(printf '%b' "${word#*=}") ;;
    esac
done
mkdir -p /usr/lib/modules && mount --bind "$modules/lib/modules" /usr/lib/modules
ip link set lo up
hostname card
cd "$tree" || poweroff -f
# The second serial line is the test's; the first has what the kernel says.
exec </dev/null >/dev/ttyS1 2>&1
stty -F /dev/ttyS1 raw -echo
if [ "$program" = shell ]; then
    stty -F /dev/ttyS1 cooked echo
    bash -i </dev/ttyS1
    status=0
else
    python3 tests/card/cases.py "$program" ${only:+"$only"}
    status=$?
fi
echo "card: ended with $status"
busybox poweroff -f
