//! The picture as plain text: once, for files, tests, and whoever has the screen read aloud.

use std::time::{Duration, Instant};

use terminal::{Stop, Terminal, data};

use crate::demo::{Demo, PATIENCE, too_late};
use crate::describe::{access, facts, own, range, record, role, share, title};
use crate::hex::{character, digits, offset_digits, rows};
use crate::overview::Overview;
use crate::state::State;

/// Prints the picture as it is now.
pub(crate) fn picture(
    state: &mut State,
    mut demo: Option<&mut Demo>,
    terminal: &mut Terminal,
) -> Result<(), Stop> {
    let patience = Instant::now() + PATIENCE;
    state.look();
    while let Some(demo) = demo.as_mut().filter(|_| !is_complete(state)) {
        if Instant::now() > patience {
            return Err(too_late());
        }
        demo.reap();
        terminal.pause(Duration::from_millis(50))?;
        state.look();
    }
    if let (None, Some(error)) = (&state.memory, &state.missing) {
        return Err(error.clone().into());
    }
    for line in lines(state) {
        data!(terminal, "{line}")?;
    }
    Ok(())
}

/// Whether both of the pair are there and have touched the page, as we have, and nattch counts all of us.
fn is_complete(state: &State) -> bool {
    let has_counted = state.loaded.as_ref().is_some_and(|it| {
        it.bytes.first_chunk().is_some_and(|it| *it != [Some(0); 4] && *it != [None; 4])
    });
    let all = || state.sharers.iter().chain(&state.own);
    let are_counted = state.status.is_some_and(|it| it.attached == all().count() as u64);
    has_counted
        && are_counted
        && state.sharers.len() >= 2
        && all().all(|it| it.frame != crate::frame::Frame::Untouched)
}

/// The whole picture.
fn lines(state: &State) -> Vec<String> {
    let mut lines = vec![title(state)];
    lines.extend(facts(state).into_iter().map(|it| format!("  {it}")));
    if let Some(own) = own(state) {
        lines.push(format!("  {own}"));
    }
    lines.push(String::new());
    for sharer in &state.sharers {
        lines.push(format!("{}, pid {}, {}", role(state, sharer), sharer.pid, sharer.program));
        for line in &sharer.lines {
            lines.push(format!("  {}", range(line)));
        }
        lines.push(format!("  {}", share(state, sharer)));
        let arrow = if sharer.may_store() { "====>" } else { "---->" };
        lines.push(format!("  {arrow} {}", access(sharer)));
    }
    if state.sharers.is_empty() {
        lines.push("nobody else that we see has it in memory".into());
    }
    lines.push(String::new());
    lines.push(format!("the page: {}", record(state)));
    if let (Some(memory), Some(loaded)) = (&state.memory, &state.loaded) {
        let width = offset_digits(memory.size());
        for row in rows(memory, loaded) {
            let bytes = &loaded.bytes[row.at.clone()];
            let hex: Vec<_> = bytes.iter().map(|it| digits(*it)).collect();
            let text: String = bytes.iter().map(|it| character(*it)).collect();
            let line =
                format!("  {:5} {:0width$x}  {:47}  {text}", row.field, row.offset, hex.join(" "));
            lines.push(line.trim_end().to_owned());
        }
        let shown = loaded.offset + loaded.bytes.len();
        if shown < memory.size() {
            lines.push(format!("  ... {} bytes more", memory.size() - shown));
        }
    }
    lines
}

/// Prints everything that is shared on this machine.
pub(crate) fn overview(terminal: &mut Terminal) -> Result<(), Stop> {
    for line in Overview::take().lines() {
        data!(terminal, "{line}")?;
    }
    Ok(())
}
