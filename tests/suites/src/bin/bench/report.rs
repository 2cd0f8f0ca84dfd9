//! The report: each part writes its tables into it; it is printed as it grows, and can be kept as a
//! page with its pictures.

use std::path::Path;

use crate::figures::Samples;

/// A page in Markdown, and the pictures that it shows.
#[derive(Debug, Default)]
pub(crate) struct Report {
    text: String,
    pictures: Vec<(String, String)>,
}

impl Report {
    /// Adds a line, and prints it.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        println!("{}", line.as_ref());
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    /// Begins a part.
    pub(crate) fn section(&mut self, title: &str) {
        self.line(format!("\n## {title}\n"));
    }

    /// Adds a table; cells are given as they are to be shown.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        self.line(format!("| {} |", head.join(" | ")));
        self.line(format!("|{}", "---|".repeat(head.len())));
        for row in rows {
            self.line(format!("| {} |", row.join(" | ")));
        }
    }

    /// Adds every sample that a table was made of, so that its figures can be recomputed.
    pub(crate) fn samples(&mut self, what: &str, all: &[(String, &Samples)]) {
        self.line(format!("\n<details><summary>{what}</summary>\n"));
        for (name, samples) in all {
            self.line(format!("- {name}: {}", samples.listed()));
        }
        self.line("\n</details>");
    }

    /// Adds a picture.
    pub(crate) fn picture(&mut self, name: &str, alternative: &str, svg: String) {
        self.line(format!("\n![{alternative}](pictures/{name}.svg)\n"));
        self.pictures.push((name.to_owned(), svg));
    }

    /// Writes page and pictures into a directory.
    ///
    /// # Errors
    /// A file can't be written; with its name.
    pub(crate) fn keep(&self, directory: &Path, file: &str) -> Result<(), String> {
        let write = |path: &Path, text: &str| {
            std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
        };
        let pictures = directory.join("pictures");
        std::fs::create_dir_all(&pictures)
            .map_err(|error| format!("{}: {error}", pictures.display()))?;
        write(&directory.join(file), &self.text)?;
        for (name, svg) in &self.pictures {
            write(&pictures.join(format!("{name}.svg")), svg)?;
        }
        Ok(())
    }
}

/// A page is made by one run of all its parts.
///
/// # Errors
/// The page is there, and a part of it would take its place.
pub(crate) fn refuse_to_replace(page: &Path) -> Result<(), String> {
    if page.exists() {
        return Err(format!(
            "{}: a part would replace the whole page: write it to another directory, or run all parts",
            page.display()
        ));
    }
    Ok(())
}
