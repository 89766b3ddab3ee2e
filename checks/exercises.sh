#!/usr/bin/env bash
# Checks the exercises: every stub fails its own test, every solution passes, every mutant fails.
#
#     checks/exercises.sh [NAME...]      some exercises, or all
#     FULL=1 checks/exercises.sh         the tests of the solutions 10 times over, not twice
#
# A mutant is a plausible wrong solution: mutants/NAME.WHAT.patch, to be applied to solutions/NAME.rs.
# It needs Rust with rustfmt and clippy, patch(1), timeout(1), and ipcs(1).
set -euo pipefail
cd "$(dirname "$0")/../exercises"

# In an IPC namespace of its own, where it is allowed, other people's segments don't matter.
if [ -z "${IN_OWN_NAMESPACE:-}" ]; then
    for how in '--ipc' '--ipc --map-root-user'; do
        # shellcheck disable=SC2086
        if unshare $how true 2>/dev/null; then
            IN_OWN_NAMESPACE=1 exec unshare $how "../checks/${0##*/}" "$@"
        fi
    done
fi

if [ -n "${FULL:-}" ]; then rounds=10; else rounds=2; fi
mapfile -t all < <(sed -n 's/^name = "\(.*\)"$/\1/p' info.toml)
if (( $# > 0 )); then names=("$@"); else names=("${all[@]}"); fi
started=$SECONDS
# How many run side by side. Each of them mostly waits for its own processes.
export jobs=$(( $(nproc) + 1 ))

# Temporary files go to a directory of our own, which must be empty in the end.
TMPDIR=$(mktemp -d)
export TMPDIR
busy=()
clean_up() {
    for loop in "${busy[@]}"; do kill "$loop" || true; done
    rm -rf "$TMPDIR"
}
trap clean_up EXIT

failed() {
    echo "FAILED: $*" >&2
    exit 1
}

step() {
    echo "== exercises: $* ($((SECONDS - started)) s)"
}

segments() {
    # Identifier and owner, without the columns that change.
    ipcs -m | awk '$2 ~ /^[0-9]+$/ { print $2, $3 }'
    ipcs -s | awk '$2 ~ /^[0-9]+$/ { print $2, $3 }'
}
before=$(segments)

step 'files'
for directory in exercises solutions; do
    diff <(printf '%s.rs\n' "${all[@]}" | sort) <(ls "$directory" | grep -v README | sort) ||
        failed "$directory/ and info.toml differ"
done
diff <(for name in "${all[@]}"; do
    printf '  { name = "%s", path = "exercises/%s.rs" },\n' "$name" "$name"
    printf '  { name = "%s_sol", path = "solutions/%s.rs" },\n' "$name" "$name"
done) <(grep '^  { name = ' Cargo.toml) || failed 'info.toml and Cargo.toml differ: rustlings dev update'
tests_of() {
    sed -n '/^mod tests {/,$p' "$1"
}
for name in "${all[@]}"; do
    # grade.sh compares the student's tests with the solution's.
    diff <(tests_of "exercises/$name.rs") <(tests_of "solutions/$name.rs") ||
        failed "the tests of $name and of its solution differ"
    # rustlings has no time limit: a student's endless loop would hang it.
    dogs=$(grep -c 'lab::watchdog' "exercises/$name.rs" || true)
    tests=$(grep -A1 '#\[test\]' "exercises/$name.rs" | grep -c ' fn ' || true)
    roles=$(grep -c ' fn role()' "exercises/$name.rs" || true)
    (( dogs >= tests - roles )) || failed "$name has $((tests - roles)) tests, and $dogs watchdogs"
    mutants=$(find mutants -name "$name.*.patch" | wc -l)
    (( mutants >= 2 )) || failed "$name has $mutants mutants, and two are the least"
done
cargo fmt --check

step 'clippy, solutions and the library of the checks'
cargo clippy -q --locked --profile test --lib $(printf -- '--bin %s_sol ' "${names[@]}") -- -D warnings

target=aarch64-unknown-linux-gnu
if [ -n "$(ls "$(rustc --print target-libdir --target "$target")"/libstd-*.rlib 2>/dev/null)" ]; then
    step "$target"
    # Without the tests, which need loom, and that needs a C compiler for it.
    cargo check -q --locked --lib --target "$target"
else
    echo "skipped: the standard library for $target is not installed" >&2
fi

step 'the library of the checks'
cargo test -q --locked --lib >/dev/null || failed 'the library of the checks'

step 'mutants are made'
# A package beside the real one, in its target directory, so that nothing is compiled twice.
root=$PWD/target/mutants
rm -rf "$root"
mkdir -p "$root"
{
    printf '[package]\nname = "mutants"\nedition = "2024"\n[workspace]\n'
    printf '[dependencies]\nexercises = { path = "../.." }\n'
    # What the exercises use, except for the path, which is another from here.
    sed -n '/^\[dependencies\]/,/^\[lints/p' Cargo.toml | grep -v '^\[' | sed 's,"\.\./common","../../../common",'
    sed -n '/^\[dev-dependencies\]/,$p' Cargo.toml
} >"$root/Cargo.toml"
cp Cargo.lock "$root/"
mutants=()
for name in "${names[@]}"; do
    for mutation in mutants/"$name".*.patch; do
        mutant=$(basename "$mutation" .patch)
        patch --silent --fuzz=0 --output="$root/$mutant.rs" "solutions/$name.rs" "$mutation" ||
            failed "$mutation does not apply to solutions/$name.rs"
        printf '[[bin]]\nname = "%s"\npath = "%s.rs"\n' "${mutant//./-}" "$mutant" >>"$root/Cargo.toml"
        mutants+=("${mutant//./-}")
    done
done

step 'compiling'
# NAME PATH of each program, as cargo says it.
programs() {
    sed -n 's/.*"kind":\["bin"\].*"name":"\([^"]*\)","src_path".*"executable":"\([^"]*\)".*/\1 \2/p'
}
tests=$root/tests
wanted=$(for name in "${names[@]}"; do printf -- '--bin %s --bin %s_sol ' "$name" "$name"; done)
# shellcheck disable=SC2086
cargo test -q --locked --no-run --message-format=json $wanted 2>"$root/log" | programs >"$tests" ||
    { cat "$root/log" >&2; failed 'a test does not compile'; }
# shellcheck disable=SC2086
cargo build -q --locked $wanted 2>"$root/log" || { cat "$root/log" >&2; failed 'a program does not compile'; }
CARGO_TARGET_DIR=$PWD/target cargo test -q --offline --no-run --message-format=json \
    --manifest-path "$root/Cargo.toml" 2>"$root/log" | programs >>"$tests" ||
    { cat "$root/log" >&2; failed 'a mutant does not compile'; }
export tests root

# Runs the test program NAME, at most SECONDS long; its output is in $root/NAME.out.
run() {
    local program status=0
    program=$(awk -v name="$1" '$1 == name { print $2 }' "$tests")
    [ -n "$program" ] || { echo "FAILED: $1 was not compiled" >&2; return 1; }
    RUST_BACKTRACE=0 timeout --kill-after=5 "$2" "$program" >"$root/$1.out" 2>&1 </dev/null || status=$?
    if grep -q '^This check needs\|: *This check needs' "$root/$1.out"; then
        grep -h 'This check needs' "$root/$1.out" | head -1 | sed "s/^/skipped: $1: /" >&2
        [ -z "${CI:-}" ] || return 1
        return 77
    fi
    return "$status"
}

# A test program must end because one of its tests failed, or because a watchdog has bitten.
must_fail() {
    local status=0 limit=20
    # A student's first run is short. A mutant, whose name has a dash, may pass all slow tests but one.
    [[ $1 != *-* ]] || limit=120
    run "$1" "$limit" || status=$?
    case $status in
    77) return 0 ;;
    101) grep -q '^test tests::.* FAILED$' "$root/$1.out" && ! grep -q '^test tests::role .*FAILED' "$root/$1.out" && return 0 ;;
    124) grep -q '^Stopped after' "$root/$1.out" && return 0 ;;
    esac
    echo "FAILED: $1 should have failed its test within $limit s, and ended with status $status:" >&2
    cat "$root/$1.out" >&2
    return 1
}

