//! How the picture looks: the processes above, the page that they share below, and what has happened.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph, Wrap};

use crate::describe::{access, facts, nothing, own, range, record, role, share, title};
use crate::hex::{character, digits, offset_digits, rows};
use crate::screen::{Page, View};
use crate::sharers::Sharer;
use crate::state::State;

/// The smallest window in which everything has its place.
const SMALLEST: (u16, u16) = (80, 24);

/// How wide the box of a process is at least.
const BOX: u16 = 39;

pub(crate) fn draw(frame: &mut Frame<'_>, state: &mut State, view: &mut View) {
    let area = frame.area();
    let (width, height) = SMALLEST;
    if area.width < width || area.height < height {
        let text = format!(
            "This window is too small: {}x{}. Make it {width}x{height} or larger; q quits, --once prints plain text.",
            area.width, area.height
        );
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
        return;
    }
    let [top, middle, keys] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)])
            .areas(area);
    let name = match view.page {
        Page::Overview => "everything shared on this machine".into(),
        _ => title(state),
    };
    frame.render_widget(Paragraph::new(format!(" shm-viewer: {name}")).reversed(), top);
    frame.render_widget(Line::from(format!("{} ", view.mode(state))).right_aligned(), top);
    frame.render_widget(key_line(view), keys);
    match view.page {
        Page::Picture => draw_picture(frame, middle, state),
        Page::Overview => draw_overview(frame, middle, view),
        Page::Help => frame.render_widget(Paragraph::new(HELP), middle),
    }
}

fn key_line(view: &View) -> Line<'static> {
    let keys: &[(&str, &str)] = match view.page {
        Page::Help => &[("any key", "closes this")],
        Page::Overview => {
            &[("o", "picture"), ("↑ ↓", "scroll"), ("p", "pause"), ("?", "help"), ("q", "quit")]
        }
        Page::Picture => &[
            ("p", "pause"),
            ("← →", "choose a process"),
            ("↑ ↓", "scroll"),
            ("f", "follow"),
            ("o", "overview"),
            ("?", "help"),
            ("q", "quit"),
        ],
    };
    let spans = keys.iter().flat_map(|(key, what)| {
        [Span::raw(format!(" {key}")).bold(), Span::raw(format!(" {what} "))]
    });
    Line::from_iter(spans)
}

fn draw_picture(frame: &mut Frame<'_>, area: Rect, state: &mut State) {
    let Some(memory) = &state.memory else {
        draw_nothing(frame, area, state);
        return;
    };
    let is_record = memory.is_record();
    // What is said of the page, and its frame.
    let said = sentences(state, area.width);
    let about = u16::try_from(said.len() + 2).unwrap_or(u16::MAX);
    let chosen = state.sharers.iter().find(|it| Some(it.pid) == state.chosen);
    let chosen_lines = u16::from(chosen.is_some()) * 2;
    let roomy = area.height >= 28;
    let parts = [
        Constraint::Length(5),
        Constraint::Length(if roomy { 2 } else { 1 }),
        if is_record { Constraint::Length(about + 5) } else { Constraint::Fill(3) },
        Constraint::Length(chosen_lines),
        if is_record { Constraint::Fill(1) } else { Constraint::Length(area.height / 6) },
    ];
    let [boxes, arrows, page, maps, events] = Layout::vertical(parts).areas(area);
    state.rows = usize::from(page.height.saturating_sub(about));
    draw_sharers(frame, boxes, arrows, state);
    draw_page(frame, page, state, said);
    if let Some(it) = chosen {
        let lines = it.lines.iter().map(|line| format!("/proc/{}/maps: {}", it.pid, line.line));
        let text: Vec<_> = lines.map(Line::from).collect();
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), maps);
    }
    draw_events(frame, events, state);
}

