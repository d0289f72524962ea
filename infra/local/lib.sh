# Sourced by the scripts beside it: where the project and its tools are.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tools=${ALLUVIUM_TOOLS_DIR:-$root/.emu}

say() { printf '%s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

# As root where the machine needs it, as whoever we are where it does not.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# apt-get, only for what is missing: $1 names the command that proves a package, the rest are packages.
need() {
  local proof=$1; shift
  have "$proof" && return 0
  have apt-get || { say "$proof is missing and there is no apt-get: install $* and start again"; exit 3; }
  if [ -z "${apt_updated:-}" ]; then as_root apt-get update -qq; apt_updated=1; fi
  say "installing $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# The Rust toolchain that rust-toolchain.toml names. rustup fetches the exact version at the first cargo call.
need_rust() {
  need cc build-essential
  need cmake cmake
  if ! have cargo && [ -x "$HOME/.cargo/bin/cargo" ]; then PATH=$HOME/.cargo/bin:$PATH; fi
  have cargo && return 0
  need curl curl ca-certificates
  say "installing rustup"
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y -q --profile minimal --default-toolchain none
  PATH=$HOME/.cargo/bin:$PATH
}
