//! Two processes count the visitors at two doors, in one counter. In the evening it says less than
//! the number of people who came in.
//!
//! Question: why would SeqCst on the load and on the store not help?
//!
//! Answer: it says in which order others see the two. It doesn't keep the others from a store of their
//! own in between.

#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;

use common::{SharedU32, Writer, shared_record};

shared_record! {
    pub struct Hall {
        visitors: SharedU32,
    }
}

/// Counts one visitor.
fn count(hall: Writer<'_, Hall>) {
    let visitors = hall.field(|it| &it.visitors);
    // One instruction of the processor (on x86: `lock xadd`), which has the cache line for itself meanwhile.
    visitors.fetch_add(1, Relaxed);
}

fn main() {
    let lab = lab::Lab::<Hall>::new();
    count(lab.shared.writer());
    count(lab.shared.writer());
    println!("After two visitors, the counter says {:?}.", lab.shared.visitors);
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Lab};

    #[test]
    fn role() {
        if lab::role() == "door" {
            let hall = lab::attach::<Hall>();
            lab::one_step_at_a_time(|| count(hall.writer()));
        }
    }

    /// The other process counts one visitor. After each of its first thousand machine instructions this
    /// one counts another. (For ever would be unfair to code that tries until it succeeds.)
    #[test]
    fn nobody_is_lost() {
        let _dog = lab::watchdog(60, "the other process does not come to an end");
        let lab = Lab::<Hall>::new();
        let mut door = lab.start("door");
        let mut here = 0;
        let counted = door.step_through(|instruction| {
            if instruction <= 1000 {
                here += 1;
                lab.shared.writer().field(|it| &it.visitors).fetch_add(1, Relaxed);
            }
        });
        counted.expect("the other process counts");
        assert_eq!(door.end(), Ended::Exited(0));
        let visitors = lab.shared.visitors.load(Relaxed);
        assert!(
            visitors == here + 1,
            "{here} came in at this door and 1 at the other; the counter says {visitors}"
        );
    }
}
