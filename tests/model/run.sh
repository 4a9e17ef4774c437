#!/bin/sh
# Checks each model exhaustively with spin, then that each of its flags makes it fail: a model
# that cannot fail shows nothing. Exit status 0: all as said; 77: skipped, no spin.
#
#   tests/model/run.sh [MODEL ...]
#
# Each run is bounded: MEMORY in MB, and SECONDS_EACH.
set -u
here=$(cd "$(dirname "$0")" && pwd)
memory=${MEMORY:-2000}
seconds=${SECONDS_EACH:-180}
wanted=${*:-lifecycle move budget attach wait}

if ! command -v spin >/dev/null; then
    echo "models: skipped, spin is not installed (apt-get install spin)"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

# run MODEL FLAGS...: prints "holds", "fails" or "unfinished: why".
run() {
    model=$1
    shift
    rm -f pan pan.*
    if ! spin -a "$@" "$here/$model.pml" >spin.out 2>&1 ||
        ! ${CC:-cc} -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM="$memory" -o pan pan.c >>spin.out 2>&1; then
        echo "unfinished: $(head -n 3 spin.out | tr '\n' ' ')"
        return
    fi
    timeout "$seconds" ./pan -m200000 >pan.out 2>&1
    status=$?
    if grep -q 'errors: [1-9]' pan.out; then
        echo fails
    elif [ $status -ne 0 ] || ! grep -q 'errors: 0' pan.out ||
        grep -q 'search not completed\|max search depth too small' pan.out; then
        echo "unfinished: status $status, $(grep -m1 '^error\|^pan:' pan.out)"
    else
        echo holds
    fi
}

# expect RESULT MODEL FLAGS...
expect() {
    want=$1
    shift
    got=$(run "$@")
    if [ "$got" = "$want" ]; then
        echo "ok      $*: $got"
    else
        echo "FAILED  $*: $got, expected: $want"
        failures=$((failures + 1))
    fi
}

for model in $wanted; do
    expect holds "$model"
    case $model in
    lifecycle)
        expect holds lifecycle -DKILLS=1 -DREADS=0 -DSWEEPS=2
        expect fails lifecycle -DREADS=0 -DSWEEPS=2 -DSWEEP_TESTS
        flags="NO_DEAD_MARK SLOT_FIRST NO_LEASE POOL_WRITES"
        ;;
    move)
        expect holds move -DKILLS=2
        for also in READS TOUCHES TWO_MOVES; do
            expect holds move "-D$also"
        done
        expect fails move -DREADS -DNO_LEASE
        for flag in NO_RECORD_LOCK COPY_EARLY; do
            expect fails move -DTOUCHES "-D$flag"
        done
        flags="BLIND_CAS SLOT_FIRST OWN_SEQUENCE"
        ;;
    budget) flags="NO_SEQUENCE NO_INTENT USED_FIRST" ;;
    attach) flags="MAGIC_FIRST SHARED_FIRST LOOK_BEFORE" ;;
    wait) flags="WORD_LATE FLAG_ONCE MOVE_FIRST WAKE_ONE NO_MOVE" ;;
    esac
    for flag in $flags; do
        expect fails "$model" "-D$flag"
    done
done
[ $failures -eq 0 ] || echo "models: $failures of the runs did not end as they should"
[ $failures -eq 0 ]
