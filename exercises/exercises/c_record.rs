//! A C program attaches our segment and reads a record in it. It finds the temperature in another place,
//! and names with the end of an older name.
//!
//! Question: why do 7 bytes matter that nobody reads?

#![forbid(unsafe_code)]

use std::mem::offset_of;
use std::sync::atomic::Ordering::Relaxed;

use common::{SharedU32, Writer};

/// What the last field holds: its low byte comes first, on every machine.
const MAGIC: u32 = 0x00c0_ffee;

/// The C program's own declaration:
///
/// ```c
/// struct reading {
///     char tag;
///     double celsius;
///     short station;
///     char name[10];          /* ends with a NUL */
///     unsigned char magic[4]; /* ee ff c0 00 */
/// };
/// ```
// TODO: Rust may put these fields in any order that it likes. How do you ask for C's?
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    tag: u8,
    celsius: f64,
    station: i16,
    name: [u8; 10],
    magic: [u8; 4],
}

impl Reading {
    fn new(tag: u8, celsius: f64, station: i16, name: &str) -> Self {
        // TODO: which of the bytes comes first?
        let magic = MAGIC.to_be_bytes();
        let mut reading = Self { tag, celsius, station, magic, ..Self::default() };
        reading.set_name(name);
        reading
    }

    /// Sets the name, or as much of it as there is room for.
    fn set_name(&mut self, name: &str) {
        // TODO: what ends a string in C? And what does a shorter name leave of a longer one?
        for (place, byte) in self.name.iter_mut().zip(name.bytes()) {
            *place = byte;
        }
    }

    /// The record as bytes, as it lies in memory. The padding is 0.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; size_of::<Self>()];
        let mut put = |at: usize, field: &[u8]| bytes[at..][..field.len()].copy_from_slice(field);
        put(offset_of!(Self, tag), &[self.tag]);
        put(offset_of!(Self, celsius), &self.celsius.to_ne_bytes());
        put(offset_of!(Self, station), &self.station.to_ne_bytes());
        put(offset_of!(Self, name), &self.name);
        put(offset_of!(Self, magic), &self.magic);
        bytes
    }

    /// Stores it in shared memory, word by word.
    fn store(&self, shared: Writer<'_, [SharedU32; 8]>) {
        for (index, bytes) in self.bytes().chunks(4).enumerate() {
            let word = std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0));
            shared.field(|it| &it[index]).store(u32::from_ne_bytes(word), Relaxed);
        }
    }
}

fn main() {
    let lab = lab::Lab::<[SharedU32; 8]>::new();
    Reading::new(b'T', 21.5, 7, "attic").store(lab.shared.writer());
    let celsius = offset_of!(Reading, celsius);
    println!("C has the temperature at byte 8, your record has it at byte {celsius}.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// Without an argument it prints where C has the fields; with a shmid, the record in that segment.
    const PROGRAM: &str = r#"
        #include <stddef.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <sys/shm.h>
        struct reading { char tag; double celsius; short station; char name[10]; unsigned char magic[4]; };
        #define AT(field) (int)offsetof(struct reading, field)
        int main(int argc, char **argv) {
            if (argc < 2) {
                printf("%d %d %d %d %d", AT(tag), AT(celsius), AT(station), AT(name), AT(magic));
                return 0;
            }
            const struct reading *it = shmat(atoi(argv[1]), NULL, SHM_RDONLY);
            if (it == (void *)-1) { perror("shmat"); return 1; }
            printf("%c %.4g %d %s %02x %02x %02x %02x", it->tag, it->celsius, it->station, it->name,
                   it->magic[0], it->magic[1], it->magic[2], it->magic[3]);
        }"#;

    /// Compiles the C program, runs it, and returns what it prints.
    fn c_program(arguments: &[String]) -> String {
        let directory = lab::Directory::new();
        let path = directory.file("reading");
        let mut cc = Command::new("cc")
            .args(["-xc", "-", "-o"])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .expect("cc, which Rust needs too");
        cc.stdin.take().expect("its input").write_all(PROGRAM.as_bytes()).expect("it reads");
        assert!(cc.wait().expect("cc ends").success(), "cc has compiled the program");
        let output = Command::new(path).args(arguments).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn every_field_is_where_c_has_it() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let ours = [
            ("tag", offset_of!(Reading, tag)),
            ("celsius", offset_of!(Reading, celsius)),
            ("station", offset_of!(Reading, station)),
            ("name", offset_of!(Reading, name)),
            ("magic", offset_of!(Reading, magic)),
        ];
        let c = c_program(&[]);
        for ((field, rust), c) in ours.into_iter().zip(c.split(' ')) {
            assert!(
                c == rust.to_string(),
                "`{field}`: C has it at byte {c}, your record at byte {rust}"
            );
        }
    }

    #[test]
    fn a_name_is_what_c_calls_a_string() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        for (old, new, wanted) in [
            ("", "", "\0\0\0\0\0\0\0\0\0\0"),
            ("", "roof", "roof\0\0\0\0\0\0"),
            ("", "nine char", "nine char\0"),
            ("", "ten chars.", "ten chars\0"),
            ("", "eleven char", "eleven ch\0"),
            ("courtyard", "roof", "roof\0\0\0\0\0\0"),
            ("courtyard", "", "\0\0\0\0\0\0\0\0\0\0"),
        ] {
            let mut reading = Reading::new(b'T', 0.0, 0, old);
            reading.set_name(new);
            let found = String::from_utf8_lossy(&reading.name).into_owned();
            assert!(
                found == wanted,
                "after {old:?}, {new:?} is stored as {found:?}, not as {wanted:?}"
            );
        }
    }

    #[test]
    fn the_c_program_reads_what_we_have_stored() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let lab = lab::Lab::<[SharedU32; 8]>::new();
        Reading::new(b'T', -3.5, 1234, "courtyard").store(lab.shared.writer());

        // shmat(2) in C, of the segment with this shmid.
        let read = c_program(&[lab.id().to_string()]);

        let wanted = "T -3.5 1234 courtyard ee ff c0 00";
        assert!(read == wanted, "C reads {read:?}, and should read {wanted:?}");
    }
}