must_pass() {
    local status=0
    run "$1" 300 || status=$?
    case $status in 0 | 77) return 0 ;; esac
    echo "FAILED: $1 should have passed its tests, and ended with status $status:" >&2
    cat "$root/$1.out" >&2
    return 1
}

must_print() {
    local line status=0
    line=$(timeout 60 "target/debug/$1" 2>&1 </dev/null) || status=$?
    (( status == 0 )) && [ -n "$line" ] && return 0
    echo "FAILED: $1's main should print a line and exit with 0, and ended with status $status: $line" >&2
    return 1
}
export -f run must_fail must_pass must_print

# each COMMAND NAME...: COMMAND for every name, some side by side.
each() {
    local command=$1
    shift
    printf '%s\n' "$@" | xargs -P "$jobs" -I{} bash -c "$command {}" || failed "$command"
}

step "${#names[@]} stubs fail their own tests"
each must_fail "${names[@]}"
step "${#mutants[@]} mutants fail"
# The capstones', at the end of the list, take longest: they begin, so that nobody waits for one of them alone.
mapfile -t mutants < <(printf '%s\n' "${mutants[@]}" | tac)
each must_fail "${mutants[@]}"

# Both cores are busy with something else from here on.
for ((core = 0; core < $(nproc); core++)); do
    nice bash -c 'while :; do :; done' &
    busy+=($!)
done
step "${#names[@]} solutions print their line, and pass $rounds times"
each must_print "${names[@]/%/_sol}"
for ((round = 0; round < rounds; round++)); do
    each must_pass "${names[@]/%/_sol}"
done

for loop in "${busy[@]}"; do kill "$loop"; done
busy=()

if (( $# == 0 )); then
    step 'rustlings dev check'
    if command -v rustlings >/dev/null; then
        rustlings dev check --require-solutions </dev/null
    else
        echo 'skipped: rustlings is not installed' >&2
    fi
fi

step 'nothing is left behind'
left=$(find "$TMPDIR" -mindepth 1)
[ -z "$left" ] || failed "left behind: $left"
after=$(segments)
[ "$before" = "$after" ] || failed "segments or semaphores before: $before; after: $after"
step 'done'
