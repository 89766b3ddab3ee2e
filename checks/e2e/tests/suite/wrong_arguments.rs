//! The arguments that go wrong most often. The others say themselves what is wrong with them.

use std::process::Command;

use e2e::{Running, workspace};

use crate::wrong::How::Steps;
use crate::wrong::{rows, sh};

const DURATION_HELP: &str = "a number and its unit: `1s`, `10ms`, `1m 30s`, `0s`";
const MODE_HELP: &str = "three octal digits, for owner, group and others: `0600` is you alone";

rows! {
    key_zero {
        how: sh("shm-sysv-writer --key 0"), status: 2,
        says: "error: invalid value '0' for '--key <KEY>': 0 is IPC_PRIVATE: it never finds a segment, it always makes a new one; say `private` if you mean that",
        cause: "to shmget(2), 0 is no key but asks for a segment without one",
        cure: "a key from 1 on, or `--key private`, and read the segment by its `--id`",
    }
    interval_without_unit {
        how: sh("shm-sysv-writer -i 5"), status: 2,
        says: "error: invalid value '5' for '--interval <INTERVAL>': time unit needed, for example 5sec or 5ms; write 1s, 10ms or 0s",
        cure: DURATION_HELP,
    }
    mode_not_octal {
        how: sh("shm-sysv-writer -m 438"), status: 2,
        says: "error: invalid value '438' for '--mode <MODE>': a mode is octal, from 0 to 0777, such as 0600",
        cause: "438 is 0666 in decimal, and a mode is octal", cure: MODE_HELP,
    }
    separator_forgotten {
        how: Steps(|| {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["run", "-p", "shm-sysv-reader", "--keep"]).current_dir(workspace());
            Some(Running::start(&mut cargo).finish().into())
        }),
        program: "shm-sysv-reader",
        says: "error: unexpected argument '--keep' found",
        cause: "without `--` the option is cargo's",
        cure: "`cargo run -p shm-sysv-reader -- --keep`",
    }
}