fn draw_nothing(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let [text, events] = Layout::vertical([Constraint::Length(6), Constraint::Fill(1)]).areas(area);
    let lines: Vec<_> = nothing(state).into_iter().map(Line::from).collect();
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), text);
    draw_events(frame, events, state);
}

/// The processes, as many as there is room for, each with its arrow to the page.
fn draw_sharers(frame: &mut Frame<'_>, boxes: Rect, arrows: Rect, state: &State) {
    let all = &state.sharers;
    if all.is_empty() {
        let text = "Nobody but this viewer that we see has it in memory.";
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), boxes);
        return;
    }
    let room = usize::from(boxes.width / BOX).clamp(1, all.len());
    let chosen = all.iter().position(|it| Some(it.pid) == state.chosen).unwrap_or(0);
    let first = (chosen + 1).saturating_sub(room);
    let columns = vec![Constraint::Fill(1); room];
    let places = Layout::horizontal(columns.clone()).split(boxes);
    let below = Layout::horizontal(columns).split(arrows);
    for (at, sharer) in all[first..first + room].iter().enumerate() {
        draw_sharer(frame, places[at], state, sharer);
        draw_arrow(frame, below[at], sharer);
    }
    let (before, behind) = (first, all.len() - first - room);
    if before + behind > 0 {
        let text = format!(" ← {before} more, {behind} more → ");
        frame.render_widget(
            Line::from(text).right_aligned().reversed(),
            Rect { height: 1, ..boxes },
        );
    }
}

