#!/bin/sh
# SPDX-License-Identifier: BSL-1.0
# The first process of a guest: sets the system up, then runs what machine.py asks for on a virtio-serial port.
export PATH=/usr/bin:/bin HOME=/root

mkdir -p /proc /sys /dev /tmp /run
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm /dev/pts
mount -t devpts devpts /dev/pts
for folder in /dev/shm /tmp; do
  mount -t tmpfs -o mode=1777 tmpfs "$folder"
done
mount -t tmpfs -o mode=755 tmpfs /run
exec </dev/console >/dev/console 2>&1

# In the order of what needs what.
while read -r module; do
  insmod "/lib/modules/$module" || echo "init: no module $module"
done </lib/modules/order

hostname "$(sed -n 's/.*\bmachine=\([^ ]*\).*/\1/p' /proc/cmdline)"
ip link set lo up || echo "init: no loopback"

for device in /sys/bus/pci/devices/*; do
  if [ "$(cat "$device/vendor" "$device/device" | tr '\n' ' ')" = "0x1af4 0x1110 " ]; then
    echo vfio-pci >"$device/driver_override"
    echo "${device##*/}" >/sys/bus/pci/drivers_probe
    # The last one, if there are several.
    ln -sfn "$device" /run/ivshmem
  fi
done

mkdir /run/agent
mkfifo /run/agent/done
port=
while [ -z "$port" ]; do
  for name in /sys/class/virtio-ports/*/name; do
    [ ! -e "$name" ] || [ "$(cat "$name")" != agent ] || port=${name%/name}
  done
done
exec 3<>"/dev/${port##*/}"

# Only this process writes to the port, so that answers do not run into one another. It holds both ends of the pipe,
# whose end it would see otherwise.
while read -r number status; do
  printf '\n@%s %s ' "$number" "$status"
  base64 -w 0 "/run/agent/$number.out"
  echo
  rm "/run/agent/$number".*
done <>/run/agent/done >&3 &

# In a process of its own for each request, so that requests do not wait for one another.
answer() { # answer <number> <command in base64>
  files=/run/agent/$1
  status=0
  printf %s "$2" | base64 -d >"$files.sh"
  cd "$HOME" || cd /
  setsid sh -c "echo \$\$ >$files.pid; exec sh $files.sh" </dev/null >"$files.out" 2>&1 3<&- || status=$?
  echo "$1 $status" >/run/agent/done
}

printf '\n@ready\n' >&3
while IFS=' ' read -r number command <&3; do
  case "$number" in
    @ | @*[!0-9]*) ;; # Noise: a request has a number.
    @*) answer "${number#@}" "$command" & ;;
  esac
done
echo "init: the agent's port is gone"
poweroff -f
