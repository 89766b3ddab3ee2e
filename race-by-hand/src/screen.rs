//! How the game looks.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};

use crate::game::{Game, Popup, View};
use crate::lines::{now, wrap};
use crate::pane::{COLOURS, draw_process, draw_words};
use crate::run::{Choice, Run};
use crate::scenario::{GUARANTEE, LIMITS};
use crate::scenarios::ALL;
use crate::search::Findings;

/// The smallest window in which everything has its place.
const SMALLEST: (u16, u16) = (80, 22);

/// From this width on, the words stand between the two sources.
const WIDE: u16 = 132;

pub(crate) fn draw(frame: &mut Frame<'_>, view: &View) {
    let area = frame.area();
    let (width, height) = SMALLEST;
    if area.width < width || area.height < height {
        let text = format!(
            "This window is too small: {}x{}. Make it {width}x{height} or larger; q quits.",
            area.width, area.height
        );
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
        return;
    }
    match view {
        View::Menu(chosen) => draw_menu(frame, *chosen),
        View::Game(game) => {
            draw_game(frame, game);
            match &game.popup {
                Some(Popup::Explanation) => draw_explanation(frame, game),
                Some(Popup::Searching(search)) => {
                    draw_findings(frame, game, &search.findings, true);
                }
                Some(Popup::Found(findings)) => draw_findings(frame, game, findings, false),
                None => {}
            }
        }
    }
}

fn draw_menu(frame: &mut Frame<'_>, chosen: usize) {
    let mut lines = vec![
        Line::from("Two processes share a page. You say which of them goes on. What do you play?"),
        Line::default(),
    ];
    for (index, scenario) in ALL.iter().enumerate() {
        let arrow = if index == chosen { ">" } else { " " };
        let line = Line::from(format!("{arrow} {:12} {}", scenario.name, scenario.about));
        let style = if index == chosen { Style::new().bold() } else { Style::new() };
        lines.push(line.style(style));
    }
    let block = Block::bordered().title(" race-by-hand ");
    let [list, below] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(frame.area());
    frame.render_widget(Paragraph::new(lines).block(block), list);
    frame.render_widget(
        keys(&[("up, down", "choose"), ("Enter", "play"), ("q", "quit")], below.width),
        below,
    );
}

fn draw_game(frame: &mut Frame<'_>, game: &Game) {
    let [title, goal, middle, message, schedule, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Fill(1),
        Constraint::Length(if game.run.verdict().is_some() { 6 } else { 4 }),
        Constraint::Length(1),
        Constraint::Length(if frame.area().width < 100 { 2 } else { 1 }),
    ])
    .areas(frame.area());
    let name = format!(" {}: {}", game.scenario.name, game.version().title);
    frame.render_widget(Paragraph::new(name).reversed(), title);
    if title.width >= WIDE {
        frame.render_widget(Line::from(format!("{GUARANTEE} ")).right_aligned(), title);
    }
    let text = format!("Goal: {}", game.version().goal);
    frame.render_widget(Paragraph::new(text).bold().wrap(Wrap { trim: true }), goal);
    draw_middle(frame, middle, &game.run);
    draw_message(frame, message, game);
    draw_schedule(frame, schedule, &game.run);
    frame.render_widget(keys_of(game, keys.width), keys);
}

/// The two sources, and the words between them, or below them if the window is narrow.
fn draw_middle(frame: &mut Frame<'_>, area: Rect, run: &Run) {
    let count = u16::try_from(run.version.words.len()).unwrap_or(u16::MAX);
    if area.width >= WIDE {
        let parts = [Constraint::Fill(1), Constraint::Length(44), Constraint::Fill(1)];
        let [left, middle, right] = Layout::horizontal(parts).areas(area);
        draw_process(frame, left, run, 0);
        draw_words(frame, middle, run, Block::bordered().title(" the shared page "));
        draw_process(frame, right, run, 1);
    } else {
        let parts = [Constraint::Fill(1), Constraint::Length(count + 1)];
        let [sources, words] = Layout::vertical(parts).areas(area);
        let [left, right] = Layout::horizontal([Constraint::Fill(1); 2]).areas(sources);
        draw_process(frame, left, run, 0);
        draw_process(frame, right, run, 1);
        let title = format!(" the shared page: {GUARANTEE} ");
        draw_words(frame, words, run, Block::new().borders(Borders::TOP).title(title));
    }
}

