//! The checkout as it is on disk, and how a rule tells what it found in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}; it must exist"))
}

/// The folders at the top that git ignores, as .gitignore names them.
pub fn ignored_folders() -> BTreeSet<String> {
    let gitignore = read(".gitignore");
    let folders = gitignore.lines().filter_map(|line| line.strip_suffix('/'));
    folders.map(|folder| folder.trim_start_matches('/').to_owned()).chain([".git".to_owned()]).collect()
}

/// The names in a folder, sorted.
pub fn names_in(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Every file of the checkout, by its path from the root, without what git ignores.
pub fn files() -> Vec<String> {
    let (ignored, mut found, mut folders) = (ignored_folders(), Vec::new(), vec![String::new()]);
    while let Some(folder) = folders.pop() {
        for name in names_in(&folder) {
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if !root().join(&path).is_dir() {
                found.push(path);
            } else if !ignored.contains(&path) && name != "__pycache__" {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Rust files whose path from the root begins with `prefix`.
pub fn rust_files(prefix: &str) -> Vec<String> {
    files().into_iter().filter(|path| path.starts_with(prefix) && has_extension(path, &["rs"])).collect()
}

pub fn has_extension(path: &str, extensions: &[&str]) -> bool {
    Path::new(path).extension().is_some_and(|found| extensions.iter().any(|extension| found == *extension))
}

pub fn functions() -> Vec<String> {
    names_in("functions").into_iter().filter(|name| root().join("functions").join(name).is_dir()).collect()
}

/// Where the port's operations are made.
pub const DYNAMO: &str = "shared/src/store/dynamo.rs";

pub const TEST_MODULE: &str = "#[cfg(test)]";

/// The lines of a file that ship: those before its test module, without comments; each with its number.
pub fn shipped_lines(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let before_tests = source.lines().take_while(|line| line.trim() != TEST_MODULE);
    before_tests.enumerate().map(|(n, line)| (n + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Fails with every finding at once, and with what to do.
#[track_caller]
pub fn assert_none(findings: &[String], remedy: &str) {
    assert!(findings.is_empty(), "\n  {}\n{remedy}\n", findings.join("\n  "));
}

/// The lines of `paths` in which `offends`, as findings.
pub fn offending_lines(paths: &[String], offends: impl Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for path in paths {
        for (n, line) in read(path).lines().enumerate().filter(|(_, line)| offends(line)) {
            findings.push(format!("{path}:{}: {}", n + 1, line.trim()));
        }
    }
    findings
}

/// The same among the lines that ship.
pub fn offending_shipped_lines(paths: &[String], offends: impl Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for path in paths {
        for (n, line) in shipped_lines(&read(path)).filter(|(_, line)| offends(line)) {
            findings.push(format!("{path}:{n}: {}", line.trim()));
        }
    }
    findings
}
