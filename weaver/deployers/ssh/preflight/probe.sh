# Tells what a deployment has to know of a host, as lines `key value`, after a line that a noisy
# login cannot have printed by chance. POSIX sh and the tools that every system has; nothing is
# written. `directory`, `python`, `question` and `facts` are assigned above this text, and `meeting`
# and `peers`, which are empty where no other hosts are asked at the same time.
#
# All is in functions, so that nothing runs before all has arrived, and nothing reads our own text.

if [ -n "${ZSH_VERSION-}" ]; then emulate sh; fi # where it goes by its own name

say() {
  printf '%s\n' "$*"
}

at_home() { # a path as the user means it, from the home directory
  case $1 in
    '~') printf '%s' "$HOME" ;;
    '~/'*) printf '%s/%s' "$HOME" "${1#'~/'}" ;;
    /*) printf '%s' "$1" ;;
    *) printf '%s/%s' "$HOME" "$1" ;;
  esac
}

describe_system() {
  say "system $(uname -s)"
  say "release $(uname -r)"
  say "machine $(uname -m)"
  say "hostname $(uname -n)"
  say "user $(id -un 2>/dev/null || id -u)"
  say "home $HOME"
  say "shell ${SHELL:-}"
  say "umask $(umask)"
  say "runtime ${XDG_RUNTIME_DIR:-}"
  say "session ${XDG_SESSION_ID:-}"
  say "files $(ulimit -n) $(ulimit -Hn)"
  if [ -r /etc/os-release ]; then
    while IFS= read -r line; do
      case $line in PRETTY_NAME=*) say "os ${line#PRETTY_NAME=}" ;; esac
    done </etc/os-release
  fi
  if [ -r /proc/sys/kernel/random/boot_id ]; then
    read -r boot </proc/sys/kernel/random/boot_id
    say "boot $boot"
  fi
}

describe_libc() {
  if libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) && [ -n "$libc" ]; then
    say "libc $libc"
  elif [ "$(uname -s)" = Darwin ]; then
    say "libc macos $(sw_vers -productVersion 2>/dev/null)"
  else
    for loader in /lib/ld-musl-*.so.1; do
      [ -e "$loader" ] || continue
      # Without arguments it prints its version among its usage, and fails.
      "$loader" 2>&1 | while IFS= read -r line; do
        case $line in Version*) say "libc musl ${line#Version }" ;; esac
      done
    done
  fi
}

describe_directory() {
  say "directory $directory"
  existing=$directory
  while [ ! -d "$existing" ]; do
    if [ -e "$existing" ]; then
      say "obstacle $existing"
    fi
    existing=${existing%/*}
    [ -n "$existing" ] || existing=/
  done
  say "existing $existing"
  if [ -w "$existing" ] && [ -x "$existing" ]; then say "writable yes"; else say "writable no"; fi
  say "inode $(ls -di "$existing" 2>/dev/null)"
  blocks=$(df -Pk "$existing" 2>/dev/null | tail -n 1)
  say "blocks $blocks"
  say "inodes $(df -Pi "$existing" 2>/dev/null | tail -n 1)"
  case $blocks in
    *'% /'*) mounted=/${blocks#*'% /'} ;;
    *) mounted=/${blocks#*' - /'} ;; # a file system without blocks
  esac
  if [ -r /proc/mounts ]; then
    flagged=
    while read -r _ point type flags _; do
      case $point in *\\*) point=$(printf '%b' "$point") ;; esac
      if [ "$point" = "$mounted" ]; then flagged="$type $flags"; fi
    done </proc/mounts
    say "mount $flagged"
  fi
  if [ -d "$directory" ]; then say "owner $(ls -ldn "$directory")"; fi
  say "uid $(id -u)"
  for app in "$directory"/apps/*/; do
    [ -d "$app" ] || continue
    app=${app%/}
    say "app ${app##*/}"
  done
  for release in "$directory"/releases/*/; do
    [ -d "$release" ] || continue
    release=${release%/}
    say "kept ${release##*/}"
  done
}

describe_login() {
  [ -d /run/systemd/system ] || return 0
  say "systemd yes"
  if [ -e "/var/lib/systemd/linger/$(id -un)" ]; then say "linger yes"; else say "linger no"; fi
  # Of the login manager itself, as no user is named.
  $limit loginctl show-user -p KillUserProcesses -p KillOnlyUsers -p KillExcludeUsers 2>/dev/null |
    while IFS= read -r line; do say "logind $line"; done
}

