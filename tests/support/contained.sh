#!/usr/bin/env bash
# contained.sh ROOT BINARY CONFIG TABLES ARGUMENTS...: runs the binary as its image does (infra/Dockerfile): over a root with nothing else
# in it, read-only, as nobody, without capabilities. To be started as root, in a mount namespace of its own.
#
# The binary under test is linked with the system's libraries, which the image's is not: they are there too, read-only.
set -euo pipefail
root=$1 binary=$2 config=$3 tables=$4
shift 4

# What lies at $1 outside, at $2 inside.
bind() {
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$(dirname "$root$2")"; touch "$root$2"; fi
  mount --bind "$1" "$root$2"
  mount -o remount,bind,ro "$root$2"
}

mount -t tmpfs -o size=1m,mode=755 tmpfs "$root"
bind "$binary" /usr/local/bin/alluvium
bind "$config" /etc/alluvium/alluvium.toml
bind "$tables" /usr/share/alluvium/tables
for folder in /usr/lib /lib /lib64 /etc/ssl/certs; do
  [ ! -e "$folder" ] || bind "$(readlink -f "$folder")" "$folder"
done
mkdir -p "$root/var/lib/alluvium"
mount -o remount,ro "$root"
exec setpriv --no-new-privs chroot --userspec=10001:10001 "$root" /usr/local/bin/alluvium "$@"