fn draw_message(frame: &mut Frame<'_>, area: Rect, game: &Game) {
    let (title, colour, text) = match (game.run.verdict(), &game.objection) {
        (Some(verdict), _) => {
            let (headline, text) = game.scenario.conclusion(&verdict, game.cure);
            let (colour, keys) = match verdict.reached {
                true => (Color::Green, "c plays the cure, n the next race."),
                false if game.is_wrong() => (Color::Yellow, "u takes a step back, r starts again."),
                false => (Color::Green, "s runs every schedule."),
            };
            (headline, colour, format!("{text} {keys}"))
        }
        (None, Some(objection)) => ("Not now", Color::Yellow, format!("{objection}.")),
        (None, None) => ("What has happened", Color::Reset, happened(&game.run)),
    };
    let block = Block::bordered().border_style(colour).title(format!(" {title} "));
    let room = usize::from(area.width).saturating_sub(2);
    let lines: Vec<_> = wrap(&text, room).into_iter().map(Line::from).collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn happened(run: &Run) -> String {
    let Some(taken) = run.taken.last() else {
        return "Nothing yet. Each process stands before the line with the arrow (>). \
            Press 1 to let process 1 do that line, 2 to let process 2 do its own."
            .into();
    };
    let what = match taken.choice {
        Choice::Step(process) => {
            format!("Process {}: {}.", process + 1, run.version.has(taken.step.action, taken.found))
        }
        Choice::Kill => "Process 1 has been killed (SIGKILL).".into(),
    };
    let waiting = (0..2).filter(|it| run.waits(*it));
    let waiting = waiting.map(|it| format!(" Process {} {}.", it + 1, now(run, it)));
    what + &waiting.collect::<String>()
}

fn draw_schedule(frame: &mut Frame<'_>, area: Rect, run: &Run) {
    let mut line = Line::from(" Schedule so far: ");
    let room = usize::from(area.width).saturating_sub(25);
    let skipped = run.taken.len().saturating_sub(room);
    if skipped > 0 {
        line.push_span("...");
    }
    for taken in &run.taken[skipped..] {
        let style = match taken.choice {
            Choice::Step(process) => Style::new().fg(COLOURS[process]).bold(),
            Choice::Kill => Style::new().fg(Color::Red).bold(),
        };
        line.push_span(Span::styled(taken.choice.to_string(), style));
    }
    frame.render_widget(line, area);
}

fn keys_of(game: &Game, width: u16) -> Paragraph<'static> {
    let mut all = vec![("1 2", "step")];
    if game.version().mortal {
        all.push(("k", "kill 1"));
    }
    all.extend([("u", "back"), ("r", "restart")]);
    if game.scenario.wrong.is_some() {
        all.push(("c", if game.is_wrong() { "cure" } else { "wrong way" }));
    }
    all.extend([("s", "search"), ("?", "explain"), ("n", "next"), ("m", "menu"), ("q", "quit")]);
    keys(&all, width)
}

/// Keys and what they do, in as many lines as they need.
fn keys(all: &[(&'static str, &'static str)], width: u16) -> Paragraph<'static> {
    let mut lines = vec![Line::default()];
    for (key, what) in all {
        let spans = [Span::raw(format!(" {key}")).bold(), Span::raw(format!(" {what} "))];
        let length: usize = spans.iter().map(Span::width).sum();
        if lines[lines.len() - 1].width() + length > usize::from(width) {
            lines.push(Line::default());
        }
        if let Some(line) = lines.last_mut() {
            line.spans.extend(spans);
        }
    }
    Paragraph::new(lines)
}

fn draw_explanation(frame: &mut Frame<'_>, game: &Game) {
    let scenario = game.scenario;
    let cure = format!("The cure: {}", scenario.cure);
    let room = usize::from(popup_width(frame)) - 2;
    let paragraphs = [scenario.explanation, &cure, LIMITS, "Any key closes this."];
    let paragraphs: Vec<_> = paragraphs.iter().map(|it| wrap(it, room)).collect();
    let lines = paragraphs.join(&String::new()).into_iter().map(Line::from);
    popup(frame, scenario.name, lines.collect());
}

fn draw_findings(frame: &mut Frame<'_>, game: &Game, findings: &Findings, searching: bool) {
    let mut text = Vec::new();
    // The frame and the count.
    let room = usize::from(popup_width(frame)) - 2 - 8;
    for (verdict, count) in &findings.ends {
        let style = if verdict.reached { Style::new().bold() } else { Style::new() };
        for (row, part) in wrap(&verdict.said, room).into_iter().enumerate() {
            let count = if row == 0 { count.to_string() } else { String::new() };
            text.push(Line::from(format!("{count:>6}  {part}")).style(style));
        }
    }
    let (summary, keys) = match (searching, &findings.shortest) {
        (true, _) => {
            (format!("{} schedules so far", findings.schedules), "any key stops it".into())
        }
        (false, shortest) => {
            let keys = shortest.as_ref().map_or("any key closes this".into(), |it| {
                format!("p plays the shortest ({} steps), any other key closes this", it.0.len())
            });
            (findings.summary(game.version().deed), keys)
        }
    };
    let blank = Line::default();
    text.extend([blank.clone(), Line::from(summary).bold(), blank, Line::from(keys)]);
    popup(frame, "every schedule", text);
}

/// The width of a window over the game.
fn popup_width(frame: &Frame<'_>) -> u16 {
    frame.area().width.min(90) - 4
}

fn popup(frame: &mut Frame<'_>, title: &str, text: Vec<Line<'_>>) {
    let (whole, width) = (frame.area(), popup_width(frame));
    let block = Block::bordered().title(format!(" {title} "));
    let height = u16::try_from(text.len() + 2).unwrap_or(u16::MAX).min(whole.height - 2);
    let area = Rect { x: (whole.width - width) / 2, y: (whole.height - height) / 2, width, height };
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(text).block(block), area);
}
