#!/usr/bin/env bash
# The wire contract: generate Python code from protos/novaray/v1/*.proto, and check it.
#
#   tools/protos.sh generate     write the generated code beside the .proto files
#   tools/protos.sh check        fail where the generated code differs from what lies there
#   tools/protos.sh lint         style of the .proto files
#   tools/protos.sh format       rewrite the .proto files in the one layout
#   tools/protos.sh breaking     fail where a client of the landed contract would break
#
# "Landed" is origin/main, or the revision in NOVARAY_BREAKING_BASE.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PWD/.venv/bin:$PATH"

readonly package=protos/novaray/v1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

shopt -s nullglob
sources=("$package"/*.proto)
if ((${#sources[@]} == 0)); then
    echo "protos: no .proto file in $package yet"
    exit 0
fi

# Where googleapis-common-protos has its .proto files.
common() { python -c 'import google.rpc as p, pathlib as l; print(l.Path(p.__path__[0]).parents[1])'; }

# The wheel has google/longrunning/operations.proto under another name than the one its Python code
# registers; here it gets its own name back.
mkdir -p "$work/alias/google/longrunning"
cp "$(common)/google/longrunning/operations_proto.proto" \
    "$work/alias/google/longrunning/operations.proto"

# protoc ARGUMENT...: run in the current folder, so that names in the output are repository paths.
protoc() { python -m grpc_tools.protoc -I . -I "$work/alias" -I "$(common)" "$@" "$package"/*.proto; }

# generate FOLDER: print what is said only when it fails.
generate() {
    protoc --python_out="$1" --grpc_python_out="$1" --mypy_out="quiet:$1" --mypy_grpc_out="quiet:$1"
}

# compile FILE: the contract in the current folder as descriptors.
compile() { protoc --include_imports --include_source_info --descriptor_set_out="$1"; }

check() {
    mkdir -p "$work/$package"
    generate "$work"
    if ! diff -r -q --exclude='*.proto' --exclude=__init__.py --exclude=__pycache__ \
        "$work/$package" "$package"; then
        echo "protos: generated code is not what the .proto files give: run 'make protos'" >&2
        return 1
    fi
    echo "protos: generated code is up to date"
}

lint() {
    compile "$work/now.binpb"
    buf lint "$work/now.binpb" --config buf.yaml --path protos
    buf format --diff --exit-code --path protos
    echo "protos: style is fine"
}

breaking() {
    local base=${NOVARAY_BREAKING_BASE:-origin/main}
    if ! git rev-parse --quiet --verify "$base^{commit}" >/dev/null; then
        echo "protos: nothing landed to compare with ($base is not here)"
        return
    fi
    mkdir "$work/landed"
    git archive "$base" | tar -x -C "$work/landed" --wildcards "$package/*.proto" 2>/dev/null || true
    local landed=("$work/landed/$package"/*.proto)
    if ((${#landed[@]} == 0)); then
        echo "protos: $base has no .proto file to compare with"
        return
    fi
    (cd "$work/landed" && compile "$work/landed.binpb")
    compile "$work/now.binpb"
    buf breaking "$work/now.binpb" --against "$work/landed.binpb" --config buf.yaml --path protos
    echo "protos: nothing breaks clients of $base"
}

case ${1:-} in
    generate) generate . ;;
    check) check ;;
    lint) lint ;;
    format) buf format --write --path protos ;;
    breaking) breaking ;;
    *) sed -n 's/^# \{0,1\}//p' "$0" | sed -n 2,10p >&2 && exit 2 ;;
esac