# Runs on every Python since 2.7, and has no single quotes.
identify='
import sys
sys.path = [p for p in sys.path if p]
import os, struct, sysconfig
def has(name):
    try:
        if name[0] == "_" or sys.version_info[0] == 2:
            __import__(name)
            return True
        from importlib.util import find_spec
        return find_spec(name) is not None
    except Exception:
        return False
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
except Exception:
    libc = ""
if "musl" in str(sysconfig.get_config_var("SOABI")):
    libc = "musl"
names = "_ssl zlib _socket select fcntl _ctypes _hashlib venv ensurepip".split()
print("\t".join([
    "python",
    ".".join(str(n) for n in sys.version_info[:3]),
    getattr(getattr(sys, "implementation", None), "name", "cpython"),
    str(struct.calcsize("P") * 8),
    os.uname()[4],
    "t" if "t" in getattr(sys, "abiflags", "") else "",
    libc,
    ",".join(n for n in names if not has(n)),
    sys.executable or "",
]))
'

run_with() { # the first Python that can, before others are looked for: other hosts wait for this one
  runner=$1
  if [ -n "$meeting" ]; then
    # It ends by itself, maybe later than `limit` allows.
    answer=$("$runner" -I -S -c "$peers" "$meeting" 2>&1) || answer="failed $answer"
    say "met $(printf '%s' "$answer" | tail -n 1)"
  fi
  answer=$($limit "$runner" -I -S -c "$facts" "$question" 2>&1) || answer="failed $answer"
  say "answer $(printf '%s' "$answer" | tail -n 1)"
}

try_python() { # a path, and "given" if the user named it
  if [ ! -x "$1" ] || [ -d "$1" ]; then
    [ "$2" != given ] || say "given-broken $1: there is no such program"
    return 0
  fi
  real=$(readlink -f "$1" 2>/dev/null || printf '%s' "$1")
  case $seen in *"|$real|"*) return 0 ;; esac
  if found=$($limit "$1" -E -s -S -c "$identify" 2>&1); then
    seen="$seen|$real|"
    found=$(printf '%s' "$found" | tail -n 1)
    case $found in
      python*) say "$found" ;;
      *)
        [ "$2" != given ] || say "given-broken $1: it is no Python, and says $found"
        return 0
        ;;
    esac
    version=${found#python?}
    case $version in
      3.9.* | 3.[1-9][0-9].*) [ -n "$runner" ] || run_with "$1" ;;
    esac
  elif [ "$2" = given ]; then
    say "given-broken $1: $(printf '%s' "$found" | tail -n 1)"
  fi
}

try_directory() {
  # Shims choose among Pythons that are found below, and take longer to do so than all of them.
  case $1 in */shims) return 0 ;; esac
  for candidate in "$1"/python3 "$1"/python3.[0-9] "$1"/python3.[0-9][0-9] \
    "$1"/python3.[0-9][0-9]t "$1"/pypy3; do
    try_python "$candidate" found
  done
}

find_pythons() {
  runner=
  seen=
  if [ -n "$python" ]; then
    case $python in
      */*) given=$(at_home "$python") ;;
      *) given=$(command -v "$python" || printf '%s' "$python") ;;
    esac
    say "given $given"
    try_python "$given" given
  fi
  before=$IFS
  IFS=:
  set -f
  set -- ${PATH:-}
  set +f
  IFS=$before
  for place in "$@" /usr/local/bin /usr/bin /opt/homebrew/bin /opt/bin /opt/*/bin \
    /opt/python/*/bin "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin \
    "${XDG_DATA_HOME:-$HOME/.local/share}"/uv/python/*/bin \
    "$HOME"/.local/share/mise/installs/python/*/bin "$HOME"/.asdf/installs/python/*/bin \
    "$HOME"/.local/bin "$HOME"/miniconda3/bin "$HOME"/miniforge3/bin "$HOME"/anaconda3/bin; do
    [ -d "$place" ] && try_directory "$place"
  done
}

main() {
  LC_ALL=C
  export LC_ALL
  say # a line of its own, whatever the login has printed
  say "weaver-probe 1"
  say "clock $(date +%s.%N)"
  HOME=${HOME:-$(cd && pwd)}
  limit=
  if command -v timeout >/dev/null 2>&1; then limit='timeout 10'; fi
  directory=$(at_home "$directory")
  describe_system
  describe_libc
  describe_directory
  describe_login
  find_pythons
  say "clock $(date +%s.%N)"
  say end
}
