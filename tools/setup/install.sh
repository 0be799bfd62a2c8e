#!/usr/bin/env bash
# Make this machine able to run novaray: Debian packages, then .venv from the lock files.
#
#   tools/setup/install.sh [apt] [venv]        (no argument: both)
#
# Safe to run again: what is there already is left alone, and with nothing to do it takes
# well under a second.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly here=tools/setup
readonly policy=/usr/sbin/policy-rc.d
readonly policy_mark="# novaray setup: temporary"
readonly python=${NOVARAY_SETUP_PYTHON:-/usr/bin/python3}
readonly venv=.venv

say() { printf '[setup %3ds] %s\n' "$SECONDS" "$*"; }

die() {
    say "$*" >&2
    exit 1
}

# --- Debian packages --------------------------------------------------------------------------

wanted_packages() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/apt-packages.txt"; }

missing_packages() {
    comm -23 <(wanted_packages | sort -u) \
        <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^ii *//p' | sort -u)
}

drop_policy() {
    if grep -qsF "$policy_mark" "$policy"; then rm -f "$policy"; fi
}

# Maintainer scripts start services: a second libvirtd beside ours, a DHCP server on a machine
# that is not ours alone. 101 is invoke-rc.d's "not allowed". A policy that was there stays.
forbid_services() {
    trap drop_policy EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >"$policy"
        chmod 755 "$policy"
    fi
}

install_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    if ((${#missing[@]} == 0)); then
        say "Debian packages: all there"
        return
    fi
    ((EUID == 0)) || die "root is needed to install: ${missing[*]}"
    say "Debian packages: installing ${missing[*]}"
    forbid_services
    export DEBIAN_FRONTEND=noninteractive
    local log
    log=$(mktemp)
    if ! { apt-get -q update && apt-get -q -y -o Dpkg::Use-Pty=0 install \
        --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        die "apt-get failed; the whole log is $log"
    fi
    rm -f "$log"
    drop_policy
    say "Debian packages: installed"
}

# --- Python environment -----------------------------------------------------------------------

# What a stamp must equal for the step behind it to be up to date.
fingerprint() { { echo "$PWD"; "$python" --version; cat "$@"; } | sha256sum | cut -d ' ' -f 1; }

is_current() { [[ -e $venv/$1 && $(<"$venv/$1") == "$2" ]]; }

# Errors only: a machine's own index settings may bring a warning for every package. The search path
# is for build back ends that start a program of their own (uv_build).
pip_install() {
    PATH="$PWD/$venv/bin:$PATH" "$venv/bin/python" -m pip --disable-pip-version-check \
        install -qq --no-input "$@"
}

# A new environment when there is none, or one that another Python or folder made, or half of one.
make_venv() {
    local print
    print=$(fingerprint /dev/null)
    if is_current .base "$print"; then return; fi
    say "Python packages: a new $venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
    say "Python packages: build tools"
    pip_install --require-hashes -r "$here/build.lock"
    echo "$print" >"$venv/.base"
}

install_locked() {
    local print
    print=$(fingerprint "$here/build.lock" requirements.lock)
    if is_current .locked "$print"; then
        say "Python packages: as locked"
        return
    fi
    make_venv
    say "Python packages: $(grep -c '==' requirements.lock) of requirements.lock"
    # Without isolation, so that an sdist is built with the locked build tools.
    pip_install --require-hashes --no-build-isolation -r requirements.lock
    echo "$print" >"$venv/.locked"
    say "Python packages: installed"
}

install_project() {
    local print
    print=$(fingerprint pyproject.toml)
    if is_current .project "$print"; then return; fi
    say "novaray itself: editable install"
    pip_install --no-build-isolation --no-deps --no-index --editable .
    echo "$print" >"$venv/.project"
}

install_venv() {
    install_locked
    install_project
}

# ----------------------------------------------------------------------------------------------

(($#)) || set -- apt venv
exec 9<"$here"
flock 9  # one set-up at a time in this tree
for step in "$@"; do
    case $step in
        apt) install_packages ;;
        venv) install_venv ;;
        *) die "unknown step $step: apt or venv" ;;
    esac
done
say "done"
