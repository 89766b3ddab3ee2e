#!/usr/bin/env bash
# Runs every stub and every solution many times while the machine is busy, and counts: a stub must fail each
# time, a solution must pass each time.
#
#     checks/exercises-repeat.sh [TIMES [NAME...]]      50 times, all
#
# Beside it run three busy loops. Three programs run at a time. It needs timeout(1).
set -euo pipefail
cd "$(dirname "$0")/../exercises"
export times=${1:-50}
shift || true
if (( $# == 0 )); then mapfile -t names < <(sed -n 's/^name = "\(.*\)"$/\1/p' info.toml); else names=("$@"); fi

wanted=$(printf -- '--bin %s --bin %s_sol ' $(printf '%s\n' "${names[@]}" | sed p))
results=$(mktemp -d)
export results
busy=()
# shellcheck disable=SC2154
trap 'for loop in "${busy[@]}"; do kill "$loop" || true; done; rm -rf "$results"' EXIT
# shellcheck disable=SC2086
cargo test -q --locked --no-run --message-format=json $wanted 2>/dev/null |
    sed -n 's/.*"kind":\["bin"\].*"name":"\([^"]*\)","src_path".*"executable":"\([^"]*\)".*/\1 \2/p' >"$results/programs"

# Adds a line with the status of every run of one program: 101 is a failed test, 0 a passed one, 124 a
# watchdog or the time limit here.
repeat() {
    local program start=$SECONDS
    program=$(awk -v name="$1" '$1 == name { print $2 }' "$results/programs")
    for ((round = 0; round < times; round++)); do
        local status=0
        timeout --kill-after=5 300 "$program" >/dev/null 2>&1 </dev/null || status=$?
        echo "$status"
    done >"$results/$1.runs"
    echo $((SECONDS - start)) >"$results/$1.seconds"
}
export -f repeat

for loop in 1 2 3; do
    nice bash -c 'while :; do :; done' &
    busy+=($!)
done
printf '%s\n' "${names[@]}" "${names[@]/%/_sol}" | xargs -P 3 -I{} bash -c 'repeat {}'

count() {
    grep -cx "$2" "$results/$1.runs" || true
}
wrong=0
printf '%-18s %18s %20s   %s\n' exercise "stub: failed of $times" "solution: passed" 'seconds (stub, solution)'
for name in "${names[@]}"; do
    failed=$(count "$name" 101) passed=$(count "${name}_sol" 0)
    printf '%-18s %18s %20s   %s, %s\n' "$name" "$failed" "$passed" \
        "$(cat "$results/$name.seconds")" "$(cat "$results/${name}_sol.seconds")"
    if (( failed != times || passed != times )); then wrong=$((wrong + 1)); fi
done
echo "$((2 * times * ${#names[@]})) runs, $wrong exercises misjudged"
(( wrong == 0 ))
