//! The source that runs, to be shown.

/// A source file, as it was compiled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    /// The end of the path by which the compiler knows the file.
    pub(crate) path: &'static str,
    pub(crate) text: &'static str,
}

/// A function in a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// The number of the line with the signature.
    pub(crate) first: u32,
    /// All lines, from the signature to the closing brace, without the indentation that all have.
    pub(crate) lines: Vec<&'static str>,
}

impl Source {
    /// The name of the file.
    pub(crate) fn file(&self) -> &'static str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }

    /// The function around a line, whose number is at least 1.
    pub(crate) fn function(&self, line: u32) -> Function {
        let lines: Vec<_> = self.text.lines().collect();
        let at = usize::try_from(line).map_or(0, |it| it.saturating_sub(1)).min(lines.len() - 1);
        let start = (0..=at).rev().find(|it| name(lines[*it]).is_some()).unwrap_or(at);
        let indentation = lines[start].len() - lines[start].trim_start().len();
        let is_end = |line: &&&str| line.trim_start() == "}" && line.len() == indentation + 1;
        let length = lines[start..].iter().position(|it| is_end(&it)).map_or(1, |it| it + 1);
        let lines = lines[start..start + length].iter();
        Function {
            name: name(self.text.lines().nth(start).unwrap_or_default()).unwrap_or_default(),
            first: u32::try_from(start + 1).unwrap_or(u32::MAX),
            lines: lines.map(|it| it.get(indentation..).unwrap_or_default()).collect(),
        }
    }
}

impl Function {
    /// The lines between the braces with their numbers, without their indentation.
    pub(crate) fn body(&self) -> impl Iterator<Item = (u32, &'static str)> {
        let start = self.lines.iter().position(|it| it.ends_with('{')).map_or(0, |it| it + 1);
        let end = self.lines.len().saturating_sub(1).max(start);
        let lines = (self.first..).zip(&self.lines).take(end).skip(start);
        lines.map(|(number, line)| (number, line.strip_prefix("    ").unwrap_or(line)))
    }
}

/// The name of the function whose signature is in `line`.
fn name(line: &'static str) -> Option<&'static str> {
    let line = line.trim_start();
    let (before, after) = line.split_once("fn ")?;
    let is_signature = ["", "pub ", "pub(super) ", "pub(crate) "].contains(&before);
    let name = after.split(['(', '<']).next().filter(|_| is_signature)?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_around_a_line_is_found() {
        let text = "use a;\n\nimpl B {\n    pub(super) fn c(&self) {\n        if d {\n        }\n    }\n}\n";
        let source = Source { path: "x/y.rs", text };
        let lines = vec!["pub(super) fn c(&self) {", "    if d {", "    }", "}"];
        for line in 4..=7 {
            let found = source.function(line);
            assert_eq!(found, Function { name: "c", first: 4, lines: lines.clone() });
            assert_eq!(found.body().collect::<Vec<_>>(), [(5, "if d {"), (6, "}")]);
        }
    }
}
