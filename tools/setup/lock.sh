#!/usr/bin/env bash
# Resolve pyproject.toml again into the two lock files (make lock). "--upgrade" takes newer versions;
# other arguments of `uv pip compile`, such as "--upgrade-package ray", work too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

uv=.venv/bin/uv
[[ -x $uv ]] || uv=uv

# The lock names versions and hashes only: where packages come from is each machine's own setting.
compile() {
    local group=$1 output=$2
    shift 2
    "$uv" pip compile --quiet --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links --group "$group" --output-file "$output" "$@"
}

compile dev requirements.lock pyproject.toml "$@"
compile build tools/setup/build.lock --constraint requirements.lock
