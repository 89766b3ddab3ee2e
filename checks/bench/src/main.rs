//! tmp
use bench::{handover::*, ways::*, processes::*};
use std::time::Duration;
#[derive(clap::Parser)]
struct Args { only: Option<String> }
fn main() -> std::process::ExitCode {
    terminal::run(|a: &Args, t| {
        let p = Processors::find()?;
        println!("{p:?}");
        for w in WAYS {
            if a.only.as_ref().is_some_and(|o| !w.name.contains(o.as_str())) { continue }
            let m = Measured { name: w.name, words: 17, limit: Limit { trips: 100_000, time: Duration::from_millis(400), warm_up: 1000 }, processors: &p };
            let mut h = times();
            add_to(&mut h, &w.record.unwrap()(t, &m)?);
            println!("{:25} {:8} {:8} {:8} n {}", w.name, h.value_at_quantile(0.5)/2, h.value_at_quantile(0.99)/2, h.value_at_quantile(0.999)/2, h.len());
        }
        Ok(())
    })
}
