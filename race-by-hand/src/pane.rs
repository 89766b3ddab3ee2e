//! The middle of the screen: a pane with the source of each process, and the words of the page.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use crate::lines::now;
use crate::run::{Choice, Run, State, Taken};
use crate::step::{Action, Place};

/// The colour of each process, and of what it has done.
pub(crate) const COLOURS: [Color; 2] = [Color::Cyan, Color::Magenta];

/// The function that a process runs, with an arrow at the line that it will do next, and behind each
/// line what the process found there.
pub(crate) fn draw_process(frame: &mut Frame<'_>, area: Rect, run: &Run, process: usize) {
    let colour = Style::new().fg(COLOURS[process]);
    let can_go = run.objection(Choice::Step(process)).is_none();
    let place = place(run, process);
    let function = place.map(|it| run.version.sources[it.source].function(it.line));
    let name = function.as_ref().map_or("", |it| it.name);
    let title = format!(" process {}, pid {}, {name}() ", process + 1, run.pid(process));
    let block = Block::bordered()
        .border_style(if can_go { colour } else { colour.add_modifier(Modifier::DIM) })
        .title(title)
        .title_bottom(Line::from(format!(" {} ", now(run, process))).bold());
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let (Some(place), Some(function)) = (place, function) else { return };

    let (mark, bold) = match run.state(process) {
        State::Before(_) => ("> ", Style::new().bold()),
        State::Killed(_) => ("x ", Style::new().bold()),
        State::Done(_) => ("  ", Style::new()),
    };
    let mut rows = Vec::new();
    let mut arrow = 0;
    for (number, text) in function.body() {
        let here = number == place.line;
        let value = value_at(run, process, Place { line: number, ..place });
        let width = usize::from(inner.width.saturating_sub(2));
        let code = match text.trim_start().starts_with("//") {
            true => Style::new().dim(),
            false if here => bold,
            false => Style::new(),
        };
        if here {
            arrow = rows.len();
        }
        for (row, (part, value)) in wrap_code(text, value, width).into_iter().enumerate() {
            let mark = if here && row == 0 { mark } else { "  " };
            rows.push(Line::from_iter([
                Span::styled(mark, colour.bold()),
                Span::styled(part, code),
                Span::styled(value, colour),
            ]));
        }
    }
    // The arrow stays in sight.
    let height = usize::from(inner.height);
    let first = arrow.saturating_sub(height / 2).min(rows.len().saturating_sub(height));
    let rows: Vec<_> = rows.into_iter().skip(first).take(height).collect();
    frame.render_widget(Paragraph::new(rows), inner);
}

/// Where the process stands, or has made its last step.
fn place(run: &Run, process: usize) -> Option<Place> {
    match run.state(process) {
        State::Before(step) | State::Killed(step) => Some(step.place),
        State::Done(_) => steps(run, process).next().map(|it| it.step.place),
    }
}

/// The steps of the process, the last one first.
fn steps(run: &Run, process: usize) -> impl Iterator<Item = &Taken> {
    run.taken.iter().rev().filter(move |it| it.choice == Choice::Step(process))
}

/// What the process found when it was last at `place`.
fn value_at(run: &Run, process: usize, place: Place) -> Option<String> {
    let taken = steps(run, process).find(|it| it.step.place == place)?;
    run.version.found(taken.step.action, taken.found)
}

/// A line of the source in rows of at most `width`, and the value as a comment behind the last. A
/// comment is cut off instead.
fn wrap_code(text: &str, value: Option<String>, width: usize) -> Vec<(String, String)> {
    let length = |text: &str| text.chars().count();
    let indentation = length(text) - length(text.trim_start());
    if text.trim_start().starts_with("//") && length(text) > width {
        let cut: String = text.chars().take(width.saturating_sub(3)).collect();
        return vec![(cut + "...", String::new())];
    }
    let mut rows = vec![String::new()];
    for word in text.split_inclusive([' ', '(']) {
        let used = rows.last().map_or(0, |it| length(it));
        if used + length(word.trim_end()) > width && used > indentation {
            rows.push(" ".repeat(indentation + 4));
        }
        if let Some(row) = rows.last_mut() {
            row.push_str(word);
        }
    }
    let value = value.map_or(String::new(), |it| format!(" // {it}"));
    if rows.last().map_or(0, |it| length(it)) + length(&value) > width {
        rows.push(" ".repeat(indentation + 3));
    }
    let last = rows.len() - 1;
    let values = (0..).map(|row| if row == last { value.clone() } else { String::new() });
    rows.into_iter().zip(values).collect()
}

/// The words: their names, their values, and who has just been there.
pub(crate) fn draw_words(frame: &mut Frame<'_>, area: Rect, run: &Run, block: Block<'_>) {
    let before = match run.taken.len().checked_sub(2) {
        Some(step) => &run.taken[step].words,
        None => &run.start,
    };
    let longest = run.version.words.iter().map(|it| it.len()).max().unwrap_or(0);
    let words = (0_u32..).zip(run.version.words).zip(before.iter().zip(run.words()));
    let lines = words.map(|((word, name), (old, value))| {
        let [old, value] = [*old, value].map(|it| run.version.value(word, it));
        let mut style = Style::new().bold();
        let mut note = String::new();
        if let Some(taken) = run.taken.last()
            && let Choice::Step(process) = taken.choice
            && taken.step.action.words().contains(&word)
        {
            style = style.fg(COLOURS[process]);
            let verb = match taken.step.action {
                Action::Load { .. } => "loaded",
                Action::Store { .. } => "stored",
                Action::Wait { .. } | Action::WaitBoth { .. } => "goes on",
                _ if old != value => "changed",
                _ => "looked",
            };
            note = format!("process {} {verb}", process + 1);
            if old != value || verb == "stored" {
                note = format!("{note}, was {old}");
            }
        }
        let changed = if old == value { style } else { style.reversed() };
        Line::from_iter([
            Span::raw(format!(" {name:longest$}  ")),
            Span::styled(format!(" {value} "), changed),
            Span::styled(format!("  {note}"), style.not_bold()),
        ])
    });
    let lines: Vec<_> = lines.collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
