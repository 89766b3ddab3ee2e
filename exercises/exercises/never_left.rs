//! A program makes a segment for a job, and removes it when the job is done. In the evening `ipcs -m`
//! lists fifty segments that nobody has attached.
//!
//! Question: which part of the solution works on Linux only, and what do portable programs do?

#![forbid(unsafe_code)]

use common::sysv::{Key, Segment};
use common::{ReadWrite, Result, SharedU32, Writer};
use std::sync::atomic::Ordering;

common::shared_record! {
    pub struct Board {
        count: SharedU32,
    }
}

/// Makes a segment, and has `work` use it. Others find it by its id while the work is going on.
fn job(work: impl FnOnce(i32, Writer<'_, Board>)) -> Result<()> {
    let segment = Segment::create(Key::Private, size_of::<Board>(), 0o600)?;
    let board = segment.attach::<Board, ReadWrite>()?;
    work(segment.id(), board.writer());
    // TODO: three ways to end a process never come to this line. Which line do they all come to?
    segment.remove()?;
    Ok(())
}

fn main() {
    job(|id, board| {
        board.field(|it| &it.count).store(1, Ordering::Relaxed);
        println!("The job works with segment {id}.");
    })
    .expect("done");
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Lab, Process};

    common::shared_record! {
        /// Where the process that does the job says which segment it has.
        pub struct Note {
            id: common::SharedI32,
        }
    }

    #[test]
    fn role() {
        let role = lab::role();
        if role.is_empty() {
            return;
        }
        let note = lab::attach::<Note>();
        let done = job(|id, board| {
            note.writer().field(|it| &it.id).store(id, Ordering::Relaxed);
            board.field(|it| &it.count).store(7, Ordering::Relaxed);
            lab::stop_here();
            match role.as_str() {
                "panics" => panic!("the work fails: this panic belongs to the test"),
                "exits" => std::process::exit(0),
                _ => {}
            }
        });
        done.expect("the job is done");
    }

    /// Has a process do the job as far as its stop point, and returns the segment's id.
    fn start(how: &str) -> (Process, Leak) {
        let lab = Lab::<Note>::new();
        let mut process = lab.start(how);
        if let Err(ended) = process.until_stopped() {
            panic!(
                "the work has not begun: {ended}. (IPC_RMID destroys at once what nobody has attached.)"
            );
        }
        (process, Leak(lab.shared.id.load(Ordering::Relaxed)))
    }

    /// A segment that should go by itself. If it does not, the test removes it.
    struct Leak(i32);

    impl Leak {
        fn exists(&self) -> bool {
            Segment::from_id(self.0).is_ok()
        }
    }

    impl Drop for Leak {
        fn drop(&mut self) {
            let _ = Segment::from_id(self.0).map(|it| it.remove());
        }
    }

    #[test]
    fn nothing_is_left_when_the_job_is_done_or_cut_short() {
        let _dog = lab::watchdog(60, "the job has no end");
        for how in ["is done", "panics", "exits", "is killed"] {
            let (mut process, leak) = start(how);
            if how == "is killed" {
                process.kill();
            } else {
                process.go_on();
                process.end();
            }
            assert!(!leak.exists(), "the work {how}, and segment {} is left", leak.0);
        }
    }

    #[test]
    fn others_find_it_while_the_work_is_going_on() {
        let _dog = lab::watchdog(60, "the job has no end");
        let (mut process, leak) = start("is done");
        let found = Segment::from_id(leak.0).and_then(|it| it.attach::<Board, ReadWrite>());
        let count = found.map(|board| board.count.load(Ordering::Relaxed));
        assert!(
            count == Ok(7),
            "the work stores 7, another process attaches segment {}, and has: {count:?}",
            leak.0
        );
        process.go_on();
        let ended = process.end();
        assert!(ended == Ended::Exited(0), "the job: {ended}");
    }
}
