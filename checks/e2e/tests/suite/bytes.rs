//! The raw bytes of the record, as a program in any language finds them.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use common::sysv::Attachment;
use common::{ConnStat, ReadOnly, SharedConnStat};
use e2e::{Running, TestKey, run};

use crate::observe::record;

/// What `struct.unpack("i64s", ...)` of Python calls the record `count`, 127.0.0.1.
fn expected(count: i32) -> Vec<u8> {
    let mut bytes = count.to_ne_bytes().to_vec();
    bytes.extend(b"127.0.0.1");
    bytes.resize(68, 0);
    bytes
}

#[test]
fn a_segment_holds_the_bytes_of_the_c_struct() {
    let key = TestKey::new();
    let _ = run("shm-sysv-writer", ["-k", &key.arg(), "-n", "3", "-i", "0s"]).exited(0);
    let segment = key.segment().expect("the segment is there");
    let attached: Attachment<SharedConnStat, ReadOnly> = segment.attach().expect("attached");

    // Through the kernel, not through the type that is to be tested: see proc_pid_mem(5).
    let mut bytes = [0; 68];
    let memory = File::open("/proc/self/mem").expect("the memory of this process");
    let address = attached.address().as_ptr().addr() as u64;
    memory.read_exact_at(&mut bytes, address).expect("the attached bytes");

    assert_eq!(bytes[..], expected(3));
    assert_eq!(attached.load(), record(&bytes));
}

#[test]
fn a_file_holds_the_bytes_of_the_c_struct() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("conn_stat");
    let path = path.to_str().expect("a path in UTF-8");
    let _ = run("mmap-file-writer", [path, "-n", "7", "-i", "0s"]).exited(0);
    let bytes = std::fs::read(path).expect("the file is there");

    assert_eq!(bytes, expected(7));
    let mut stat = ConnStat::new("127.0.0.1".parse().expect("an address"));
    stat.count = 7;
    assert_eq!(record(&bytes), stat);
}

#[test]
fn python_reads_the_file_with_struct_unpack() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("conn_stat");
    let written = [path.as_os_str(), "-n".as_ref(), "300".as_ref(), "-i".as_ref(), "0s".as_ref()];
    let _ = run("mmap-file-writer", written).exited(0);
    let Some(printed) = unpacked_by_python(&path) else {
        return e2e::skip_without("python3", "Python reads the file");
    };
    assert_eq!(printed, "300 127.0.0.1\n");
}

/// What Python makes of the record in the file; `None` where there is no Python.
fn unpacked_by_python(path: &Path) -> Option<String> {
    let script = r#"
import struct, sys
count, ip = struct.unpack("i64s", open(sys.argv[1], "rb").read())
print(count, ip.rstrip(b"\0").decode())
"#;
    Command::new("python3").arg("--version").output().ok().filter(|it| it.status.success())?;
    let mut python = Command::new("python3");
    Some(Running::start(python.args(["-c", script]).arg(path)).finish().exited(0).stdout)
}