fn draw_sharer(frame: &mut Frame<'_>, area: Rect, state: &State, sharer: &Sharer) {
    let is_chosen = Some(sharer.pid) == state.chosen;
    let block = Block::bordered()
        .border_type(if is_chosen { BorderType::Double } else { BorderType::Plain })
        .title(format!(" {} ", role(state, sharer)));
    let mut where_ = sharer.lines.first().map_or(String::new(), range);
    if sharer.lines.len() > 1 {
        where_ += &format!(" +{}", sharer.lines.len() - 1);
    }
    let lines = vec![
        Line::from(format!("pid {}, {}", sharer.pid, sharer.program)).bold(),
        Line::from(where_),
        Line::from(share(state, sharer)),
    ];
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// Solid for who stores, thin for who only loads.
fn draw_arrow(frame: &mut Frame<'_>, area: Rect, sharer: &Sharer) {
    let (shaft, head) = match sharer.role() {
        "writer" => ("┃", "▼"),
        "reader" => ("│", "▽"),
        _ => ("┊", "┊"),
    };
    let middle = " ".repeat(usize::from(area.width / 3));
    let first = format!("{middle}{shaft} {}", access(sharer));
    let lines = match area.height {
        0 | 1 => vec![Line::from(format!("{middle}{head} {}", access(sharer)))],
        _ => vec![Line::from(first), Line::from(format!("{middle}{head}"))],
    };
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_page(frame: &mut Frame<'_>, area: Rect, state: &State, mut lines: Vec<Line<'_>>) {
    let (Some(memory), Some(loaded)) = (&state.memory, &state.loaded) else { return };
    let width = offset_digits(memory.size());
    for row in rows(memory, loaded) {
        let mut line = Line::from(format!("{:5} {:0width$x}  ", row.field, row.offset));
        for at in row.at.clone() {
            line.push_span(Span::styled(digits(loaded.bytes[at]), fresh(state.level(at))));
            line.push_span(" ");
        }
        line.push_span("   ".repeat(crate::hex::ROW - row.at.len()));
        line.push_span(" ");
        for at in row.at {
            let text = character(loaded.bytes[at]).to_string();
            line.push_span(Span::styled(text, fresh(state.level(at))));
        }
        lines.push(line);
    }
    let border = Style::new().fg(Color::Cyan);
    let block = Block::bordered()
        .border_type(BorderType::Thick)
        .border_style(border)
        .title(format!(" {} ", title(state)));
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// What is said of the page above its bytes.
fn sentences(state: &State, width: u16) -> Vec<Line<'static>> {
    let width = usize::from(width.saturating_sub(2));
    let lines = |text: &str, style: Style| -> Vec<_> {
        wrap(text, width, "  ").into_iter().map(|it| Line::from(it).style(style)).collect()
    };
    let plain = Style::new();
    let mut facts = facts(state);
    let proof = facts.pop().unwrap_or_default();
    let mut all: Vec<_> = facts.iter().flat_map(|it| lines(it, plain)).collect();
    all.extend(lines(&proof, plain.bold()));
    all.extend(own(state).iter().flat_map(|it| lines(it, plain)));
    let changing = state.loaded.as_ref().is_some_and(|it| it.changing);
    all.extend(lines(&record(state), if changing { plain.yellow() } else { plain.bold() }));
    all
}

/// A byte that has just changed stands out, and fades.
fn fresh(level: u8) -> Style {
    match level {
        2 => Style::new().fg(Color::Black).bg(Color::Yellow).add_modifier(Modifier::BOLD),
        1 => Style::new().fg(Color::Yellow),
        _ => Style::new(),
    }
}

/// The latest events, the last one at the bottom.
fn draw_events(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let room = usize::from(area.height);
    let width = usize::from(area.width).max(20);
    let mut lines: Vec<Line<'_>> = Vec::new();
    for event in state.events.iter().rev() {
        let parts = wrap(event, width, "         ");
        if lines.len() + parts.len() > room {
            break;
        }
        lines.splice(0..0, parts.into_iter().map(Line::from));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// The text in lines of at most `width` characters; those behind the first begin with `indent`.
fn wrap(text: &str, width: usize, indent: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("{indent}{word}")),
            None => lines.push(word.into()),
        }
    }
    lines
}

fn draw_overview(frame: &mut Frame<'_>, area: Rect, view: &mut View) {
    let width = usize::from(area.width).max(20);
    let lines: Vec<_> =
        view.overview.iter().flat_map(|it| wrap(it, width, "             ")).collect();
    let last = lines.len().saturating_sub(usize::from(area.height));
    view.first_line = view.first_line.min(last);
    let lines: Vec<_> = lines.into_iter().skip(view.first_line).map(Line::from).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

const HELP: &str = "
 Each box above is a process that has the memory in its address space: its role,
 pid and program, the addresses and rights of its mapping (/proc/PID/maps), and
 the frame of physical memory behind them (/proc/PID/pagemap, for root alone).
 The addresses differ, and the frame is the same: it is one page.

 ┃ ▼  the process may load and store (rw-s)
 │ ▽  it may only load (r--s)
 ┊    its mapping is private: others never see what it stores

 The box below is the page: what the kernel says of it (shmctl(2), IPC_STAT),
 and its bytes. Bytes that have changed stand out for a second. -- is a byte of
 a page that is not in memory. The record has no sequence number, so nobody can
 prove that it is whole: the viewer looks until two looks in a row are alike,
 and says \"changing\" if they never are.

 p  stops looking, and goes on      ← →  chooses a process: its lines of maps
 f  follows: sleeps until the first word changes (futex), not by the clock
 ↑ ↓ Page Up, Page Down  scroll     o  everything shared on this machine
 q  quits

 This viewer changes nothing. But it is attached, so nattch counts it too.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_events_go_on_in_the_next_line() {
        assert_eq!(wrap("12:00:00 a b", 40, " "), ["12:00:00 a b"]);
        assert_eq!(wrap("12:00:00 aaaa bbbb", 14, "  "), ["12:00:00 aaaa", "  bbbb"]);
    }

    #[test]
    fn help_fits_the_smallest_window() {
        assert!(HELP.lines().count() <= usize::from(SMALLEST.1) - 2);
        assert!(HELP.lines().all(|it| it.chars().count() <= usize::from(SMALLEST.0)));
    }
}
