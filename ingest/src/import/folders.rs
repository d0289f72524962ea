//! A prefix taken apart into folders, and each folder into what it is made of: text, keys, times.

use super::prefix::Piece;

/// Part of a folder's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Atom {
    Text(String),
    /// A run of one letter in a java.time pattern.
    Time(String),
    Key(String),
    /// Something that nobody can work out; it goes, and with it a folder that tells nothing else.
    Random,
}

/// The prefix's folders, each of its atoms; the last one also where no slash follows it.
pub(super) fn folders(pieces: &[Piece]) -> Vec<Vec<Atom>> {
    let mut folders: Vec<Vec<Atom>> = vec![Vec::new()];
    let text = |folders: &mut Vec<Vec<Atom>>, text: &str| {
        for (n, part) in text.split('/').enumerate() {
            if n > 0 {
                folders.push(Vec::new());
            }
            let last = folders.last_mut().expect("there is one");
            match last.last_mut() {
                _ if part.is_empty() => {}
                Some(Atom::Text(known)) => known.push_str(part),
                _ => last.push(Atom::Text(part.to_string())),
            }
        }
    };
    for piece in pieces {
        match piece {
            Piece::Text(piece) => text(&mut folders, piece),
            Piece::Timestamp(pattern) => {
                for (is_time, run) in runs(pattern) {
                    match is_time {
                        true => folders.last_mut().expect("there is one").push(Atom::Time(run)),
                        false => text(&mut folders, &run),
                    }
                }
            }
            Piece::Query(name) | Piece::Lambda(name) => {
                folders.last_mut().expect("there is one").push(Atom::Key(name.clone()));
            }
            Piece::Random => folders.last_mut().expect("there is one").push(Atom::Random),
            Piece::ErrorType => {}
        }
    }
    if folders.last().is_some_and(Vec::is_empty) {
        folders.pop();
    }
    folders.retain(|folder| {
        !folder.contains(&Atom::Random) || folder.iter().any(|atom| matches!(atom, Atom::Time(_) | Atom::Key(_)))
    });
    folders.iter_mut().for_each(|folder| folder.retain(|atom| *atom != Atom::Random));
    folders.into_iter().map(joined_times).collect()
}

/// A java.time pattern as runs of letters, and text without its quotes.
fn runs(pattern: &str) -> Vec<(bool, String)> {
    let mut runs: Vec<(bool, String)> = Vec::new();
    let mut quoted = false;
    let mut letters = pattern.chars().peekable();
    let mut push = |is_time: bool, c: char| match runs.last_mut() {
        Some((known, run)) if *known == is_time && (!is_time || run.ends_with(c)) => run.push(c),
        _ => runs.push((is_time, c.to_string())),
    };
    while let Some(c) = letters.next() {
        match c {
            '\'' if letters.peek() == Some(&'\'') => {
                letters.next();
                push(false, '\'');
            }
            '\'' => quoted = !quoted,
            c => push(!quoted && c.is_ascii_alphabetic(), c),
        }
    }
    runs
}

/// Times with nothing but text between them are one time: `yyyy`, `-`, `MM` is `yyyy-MM`.
fn joined_times(folder: Vec<Atom>) -> Vec<Atom> {
    let mut out: Vec<Atom> = Vec::new();
    for atom in folder {
        let run = match &atom {
            Atom::Time(run) => run.clone(),
            _ => {
                out.push(atom);
                continue;
            }
        };
        match out.as_mut_slice() {
            [.., Atom::Time(known)] => known.push_str(&run),
            [.., Atom::Time(known), Atom::Text(text)] => {
                known.push_str(&as_pattern(text));
                known.push_str(&run);
                out.pop();
            }
            _ => out.push(atom),
        }
    }
    out
}

fn as_pattern(text: &str) -> String {
    match text.chars().any(|c| c.is_ascii_alphabetic() || c == '\'') {
        true => format!("'{}'", text.replace('\'', "''")),
        false => text.to_string(),
    }
}

/// Folders of nothing but text at the begin, as the place of the table.
pub(super) fn take_lead(folders: &mut Vec<Vec<Atom>>) -> String {
    let plain = |folder: &&Vec<Atom>| folder.iter().all(|atom| matches!(atom, Atom::Text(_)));
    let count = folders.iter().take_while(plain).count();
    let names: Vec<String> = folders
        .drain(..count)
        .filter_map(|folder| match folder.into_iter().next() {
            Some(Atom::Text(text)) => Some(text),
            _ => None,
        })
        .collect();
    names.iter().map(|name| format!("{name}/")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::prefix;

    fn shown(template: &str) -> String {
        let folders = folders(&prefix::parse(template).expect("a prefix"));
        let atom = |atom: &Atom| match atom {
            Atom::Text(text) => text.clone(),
            Atom::Time(pattern) => format!("<{pattern}>"),
            Atom::Key(key) => format!("[{key}]"),
            Atom::Random => "?".to_string(),
        };
        let folder = |folder: &Vec<Atom>| folder.iter().map(atom).collect::<String>();
        folders.iter().map(folder).collect::<Vec<_>>().join("/")
    }

    #[test]
    fn slashes_part_folders_wherever_they_stand() {
        for (template, expected) in [
            ("a/k=!{partitionKeyFromQuery:k}/!{timestamp:yyyy/MM/dd/HH/}", "a/k=[k]/<yyyy>/<MM>/<dd>/<HH>"),
            ("!{timestamp:'year='yyyy'/month='MM}/", "year=<yyyy>/month=<MM>"),
            ("dt=!{timestamp:yyyy'-'MM'-'dd}/", "dt=<yyyy-MM-dd>"),
            ("dt=!{timestamp:yyyy}-!{timestamp:MM}T!{timestamp:HH}", "dt=<yyyy-MM'T'HH>"),
            ("!{partitionKeyFromQuery:a}-!{timestamp:yyyy}-x/", "[a]-<yyyy>-x"),
            ("a//!{timestamp:yyyy}", "a//<yyyy>"),
            ("r=!{firehose:random-string}/x-!{firehose:random-string}!{timestamp:HH}/", "x-<HH>"),
            ("", ""),
        ] {
            assert_eq!(shown(template), expected, "{template}");
        }
    }
}
