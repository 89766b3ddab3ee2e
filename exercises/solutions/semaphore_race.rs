//! Now and then two processes are in the room that a semaphore guards. And since one was killed in there,
//! nobody gets in any more.
//!
//! Question: what does the kernel not undo for a process that dies?
//!
//! Answer: all that the dead process has done in the room. The semaphore is free, and the data may be
//! half stored; nobody is told. A robust mutex tells.

use nix::errno::Errno;

/// Makes a set of one semaphore. It has no value yet: that is another call.
fn create() -> i32 {
    // SAFETY: semget(2) takes three numbers.
    let id = unsafe { libc::semget(libc::IPC_PRIVATE, 1, 0o600) };
    Errno::result(id).expect("semget")
}

/// Gives it its value: 1, free. Who has created it calls this.
fn initialise(id: i32) {
    add(id, 1, 0);
}

/// Whether it has its value, so that others may use it.
fn is_ready(id: i32) -> bool {
    // A new set has an otime of 0, and the creator's semop(2) is what gives it its value: the kernel does
    // both in one step. It is never 0 again.
    status(id).sem_otime != 0
}

/// Takes it, and waits while another process has it.
fn lock(id: i32) {
    add(id, -1, libc::SEM_UNDO);
}

/// Gives it back.
fn unlock(id: i32) {
    // With the flag, too: it takes back what the kernel has noted at `lock`. Or else the kernel adds 1 once
    // more when this process ends, and two get in.
    add(id, 1, libc::SEM_UNDO);
}

// Given: what follows is right.

/// Adds `number` to the semaphore's value, and waits while that would be below 0: semop(2).
fn add(id: i32, number: i16, flags: i32) {
    let mut operation = libc::sembuf { sem_num: 0, sem_op: number, sem_flg: flags as i16 };
    // SAFETY: the pointer is to one `sembuf`, as the 1 says.
    let done = unsafe { libc::semop(id, &raw mut operation, 1) };
    Errno::result(done).expect("semop");
}

/// What the kernel knows of the set: semctl(2) `IPC_STAT`.
fn status(id: i32) -> libc::semid_ds {
    // SAFETY: all its fields are numbers.
    let mut status: libc::semid_ds = unsafe { std::mem::zeroed() };
    // SAFETY: IPC_STAT takes a pointer to a `semid_ds`, and fills it.
    let done = unsafe { libc::semctl(id, 0, libc::IPC_STAT, &raw mut status) };
    Errno::result(done).expect("semctl(IPC_STAT)");
    status
}

/// Removes the set at once, whoever waits for it: semctl(2) `IPC_RMID`.
fn remove(id: i32) {
    // SAFETY: IPC_RMID takes no fourth argument.
    unsafe { libc::semctl(id, 0, libc::IPC_RMID) };
}

fn main() {
    let _dog = lab::watchdog(10, "main does not come to an end");
    let id = create();
    let before = is_ready(id);
    initialise(id);
    lock(id);
    println!("Ready before it had a value: {before}. While we hold it: {}.", is_ready(id));
    println!("When semop was last called: {}, in seconds since 1970.", status(id).sem_otime);
    unlock(id);
    remove(id);
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::{Ended, Now, Process};

    #[test]
    fn role() {
        let id = || lab::argument("ID").parse().expect("a number");
        match lab::role().as_str() {
            "creator" => {
                lab::stop_here();
                initialise(id());
            }
            "holder" => {
                lock(id());
                lab::stop_here();
            }
            "waiter" => lock(id()),
            "user" => {
                lock(id());
                unlock(id());
            }
            _ => {}
        }
    }

    /// A set that is removed when this is dropped, or when a watchdog bites.
    struct Set(i32);

    impl Set {
        fn new() -> Self {
            let id = create();
            lab::at_the_bite(move || remove(id));
            Self(id)
        }

        fn start(&self, role: &str) -> Process {
            Process::start(role, &[("ID", &self.0.to_string())])
        }

        fn value(&self) -> i32 {
            // SAFETY: GETVAL takes no fourth argument.
            unsafe { libc::semctl(self.0, 0, libc::GETVAL) }
        }
    }

    impl Drop for Set {
        fn drop(&mut self) {
            remove(self.0);
        }
    }

    #[test]
    fn it_is_ready_when_it_has_its_value() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let set = Set::new();
        let mut creator = set.start("creator");
        creator.until_stopped().expect("the creator stops between semget and semop");
        assert!(!is_ready(set.0), "it is said to be ready, and has no value yet");
        creator.go_on();
        assert_eq!(creator.end(), Ended::Exited(0));
        let value = set.value();
        assert!(
            value == 1,
            "its creator has given it its value and ended, and its value is {value}"
        );
        assert!(is_ready(set.0), "it has its value, and is said not to be ready");
        lock(set.0);
        assert!(is_ready(set.0), "somebody holds it, and it is said not to be ready");
    }

    #[test]
    fn it_is_free_again_when_its_holder_has_died() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let set = Set::new();
        initialise(set.0);
        let mut holder = set.start("holder");
        holder.until_stopped().expect("the holder has locked it");
        assert_eq!(set.value(), 0, "it is held");
        holder.kill();
        let value = set.value();
        assert!(value == 1, "its holder was killed, and its value is {value}");
    }

    #[test]
    fn who_finds_it_held_waits() {
        let _dog = lab::watchdog(60, "somebody waits for ever");
        let set = Set::new();
        initialise(set.0);
        lock(set.0);
        let mut waiter = set.start("waiter");
        let now = waiter.settles(libc::SYS_semtimedop);
        assert!(
            now == Now::Asleep,
            "we hold it, and the next one does not sleep until it is free: {now:?}"
        );
        unlock(set.0);
        assert_eq!(waiter.end(), Ended::Exited(0), "it is free, and the next one gets it");
    }

    #[test]
    fn who_gives_it_back_leaves_it_at_1() {
        let _dog = lab::watchdog(60, "your code does not come to an end");
        let set = Set::new();
        initialise(set.0);
        for users in 1..=3 {
            assert_eq!(set.start("user").end(), Ended::Exited(0));
            let value = set.value();
            assert!(value == 1, "after {users} users have come and gone, its value is {value}");
        }
    }
}
