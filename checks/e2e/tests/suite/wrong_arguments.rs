//! Arguments that make no sense, in every option of every program.

use crate::wrong::{rows, sh};

const KEY_HELP: &str = "`ipcs -m` lists the keys that are in use";
const DURATION_HELP: &str = "a number and its unit: `1s`, `10ms`, `1m 30s`, `0s`";
const RANGE_HELP: &str = "a whole number in that range";
const NUMBER_HELP: &str = "a whole number from 0";
const MODE_HELP: &str = "three octal digits, for owner, group and others: `0600` is you alone";
const IP_HELP: &str = "an IPv4 or IPv6 address in figures, such as `10.0.0.1` or `::1`";
const CHOOSE: &str = "decide for one of the two";

rows! {
    key_zero {
        how: sh("shm-sysv-writer --key 0"), status: 2,
        says: "error: invalid value '0' for '--key <KEY>': 0 is IPC_PRIVATE: it never finds a segment, it always makes a new one; say `private` if you mean that",
        cause: "to shmget(2), the key 0 is no key but a request for a segment without one",
        cure: "choose a key from 1 on, or say `--key private` and read the segment by its `--id`",
    }
    key_hexadecimal_zero {
        how: sh("shm-sysv-reader --key 0x0"), status: 2,
        says: "error: invalid value '0x0' for '--key <KEY>': 0 is IPC_PRIVATE: it never finds a segment, it always makes a new one; say `private` if you mean that",
        cause: "`ipcs -m` shows the key of a private segment like that",
        cure: "`shm-sysv-reader --id SHMID` reads a private segment",
    }
    key_negative {
        how: sh("shm-sysv-writer --key -1"), status: 2,
        says: "error: invalid value '-1' for '--key <KEY>': a key is `private`, decimal from 1 to 2147483647, or hexadecimal from 0x1 to 0xffffffff",
        cure: "a negative key is written as `ipcs -m` prints it, in hexadecimal: `0xffffffff`",
    }
    key_garbage {
        how: sh("shm-sysv-writer --key twelve"), status: 2,
        says: "error: invalid value 'twelve' for '--key <KEY>': a key is `private`, decimal from 1 to 2147483647, or hexadecimal from 0x1 to 0xffffffff",
        cure: KEY_HELP,
    }
    key_empty {
        how: sh("shm-sysv-reader --key \"\""), status: 2,
        says: "error: invalid value '' for '--key <KEY>': a key is `private`, decimal from 1 to 2147483647, or hexadecimal from 0x1 to 0xffffffff",
        cause: "often a shell variable that is not set", cure: "set it",
    }
    key_too_large {
        how: sh("shm-sysv-writer --key 2147483648"), status: 2,
        says: "error: invalid value '2147483648' for '--key <KEY>': a key is `private`, decimal from 1 to 2147483647, or hexadecimal from 0x1 to 0xffffffff",
        cause: "a key has 32 bits", cure: KEY_HELP,
    }
    key_too_many_digits {
        how: sh("shm-sysv-writer --key 0xabcdef012"), status: 2,
        says: "error: invalid value '0xabcdef012' for '--key <KEY>': a key is `private`, decimal from 1 to 2147483647, or hexadecimal from 0x1 to 0xffffffff",
        cause: "a key has 32 bits, 8 hexadecimal digits", cure: KEY_HELP,
    }
    key_without_value {
        how: sh("shm-sysv-writer --key"), status: 2,
        says: "error: a value is required for '--key <KEY>' but none was supplied",
        cure: KEY_HELP,
    }
    key_twice {
        how: sh("shm-sysv-writer --key 1 --key 2"), status: 2,
        says: "error: the argument '--key <KEY>' cannot be used multiple times",
        cure: CHOOSE,
    }
    key_and_ftok {
        how: sh("shm-sysv-writer --key 1 --ftok ."), status: 2,
        says: "error: the argument '--key <KEY>' cannot be used with '--ftok <PATH>'",
        cause: "both name the segment", cure: CHOOSE,
    }
    key_private_to_a_reader {
        how: sh("shm-sysv-reader --key private"),
        says: "error: shmget, key IPC_PRIVATE: a private segment has no key to find it by\n  help: read it by its shmid, which the writer prints: --id SHMID",
    }
    ftok_of_a_missing_file {
        how: sh("shm-sysv-writer --ftok nowhere"),
        says: "error: ftok, nowhere: ENOENT (No such file or directory)\n  help: name a file that exists and that you may look up; both programs must name the same one",
        cause: "ftok(3) makes the key from the file's device and inode number",
    }
    ftok_empty {
        how: sh("shm-sysv-reader --ftok \"\""), status: 2,
        says: "error: a value is required for '--ftok <PATH>' but none was supplied",
        cause: "often a shell variable that is not set", cure: "set it",
    }
    project_zero {
        how: sh("shm-sysv-writer --ftok . --proj-id 0"), status: 2,
        says: "error: invalid value '0' for '--proj-id <N>': 0 is not in 1..=255",
        cause: "POSIX leaves open what ftok(3) does with 0", cure: RANGE_HELP,
    }
    project_too_large {
        how: sh("shm-sysv-writer --ftok . --proj-id 256"), status: 2,
        says: "error: invalid value '256' for '--proj-id <N>': 256 is not in 1..=255",
        cause: "ftok(3) uses the low 8 bits alone, so 256 would be 0 and 257 would be 1", cure: RANGE_HELP,
    }
    project_alone {
        how: sh("shm-sysv-reader --proj-id 1"), status: 2,
        says: "error: the following required arguments were not provided:\n  --ftok <PATH>",
        cause: "the project id says which of a file's keys is meant", cure: "name the file with `--ftok`",
    }
    ip_garbage {
        how: sh("shm-sysv-writer --ip 999.1.1.1"), status: 2,
        says: "error: invalid value '999.1.1.1' for '--ip <IP>': invalid IP address syntax",
        cause: "999 does not fit in 8 bits", cure: IP_HELP,
    }
    ip_is_a_name {
        how: sh("mmap-file-writer f --ip localhost"), status: 2,
        says: "error: invalid value 'localhost' for '--ip <IP>': invalid IP address syntax",
        cause: "no name is looked up", cure: IP_HELP,
    }
    ip_empty {
        how: sh("shm-sysv-writer --ip \"\""), status: 2,
        says: "error: invalid value '' for '--ip <IP>': invalid IP address syntax",
        cure: IP_HELP,
    }
    ip_with_a_port {
        how: sh("mmap-file-writer f --ip 127.0.0.1:80"), status: 2,
        says: "error: invalid value '127.0.0.1:80' for '--ip <IP>': invalid IP address syntax",
        cure: IP_HELP,
    }
    ip_too_long {
        how: sh("shm-sysv-writer --ip 0000000000000000000000000000000000000000000000000000000000000000"), status: 2,
        says: "error: invalid value '0000000000000000000000000000000000000000000000000000000000000000' for '--ip <IP>': invalid IP address syntax",
        cause: "the field has 64 bytes with the NUL, and an address at most 45", cure: IP_HELP,
    }
    ip_not_utf8 {
        how: sh("shm-sysv-writer --ip \"$(printf '\\377')\""), status: 2,
        says: "error: invalid UTF-8 was detected in one or more arguments",
        cure: IP_HELP,
    }
    ticks_negative {
        how: sh("shm-sysv-writer -n -1"), status: 2,
        says: "error: invalid value '-1' for '--ticks <TICKS>': -1 is not in 0..=4294967295",
        cure: RANGE_HELP,
    }
    ticks_too_many {
        how: sh("shm-sysv-reader -n 4294967296"), status: 2,
        says: "error: invalid value '4294967296' for '--ticks <TICKS>': 4294967296 is not in 0..=4294967295",
        cure: RANGE_HELP,
    }
    ticks_garbage {
        how: sh("mmap-file-reader f -n 1e3"), status: 2,
        says: "error: invalid value '1e3' for '--ticks <TICKS>': invalid digit found in string",
        cure: NUMBER_HELP,
    }
    ticks_empty {
        how: sh("shm-sysv-writer -n \"\""), status: 2,
        says: "error: invalid value '' for '--ticks <TICKS>': cannot parse integer from empty string",
        cure: NUMBER_HELP,
    }
    ticks_beyond_the_count {
        how: sh("mmap-file-writer f -n 2147483648"), status: 2,
        says: "error: invalid value '2147483648' for '--ticks <TICKS>': 2147483648 is not in 0..=2147483647",
        cause: "the file writer counts up to this number, and the count is a C `int`", cure: RANGE_HELP,
    }
    interval_without_unit {
        how: sh("shm-sysv-writer -i 5"), status: 2,
        says: "error: invalid value '5' for '--interval <INTERVAL>': time unit needed, for example 5sec or 5ms; write 1s, 10ms or 0s",
        cure: DURATION_HELP,
    }
    interval_negative {
        how: sh("shm-sysv-reader -i -1s"), status: 2,
        says: "error: invalid value '-1s' for '--interval <INTERVAL>': expected number at 0; write 1s, 10ms or 0s",
        cure: DURATION_HELP,
    }
    interval_empty {
        how: sh("mmap-file-reader f -i \"\""), status: 2,
        says: "error: invalid value '' for '--interval <INTERVAL>': value was empty; write 1s, 10ms or 0s",
        cure: DURATION_HELP,
    }
    interval_too_long {
        how: sh("mmap-file-writer f -i 99999999999999999999y"), status: 2,
        says: "error: invalid value '99999999999999999999y' for '--interval <INTERVAL>': number is too large or cannot be represented without a lack of precision (values below 1ns are not supported); write 1s, 10ms or 0s",
        cure: DURATION_HELP,
    }
    wait_garbage {
        how: sh("mmap-file-reader f --wait soon"), status: 2,
        says: "error: invalid value 'soon' for '--wait <DURATION>': expected number at 0; write 1s, 10ms or 0s",
        cure: DURATION_HELP,
    }
    mode_not_octal {
        how: sh("shm-sysv-writer -m 0688"), status: 2,
        says: "error: invalid value '0688' for '--mode <MODE>': a mode is octal, from 0 to 0777, such as 0600",
        cause: "8 is no octal digit", cure: MODE_HELP,
    }
    mode_too_large {
        how: sh("shm-sysv-writer -m 1777"), status: 2,
        says: "error: invalid value '1777' for '--mode <MODE>': a mode is octal, from 0 to 0777, such as 0600",
        cause: "setuid, setgid and sticky mean nothing here", cure: MODE_HELP,
    }
    mode_in_letters {
        how: sh("mmap-file-writer f -m rw-r--r--"), status: 2,
        says: "error: invalid value 'rw-r--r--' for '--mode <MODE>': a mode is octal, from 0 to 0777, such as 0600",
        cure: MODE_HELP,
    }
    mode_negative {
        how: sh("shm-sysv-writer -m -600"), status: 2,
        says: "error: invalid value '-600' for '--mode <MODE>': a mode is octal, from 0 to 0777, such as 0600",
        cure: MODE_HELP,
    }
    mode_empty {
        how: sh("mmap-file-writer f -m \"\""), status: 2,
        says: "error: invalid value '' for '--mode <MODE>': a mode is octal, from 0 to 0777, such as 0600",
        cure: MODE_HELP,
    }
    exclusive_and_join {
        how: sh("shm-sysv-writer --exclusive --join"), status: 2,
        says: "error: the argument '--exclusive' cannot be used with '--join'",
        cause: "one wants a new segment, the other one that is there", cure: CHOOSE,
    }
    force_and_join {
        how: sh("mmap-file-writer f --force --join"), status: 2,
        says: "error: the argument '--force' cannot be used with '--join'",
        cause: "one gives up what is there, the other counts on from it", cure: CHOOSE,
    }
    id_garbage {
        how: sh("shm-sysv-reader --id five"), status: 2,
        says: "error: invalid value 'five' for '--id <SHMID>': invalid digit found in string",
        cure: "the number that `ipcs -m` lists under shmid",
    }
    id_empty {
        how: sh("shm-sysv-reader --id \"\""), status: 2,
        says: "error: invalid value '' for '--id <SHMID>': cannot parse integer from empty string",
        cure: "the number that `ipcs -m` lists under shmid",
    }
    id_too_large {
        how: sh("shm-sysv-reader --id 99999999999"), status: 2,
        says: "error: invalid value '99999999999' for '--id <SHMID>': 99999999999 is not in -2147483648..=2147483647",
        cure: "the number that `ipcs -m` lists under shmid",
    }
    id_and_key {
        how: sh("shm-sysv-reader --id 5 --key 6"), status: 2,
        says: "error: the argument '--id <SHMID>' cannot be used with '--key <KEY>'",
        cause: "both name the segment", cure: CHOOSE,
    }
    id_unknown {
        how: sh("shm-sysv-reader --id 2147483647"),
        says: "error: shmctl(IPC_STAT), segment N: EINVAL (Invalid argument)\n  help: no segment has this id, or it has been removed: `ipcs -m` lists those that exist",
    }
    id_negative {
        how: sh("shm-sysv-reader --id -1"),
        says: "error: shmctl(IPC_STAT), segment -1: EINVAL (Invalid argument)\n  help: no segment has this id, or it has been removed: `ipcs -m` lists those that exist",
        cause: "C programs pass on the -1 of a failed shmget(2) like this",
    }
    file_not_named {
        how: sh("mmap-file-writer"), status: 2,
        says: "error: the following required arguments were not provided:\n  <FILE>",
        cure: "name the file that both programs map",
    }
    file_name_empty {
        how: sh("mmap-file-reader \"\""), status: 2,
        says: "error: a value is required for '<FILE>' but none was supplied",
        cause: "often a shell variable that is not set", cure: "set it",
    }
    file_named_twice {
        how: sh("mmap-file-reader f g"), status: 2,
        says: "error: unexpected argument 'g' found",
        cause: "often a name with a space in it", cure: "put it in quotes",
    }
    option_unknown {
        how: sh("shm-sysv-writer --loud"), status: 2,
        says: "error: unexpected argument '--loud' found",
        cure: "`--help` lists the options",
    }
    argument_too_many {
        how: sh("shm-sysv-writer 1234"), status: 2,
        says: "error: unexpected argument '1234' found",
        cause: "the System V programs are told what they need by options", cure: "`--key 1234`",
    }
    delay_garbage {
        how: sh("mmap-fork-demo --delay 1"), status: 2,
        says: "error: invalid value '1' for '--delay <DELAY>': time unit needed, for example 1sec or 1ms; write 1s, 10ms or 0s",
        cure: DURATION_HELP,
    }
    message_too_long {
        how: sh("mmap-fork-demo --delay 0s --child-message $(printf '%0128d' 0)"), status: 2,
        says: "error: invalid value '00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000' for '--child-message <CHILD_MESSAGE>': it has 128 bytes; the last of the 128 is for the NUL",
        cause: "C's strcpy would write the NUL behind the page's 128 bytes", cure: "at most 127 bytes",
    }
    address_not_aligned {
        how: sh("shm-sysv-lifecycle --address 0x5000001"), status: 2,
        says: "error: invalid value '0x5000001' for '--address <ADDRESS>': an address is hexadecimal and a multiple of the page size, such as 0x5000000",
        cause: "shmat(2) would say EINVAL; the program's second step shows that",
        cure: "the last three digits are zeros",
    }
    address_decimal {
        how: sh("shm-sysv-lifecycle --address 83886080"), status: 2,
        says: "error: invalid value '83886080' for '--address <ADDRESS>': an address is hexadecimal and a multiple of the page size, such as 0x5000000",
        cure: "write it with `0x`",
    }
    address_zero {
        how: sh("shm-sysv-lifecycle --address 0x0"), status: 2,
        says: "error: invalid value '0x0' for '--address <ADDRESS>': an address is hexadecimal and a multiple of the page size, such as 0x5000000",
        cause: "to shmat(2), 0 means that the system chooses", cure: "the default does that first anyway",
    }
    address_beyond_the_end {
        how: sh("shm-sysv-lifecycle --address 0xffffffffffff000"),
        says: "error: shmat, segment N at 0xffffffffffff000: ENOMEM (Cannot allocate memory)\n  help: the address is beyond what a process may use, or `ulimit -v` allows no more: choose another",
        cause: "beyond the addresses that a process has (2^47 bytes on x86-64)",
    }
    readers_none {
        how: sh("race-demo --readers 0"), status: 2,
        says: "error: invalid value '0' for '--readers <READERS>': 0 is not in 1..=31",
        cure: RANGE_HELP,
    }
    readers_too_many {
        how: sh("race-demo --readers 32"), status: 2,
        says: "error: invalid value '32' for '--readers <READERS>': 32 is not in 1..=31",
        cause: "each reader is a process, and on a machine with few cores more of them show no more",
        cure: RANGE_HELP,
    }
    kills_negative {
        how: sh("race-demo --kills -1"), status: 2,
        says: "error: invalid value '-1' for '--kills <KILLS>': -1 is not in 0..=4294967295",
        cure: RANGE_HELP,
    }
    time_without_unit {
        how: sh("race-demo --for 10"), status: 2,
        says: "error: invalid value '10' for '--for <DURATION>': time unit needed, for example 10sec or 10ms; write 1s, 10ms or 0s",
        cure: DURATION_HELP,
    }
    mechanism_unknown {
        how: sh("race-demo --mechanism spinlock"), status: 2,
        says: "error: invalid value 'spinlock' for '--mechanism <MECHANISM>'",
        cure: "One that `race-demo --help` lists",
    }
    format_unknown {
        how: sh("race-demo --format xml"), status: 2,
        says: "error: invalid value 'xml' for '--format <FORMAT>'",
        cure: "`table` or `json`",
    }
    follow_with_a_value {
        how: sh("shm-sysv-reader --follow=yes"), status: 2,
        says: "error: unexpected value 'yes' for '--follow' found; no more were expected",
        cure: "`--follow` alone",
    }
}
