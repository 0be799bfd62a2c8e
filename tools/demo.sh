#!/usr/bin/env bash
# A small cloud on this machine, and a VM in it: what `make demo` runs, as root.
# Run again, it does only what is missing. `nova-manage down --purge` removes it all.

set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"

readonly NAME=MyFirstInstance
readonly IMAGE=cirros-0.3.4-x86_64-uec
readonly FLAVOR=m1.tiny
readonly LARGER=m1.small
readonly SCREEN=build/$NAME.png
readonly MANIFEST=build/guest/images.json
# A guest without KVM on a busy machine needs a quarter of a minute; this is far more.
readonly LOGIN_SECONDS=${DEMO_LOGIN_SECONDS:-240}

heading() { printf '\n== %s (after %d s)\n' "$1" "$SECONDS"; }
run() {
    printf '\n$ %s\n' "$*"
    "$@"
}
fail() {
    printf '\ndemo: %s\n' "$1" >&2
    exit 1
}

[[ $EUID -eq 0 ]] || fail "A host is root's business. Run: sudo make demo"

if [[ ! -x .venv/bin/nova-manage ]]; then
    heading "setting this machine up"
    tools/setup/install.sh
fi
if [[ ! -e $MANIFEST ]]; then
    heading "building the guest image"
    python -m tools.guest_image
fi

heading "starting the cloud"
run nova-manage up
run nova-manage image register --manifest "$MANIFEST"

# What `nova show` says of one property; empty where there is no such server.
property() { nova show "$NAME" --format json 2>/dev/null | python -c "
import json, sys
print(json.load(sys.stdin).get('$1') or '')" 2>/dev/null || true; }

# What has been done to it already, a word each, between spaces.
actions() { nova instance-action-list "$NAME" --format json | python -c "
import json, sys
print('', *[one['action'] for one in json.load(sys.stdin) if not one['message']], '')"; }

# step ACTION COMMAND…: run what shows the action, unless it is in $before.
step() {
    local action=$1
    shift
    [[ $before == *" $action "* ]] || run "$@"
}

heading "booting $NAME"
status=$(property status)
case $status in
    ACTIVE) echo "$NAME runs already." ;;
    SHUTOFF) run nova start --poll "$NAME" ;;
    # Where an earlier demo was ended.
    PAUSED) run nova unpause --poll "$NAME" ;;
    SUSPENDED) run nova resume --poll "$NAME" ;;
    VERIFY_RESIZE) run nova resize confirm --poll "$NAME" ;;
    '') run nova boot --image "$IMAGE" --flavor "$FLAVOR" --poll "$NAME" ;;
    *) fail "$NAME is in state $status. Look: nova show $NAME. Remove it: nova delete $NAME" ;;
esac

heading "looking around"
run nova list
run nova image-list
run nova flavor-list
run nova show "$NAME"

heading "waiting for the login prompt of $NAME"
console=$(mktemp)
trap 'rm -f "$console"' EXIT
deadline=$((SECONDS + LOGIN_SECONDS))
told=0
until nova console-log "$NAME" >"$console" 2>/dev/null && grep -q 'login:' "$console"; do
    if ((SECONDS > deadline)); then
        echo
        tail -n 30 "$console"
        fail "No login prompt within $LOGIN_SECONDS s. Look: nova console-log $NAME; nova-manage status"
    fi
    waited=$((SECONDS - deadline + LOGIN_SECONDS))
    if [[ -t 1 ]]; then
        printf '\r  %3d s, %s lines on its console ' "$waited" "$(wc -l <"$console")"
    elif ((waited >= told + 5)); then
        told=$waited
        printf '  %3d s, %s lines on its console\n' "$waited" "$(wc -l <"$console")"
    fi
    sleep 1
done
printf '\n\n$ nova console-log %s\n' "$NAME"
tail -n 25 "$console"
echo

before=$(actions)
heading "what else can be done to $NAME"
step pause nova pause --poll "$NAME"
step unpause nova unpause --poll "$NAME"
step suspend nova suspend --poll "$NAME"
step resume nova resume --poll "$NAME"
step create_image nova image-create --poll "$NAME" "$NAME-image"
# A small machine may have no room for it.
if step resize nova resize --poll "$NAME" "$LARGER"; then
    step confirm_resize nova resize confirm --poll "$NAME"
fi
run nova screenshot "$NAME" --file "$SCREEN"
run nova instance-action-list "$NAME"
run nova list

namespace=$(ip netns list | grep -o '^qdhcp-[^ ]*' | head -n 1)
address=$(nova show "$NAME" --format json | python -c "
import json, sys
print(json.load(sys.stdin)['addresses'][0]['address'])")
cat <<END

== $NAME runs. This took $SECONDS s in all. Try next:

  nova console $NAME            its serial console; Ctrl-] leaves it
  ip netns exec $namespace ssh cirros@$address
                                           password: cubswin:)
  nova stop --poll $NAME && nova start --poll $NAME
  nova rebuild --poll $NAME $IMAGE
  nova boot --image $NAME-image --flavor $FLAVOR --poll MySecondInstance
  nova clone --poll $NAME MyThirdInstance
  nova delete --poll $NAME
  nova help                                all commands; nova help boot: one of them

  nova-manage status            what runs, and what memory it takes
  nova-manage down              stops the control plane; the VM runs on
  nova-manage up                finds it again
  nova-manage down --purge      removes everything

The commands are in .venv/bin: export PATH="$PWD/.venv/bin:\$PATH"
END
