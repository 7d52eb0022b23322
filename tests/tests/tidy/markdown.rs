//! What a document names: its code, its paths.

use super::checkout::{names_in, root};

/// The code of a Markdown text: its inline spans, and the lines of its fenced blocks.
pub struct Code {
    pub spans: Vec<String>,
    pub fenced_lines: Vec<String>,
}

pub fn code_of(markdown: &str) -> Code {
    let (mut code, mut fenced) = (Code { spans: Vec::new(), fenced_lines: Vec::new() }, false);
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            code.fenced_lines.push(line.trim().to_owned());
        } else {
            code.spans.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    code
}

/// `a/{b,c}.rs` as `a/b.rs` and `a/c.rs`.
pub fn without_braces(path: &str) -> Vec<String> {
    let parts = path.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    let Some((before, (choices, after))) = parts else { return vec![path.to_owned()] };
    choices.split(',').flat_map(|choice| without_braces(&format!("{before}{}{after}", choice.trim()))).collect()
}

/// Whether something stands at `path`, in which `*` and `<name>` each stand for any text within one name.
pub fn exists(path: &str) -> bool {
    let mut places = vec![String::new()];
    for pattern in path.split('/').filter(|part| !part.is_empty()) {
        let fits = |place: &String| {
            let folder = if place.is_empty() { ".".to_owned() } else { place.clone() };
            if !root().join(&folder).is_dir() {
                return Vec::new();
            }
            let names = names_in(&folder).into_iter().filter(|name| matches(pattern, name));
            names.map(|name| format!("{place}/{name}").trim_start_matches('/').to_owned()).collect::<Vec<_>>()
        };
        places = places.iter().flat_map(fits).collect();
    }
    !places.is_empty() && (!path.ends_with('/') || places.iter().any(|place| root().join(place).is_dir()))
}

pub fn matches(pattern: &str, name: &str) -> bool {
    let any = |part: &str| {
        part.split_once('<').and_then(|(a, rest)| Some((a.to_owned(), rest.split_once('>')?.1.to_owned())))
    };
    let split = any(pattern).or_else(|| pattern.split_once('*').map(|(a, b)| (a.to_owned(), b.to_owned())));
    match split {
        None => pattern == name,
        Some((before, after)) => name
            .strip_prefix(&before)
            .is_some_and(|rest| rest.char_indices().any(|(n, _)| matches(&after, &rest[n..])) || after.is_empty()),
    }
}
