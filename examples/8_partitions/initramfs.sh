#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Makes a kernel and an initial file system for machine.py out of Debian's packages and the programs given.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
  cat <<'TEXT'
usage: examples/8_partitions/initramfs.sh [--work FOLDER] [--cache FOLDER] [PROGRAM[=NAME] ...]

Writes FOLDER/vmlinuz and FOLDER/initramfs: Debian's kernel for virtual machines with the modules for VFIO, busybox,
guest_init.sh, and the programs (or other files) with the shared libraries they need, as /usr/bin/NAME, without
their debugging information. A NAME with a slash is a whole path.

  --work   where to write (default: build/partitions of the project)
  --cache  where the kernel is unpacked, once (default: kernel/ in the work folder)

The kernel's package is downloaded and unpacked, but not installed. On Debian, qemu-system-x86, busybox-static and
cpio are installed with apt-get if they are missing, by root or through sudo; NO_INSTALL=1 forbids it.
TEXT
}

say() { printf '== %s\n' "$*" >&2; }

die() {
  printf 'initramfs.sh: %s\n' "$*" >&2
  exit 1
}

work=
cache=
programs=()
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help)
      usage
      exit 0
      ;;
    --work | --cache)
      [ $# -ge 2 ] || die "$1 wants a folder"
      printf -v "${1#--}" %s "$2"
      shift
      ;;
    -*) die "unknown option '$1'" ;;
    *) programs+=("$1") ;;
  esac
  shift
done
work=${work:-$here/../../build/partitions}
cache=${cache:-$work/kernel}
mkdir -p "$work" "$cache"

for tool in apt-get dpkg; do
  command -v "$tool" >/dev/null || die "no $tool here: the kernel comes from Debian's packages"
done
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)

# Brings apt's lists up to date, but not more than once.
update() {
  [ -z "${updated:-}" ] || return 0
  updated=1
  ${as_root[@]+"${as_root[@]}"} apt-get update -q >&2
}

install_packages() {
  local package missing=()
  for package in qemu-system-x86 busybox-static cpio; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  update
  ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}" </dev/null >&2
}

# The package that the meta package stands for at present.
kernel_package() {
  apt-cache depends linux-image-cloud-amd64 2>/dev/null |
    sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1
}

unpack_kernel() { # into $cache
  local package
  if [ -e "$cache/complete" ]; then
    return
  fi
  package=$(kernel_package)
  if [ -z "$package" ]; then
    update
    package=$(kernel_package)
  fi
  [ -n "$package" ] || die "apt knows no linux-image-cloud-amd64"
  say "downloading and unpacking $package"
  rm -rf "$cache"/*.deb "$cache/root"
  (cd "$cache" && apt-get download -q "$package" >&2) || {
    update # Older lists name files that are no more.
    package=$(kernel_package)
    (cd "$cache" && apt-get download -q "$package" >&2)
  }
  dpkg -x "$cache"/*.deb "$cache/root"
  rm "$cache"/*.deb
  touch "$cache/complete"
}

# Copies a module and what it needs, and notes the order. What is built into the kernel has no file.
add_module() { # add_module <name>
  local name=${1//-/_} file needs need
  case " $seen " in
    *" $name "*) return ;;
  esac
  seen+=" $name"
  file=$(find "$cache/root/lib/modules" -name "${name//_/[-_]}.ko" -print -quit)
  [ -n "$file" ] || return 0
  needs=$(tr '\0' '\n' <"$file" | sed -n 's/^depends=//p')
  for need in ${needs//,/ }; do
    add_module "$need"
  done
  cp "$file" "$root/lib/modules/"
  echo "${file##*/}" >>"$root/lib/modules/order"
}

add_program() { # add_program <path>[=<name>]
  local path=${1%%=*} name=${1##*/} library libraries
  case "$1" in
    *=*) name=${1#*=} ;;
  esac
  case "$name" in
    */*) name=${name#/} ;;
    *) name=usr/bin/$name ;;
  esac
  [ -f "$path" ] || die "no file '$path'"
  mkdir -p "$root/$(dirname "$name")"
  cp -L "$path" "$root/$name"
  strip --strip-debug "$root/$name" 2>/dev/null || true # It may be a script, and binutils not there.
  libraries=$(ldd "$path" 2>/dev/null) || return 0 # A static program, or a script.
  case "$libraries" in
    *'not found'*) die "'$path' lacks libraries: $libraries" ;;
  esac
  # "libm.so.6 => /lib/libm.so.6 (0x...)" or "/lib64/ld-linux-x86-64.so.2 (0x...)"
  sed -n 's/^[^/]*\(\/[^ ]*\) (0x.*/\1/p' <<<"$libraries" | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -Lu "$library" "$root$library"
  done
}

[ -n "${NO_INSTALL:-}" ] || install_packages
exec 9>"$cache/lock"
flock 9
unpack_kernel
flock -u 9

root=$(mktemp -d "$work/root.XXXXXX")
trap 'rm -rf "$root" "$root".*' EXIT
chmod 755 "$root"
mkdir -p "$root"/{bin,dev,etc,home/user,root,proc,run,sys,tmp,usr/bin,lib/modules}
cp /bin/busybox "$root/bin/busybox"
/bin/busybox --list | while read -r name; do
  [ -e "$root/bin/$name" ] || ln -s busybox "$root/bin/$name"
done
cp "$here/guest_init.sh" "$root/init"
chmod 755 "$root/init"
printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'user:x:1000:1000:user:/home/user:/bin/sh' >"$root/etc/passwd"
printf '%s\n' 'root:x:0:' 'user:x:1000:' >"$root/etc/group"
printf '%s\n' '127.0.0.1 localhost' >"$root/etc/hosts"

seen=
for module in virtio_pci virtio_console vfio_iommu_type1 vfio-pci; do
  add_module "$module"
done
for program in ${programs[@]+"${programs[@]}"}; do
  add_program "$program"
done

# To be root's in the guest, except for the home of the user, whoever runs this. Written under other names first: a
# machine that boots at the same time reads a whole file.
(cd "$root" && find . -path ./home/user -prune -o -print0 | cpio --quiet --null -o -H newc -R 0:0 &&
  echo ./home/user | cpio --quiet -o -H newc -R 1000:1000) >"$root.initramfs"
mv "$root.initramfs" "$work/initramfs"
cp "$cache"/root/boot/vmlinuz-* "$root.vmlinuz"
mv "$root.vmlinuz" "$work/vmlinuz"
say "$work/initramfs: $(stat -c %s "$work/initramfs") bytes"
