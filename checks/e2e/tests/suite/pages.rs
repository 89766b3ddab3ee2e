//! The pages themselves: README.md, CONTRIBUTING.md and docs/, against the files of this tree.

use std::fs;
use std::path::{Path, PathBuf};

use e2e::workspace;

#[test]
fn rust_excerpts_are_verbatim() {
    for block in pages().iter().flat_map(blocks).filter(|it| it.info.starts_with("rust")) {
        let place = &block.place;
        let file = block.info.split_once("file=").map(|(_, file)| file.trim());
        let file = file.unwrap_or_else(|| panic!("{place}: write ```rust file=PATH"));
        let source = fs::read_to_string(workspace().join(file));
        let source = source.unwrap_or_else(|error| panic!("{place}: {file}: {error}"));
        let source: Vec<_> = source.lines().map(str::trim).collect();
        let shown: Vec<_> = block.lines.iter().map(|line| line.trim()).collect();
        assert!(source.windows(shown.len()).any(|it| it == shown), "{place}: not in {file}");
    }
}

#[test]
fn links_and_names_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let directory = page.parent().expect("a directory");
        let text = fs::read_to_string(&page).expect("a page");
        // [text](target) and src="target"
        let links = text.split("](").skip(1).filter_map(|it| it.split(')').next());
        let images = text.split("src=\"").skip(1).filter_map(|it| it.split('"').next());
        for link in links.chain(images).filter(|it| !it.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { directory.join(file) };
            let found = fs::exists(&target).is_ok_and(|found| found)
                && (heading.is_empty() || headings(&target).any(|it| it == heading));
            if !found {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
        // `DIRECTORY/file.rs`, from the top of the workspace; and the programs of `cargo run -p`.
        let quoted = text.split('`').filter(|it| !it.contains([' ', '\n', '*']));
        let paths =
            quoted.filter(|it| it.contains('/') && !it.starts_with('/') && is_file_name(it));
        let programs = text.split("cargo run -p ").skip(1);
        let programs = programs.filter_map(|it| it.split([' ', '\n', '`']).next());
        let programs = programs.filter(|it| *it != "NAME");
        // `cargo run -p lessons --example NAME`
        let lessons = text.split("--example ").skip(1);
        let lessons = lessons.filter_map(|it| it.split([' ', '\n', '`']).next());
        let lessons = lessons.filter(|it| *it != "NAME").map(|it| format!("lessons/examples/{it}"));
        let lessons = lessons.map(|it| if is_there(&it) { it } else { it + ".rs" });
        for name in paths.chain(programs).map(str::to_owned).chain(lessons) {
            if !is_there(&name) {
                broken.push(format!("{}: {name}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_readme_names_the_test_command_that_ci_runs() {
    let lines_of = |file| fs::read_to_string(workspace().join(file)).expect(file);
    for file in ["README.md", ".ci/run"] {
        assert!(lines_of(file).lines().any(|it| it == "cargo test --workspace"), "{file}");
    }
}

#[test]
fn every_program_and_every_page_can_be_found() {
    let links = |page: &str| {
        let page = workspace().join(page);
        let text = fs::read_to_string(&page).expect("a page");
        let directory = page.parent().expect("a directory").to_owned();
        let links = text.split("](").skip(1).filter_map(|it| it.split([')', '#']).next());
        links.map(|link| directory.join(link)).filter_map(|it| it.canonicalize().ok()).collect()
    };
    let (programs, chapters): (Vec<_>, Vec<_>) =
        (links("docs/programs.md"), links("docs/README.md"));
    let readme: Vec<_> = links("README.md");

    let mut lost = Vec::new();
    for package in packages() {
        let main = package.join("src/main.rs");
        if main.exists() && !programs.contains(&main) {
            lost.push(format!("docs/programs.md does not link {}", main.display()));
        }
    }
    for page in pages() {
        // A book shows no page of that name, so a link to it would lead nowhere there.
        let is_index = page.ends_with("README.md") || page.ends_with("SUMMARY.md");
        if !is_index && !chapters.contains(&page) && !readme.contains(&page) {
            lost.push(format!("neither README.md nor docs/README.md links {}", page.display()));
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}

/// The directories of the workspace that hold a package.
fn packages() -> Vec<PathBuf> {
    let (mut packages, mut directories) = (Vec::new(), vec![workspace()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                if path.join("Cargo.toml").exists() {
                    packages.push(path.clone());
                }
                directories.push(path);
            }
        }
    }
    packages
}

/// README.md, CONTRIBUTING.md, those of the lessons and the exercises, and every page under docs/.
pub(crate) fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<_> =
        ["README.md", "CONTRIBUTING.md", "lessons/README.md", "exercises/README.md"]
            .map(|it| workspace().join(it))
            .into();
    let mut directories = vec![workspace().join("docs")];
    while let Some(directory) = directories.pop() {
        for entry in
            fs::read_dir(directory).expect("a directory").map(|it| it.expect("an entry").path())
        {
            if entry.is_dir() {
                directories.push(entry);
            } else if entry.extension().is_some_and(|it| it == "md") {
                pages.push(entry);
            }
        }
    }
    pages.sort();
    pages
}

/// A fenced block of a page.
pub(crate) struct Block {
    pub(crate) place: String,
    /// What follows the opening fence, such as `console`.
    pub(crate) info: String,
    /// The HTML comment above it, such as `pair: sysv`.
    pub(crate) comment: String,
    pub(crate) lines: Vec<String>,
}

pub(crate) fn blocks(page: &PathBuf) -> Vec<Block> {
    let text = fs::read_to_string(page).expect("a page");
    let page = page.strip_prefix(workspace()).expect("a page of ours").display();
    let (mut blocks, mut comment) = (Vec::new(), String::new());
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(info) = line.trim_start().strip_prefix("```") {
            let inside = lines.by_ref().map(|(_, it)| it.to_owned());
            let lines = inside.take_while(|it| it.trim() != "```").collect();
            let place = format!("{page}:{}", number + 1);
            blocks.push(Block { place, info: info.trim().into(), comment, lines });
            comment = String::new();
        } else if !line.trim().is_empty() {
            let inside = line.trim().strip_prefix("<!--").and_then(|it| it.strip_suffix("-->"));
            comment = inside.unwrap_or_default().trim().to_owned();
        }
    }
    blocks
}

/// GitHub's names for the headings of a page.
fn headings(page: &Path) -> impl Iterator<Item = String> {
    let text = fs::read_to_string(page).unwrap_or_default();
    let headings: Vec<_> =
        text.lines().filter(|it| it.starts_with('#')).map(str::to_owned).collect();
    headings.into_iter().map(|it| {
        let name = it.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        name.chars().filter(|it| it.is_alphanumeric() || ['-', '_'].contains(it)).collect()
    })
}

/// Whether the workspace has such a file or directory.
fn is_there(name: &str) -> bool {
    workspace().join(name).exists()
}

fn is_file_name(name: &str) -> bool {
    let extension = Path::new(name).extension().unwrap_or_default();
    ["c", "md", "rs", "svg", "toml", "yml"].iter().any(|it| extension == *it)
}
