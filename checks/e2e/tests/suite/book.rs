//! docs/ as a book: its order, the form of its chapters, its terms, its figures, its exercises.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use e2e::workspace;

use crate::pages::pages;

#[test]
fn the_summary_lists_every_page_once() {
    let docs = workspace().join("docs");
    let listed: Vec<_> = summary().into_iter().map(|(_, page)| page).collect();
    let once: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), once.len(), "a page is listed twice: {listed:#?}");
    let there: BTreeSet<_> = pages()
        .into_iter()
        .filter(|it| it.starts_with(&docs) && !it.ends_with("SUMMARY.md"))
        .collect();
    assert_eq!(once, there, "docs/SUMMARY.md and the pages of docs/ differ");
}

/// The form that docs/README.md promises.
#[test]
fn every_chapter_asks_before_it_tells() {
    let mut missing = Vec::new();
    for (number, page) in chapters() {
        let text = fs::read_to_string(&page).expect("a chapter");
        let mut needs = vec!["you will be able to", "**predict.** ", "## why?", "read next"];
        if number != "13" {
            needs.push("now try");
        }
        let plain = text.to_lowercase();
        missing.extend(
            needs
                .into_iter()
                .filter(|it| !plain.contains(*it))
                .map(|it| format!("{}: {it}", page.display())),
        );
        let questions = text.matches("<details>").count();
        if questions < 2 || questions != text.matches("</details>").count() {
            missing.push(format!("{}: two questions with answers", page.display()));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The first page, in the book's order, that uses a term links to its entry.
#[test]
fn a_new_term_leads_to_the_glossary() {
    let glossary = fs::read_to_string(workspace().join("docs/glossary.md")).expect("the glossary");
    let mut unlinked = Vec::new();
    for term in glossary.lines().filter_map(|it| it.strip_prefix("### ")) {
        let link = format!("(glossary.md#{})", term.to_lowercase().replace(' ', "-"));
        let first = told().into_iter().find_map(|page| {
            let text = fs::read_to_string(&page).expect("a page");
            let is_linked = text.contains(&link);
            let is_used = has_word(&prose(&text).to_lowercase(), &term.to_lowercase());
            (is_linked || is_used).then_some((page, is_linked))
        });
        match first {
            None => unlinked.push(format!("{term}: no page uses it")),
            Some((_, true)) => {}
            Some((page, false)) => unlinked.push(format!("{}: [{term}]{link}", page.display())),
        }
    }
    assert!(unlinked.is_empty(), "{unlinked:#?}");
}

/// Who cannot see a figure gets its text, and in dark mode a white ground.
#[test]
fn every_figure_is_shown_and_described() {
    let mut wrong = Vec::new();
    let mut shown = BTreeSet::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        for image in text.split("\n![").skip(1) {
            let (alternative, rest) = image.split_once("](").expect("an image");
            let file = rest.split(')').next().expect("its file");
            let path = page.parent().expect("a directory").join(file);
            let path = path.canonicalize().expect("a figure");
            let figure = fs::read_to_string(&path).expect("a figure");
            let title = figure.split_once("<title").and_then(|(_, it)| it.split_once('>'));
            let title = title.and_then(|(_, it)| it.split_once("</title>")).unwrap_or_default().0;
            if one_line(title) != one_line(alternative) || alternative.is_empty() {
                wrong.push(format!("{}: {alternative:?} is not {title:?}", page.display()));
            }
            if !figure.contains("fill=\"#ffffff\"") && !figure.contains("fill=\"#FFFFFF\"") {
                wrong.push(format!("{}: no white ground", path.display()));
            }
            shown.insert(path);
        }
    }
    for entry in fs::read_dir(workspace().join("docs/figures")).expect("the figures") {
        let path = entry.expect("a figure").path();
        if path.extension().is_some_and(|it| it == "svg") && !shown.contains(&path) {
            wrong.push(format!("{}: on no page", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The exercises that a chapter names under its heading, and those of docs/teaching.md.
#[test]
fn every_exercise_that_a_page_names_is_there() {
    let directory = workspace().join("exercises/exercises");
    let mut named = BTreeSet::new();
    for (_, page) in chapters() {
        let text = fs::read_to_string(&page).expect("a chapter");
        let Some((_, section)) = text.split_once("\n## Exercises\n") else { continue };
        let section = section.split("\n## ").next().unwrap_or_default();
        let paragraph = section.split(": [exercises]").next().unwrap_or_default();
        named.extend(paragraph.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    let dead: Vec<_> =
        named.iter().filter(|it| !directory.join(format!("{it}.rs")).exists()).collect();
    assert!(dead.is_empty(), "there is no exercise {dead:?}");

    let every = fs::read_dir(&directory).expect("the exercises").map(|it| it.expect("one").path());
    let homeless: Vec<_> = every
        .filter_map(|it| Some(it.file_stem()?.to_str()?.to_owned()))
        .filter(|it| it != "README" && !named.contains(it))
        .collect();
    assert!(homeless.is_empty(), "no chapter names {homeless:?}");
}

/// The pages of docs/SUMMARY.md with their titles, in its order.
fn summary() -> Vec<(String, PathBuf)> {
    let docs = workspace().join("docs");
    let text = fs::read_to_string(docs.join("SUMMARY.md")).expect("docs/SUMMARY.md");
    let entries = text.lines().filter_map(|line| {
        let (title, file) = line.split_once('[')?.1.split_once("](")?;
        Some((title.to_owned(), docs.join(file.strip_suffix(')')?)))
    });
    entries.collect()
}

/// The pages of docs/SUMMARY.md above the reference.
fn told() -> Vec<PathBuf> {
    let pages = summary().into_iter().map(|(_, page)| page);
    pages.skip(1).take_while(|it| !it.ends_with("glossary.md")).collect()
}

/// The numbered chapters.
fn chapters() -> Vec<(String, PathBuf)> {
    let numbered = summary().into_iter().filter_map(|(title, page)| {
        let number = title.split(' ').next()?;
        number.parse::<u8>().ok()?;
        Some((number.to_owned(), page))
    });
    let chapters: Vec<_> = numbered.collect();
    assert_eq!(chapters.len(), 13, "{chapters:?}");
    chapters
}

/// A page without its headings, its blocks, its inline code and its links.
fn prose(text: &str) -> String {
    let mut prose = String::new();
    let mut inside = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside && !line.starts_with('#') {
            prose.extend(line.split('`').step_by(2));
            prose.push('\n');
        }
    }
    let mut pieces = prose.split("](");
    let mut plain = String::new();
    let mut piece = pieces.next().unwrap_or_default();
    for next in pieces {
        plain.push_str(piece.rsplit_once('[').unwrap_or_default().0);
        piece = next.split_once(')').unwrap_or_default().1;
    }
    plain + piece
}

/// Whether a word, or its plural, stands in a text.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let rest = &text[at + word.len()..];
        let rest = rest.strip_prefix('s').unwrap_or(rest);
        let letter = |it: char| it.is_alphanumeric() || it == '-' || it == '_';
        !text[..at].ends_with(letter) && !rest.starts_with(letter)
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
